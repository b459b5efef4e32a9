"""The one training loop: epochs, exact resume, journal, sample grids, checkpoints.

Randomness: before every update the global generators are seeded from (seed, epoch, update), and
the order of an epoch from (seed, epoch). The state of a training is therefore its networks, its
optimisers and a position; a resumed training draws what the uninterrupted one would have drawn.

State is saved when `SAVE_RATIO` times its own measured cost has passed, so saving takes about one
per cent of the time whatever the size of the networks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.base import damage
from harness.base.errors import Damaged, Stopped
from harness.base.files import check_sum, sha256_file
from harness.base.owned import look_before
from harness.base.rng import seed_of
from harness.base.stopwatch import Stopwatch
from harness.jobs.checkpoint import load_state, save_state, save_weights
from harness.jobs.folder import JobFolder
from harness.jobs.journal import Journal, mark_covered, read_covered, series

SAVE_RATIO = 100.0
FIRST_SAVE_SECONDS = 5.0
LEAST_SAVE_SECONDS = 2.0


class Trainable(Protocol):
    """What is trained. The loop owns epochs, order, seeds, saving; a stage owns one update."""

    @property
    def networks(self) -> Mapping[str, nn.Module]: ...

    @property
    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]: ...

    def step(self, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """One update; returns scalar tensors by name (the same names every time)."""
        ...

    def rate_factor(self, epoch: int, share: float) -> float:
        """Factor of the base learning rate at `share` (0..1) of epoch `epoch` (1-based)."""
        ...

    def weights(self) -> Mapping[str, Tensor]:
        """What a checkpoint keeps."""
        ...

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """Sample grids by key; must leave networks and buffers as they were."""
        ...

    def epoch_end(self, epoch: int) -> Mapping[str, float]:
        """Further journal values of an epoch (e.g. validation Dice); {} for none."""
        ...


class Batches(Protocol):
    """Batches as a pure function of epoch and position."""

    def updates(self, epoch: int) -> int:
        """Updates of 1-based `epoch`."""
        ...

    def images(self, epoch: int) -> int:
        """Images that the updates of `epoch` see."""
        ...

    def batch(self, epoch: int, index: int) -> Mapping[str, Tensor]: ...


@dataclass
class Training:
    """One call of the loop.

    Attributes:
        targets: epochs whose checkpoints are wanted, ascending; the last one ends the loop.
        finish: called with (epoch, journal length in bytes) after a checkpoint's weights are
            written.
        picture_epochs: epochs after which sample grids are drawn; no effect on the result.
        last_epoch: epoch after which no continuation is possible (the schedule ends); 0 if open.
        branch_epochs: checkpoints that keep the full state beside their weights; no effect on
            results.
        ends_early: whether it ends there, asked after each epoch's values are in the journal; that
            checkpoint stands for every later target.
        stopwatch: what the job took; goes on from what the saved state had taken.
    """

    stage: Trainable
    batches: Batches
    folder: JobFolder
    seed: int
    targets: Sequence[int]
    finish: Callable[[int, int], None]
    stop: Callable[[], bool]
    device: str = "cpu"
    picture_epochs: frozenset[int] = frozenset()
    last_epoch: int = 0
    branch_epochs: frozenset[int] = frozenset()
    ends_early: Callable[[int], bool] = lambda epoch: False
    stopwatch: Stopwatch = field(default_factory=Stopwatch)


@dataclass
class _Position:
    """Where the training is, and the sums of its unfinished epoch."""

    epoch: int = 1
    update: int = 0
    seconds: float = 0.0
    names: list[str] = field(default_factory=list)
    sums: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    bad_updates: Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.float64))


def fit(training: Training) -> None:
    """Train until every target has its checkpoint.

    Raises:
        Stopped: `training.stop()` said so; the state is saved.
    """
    missing = [e for e in training.targets if training.folder.result(e) is None]
    if not missing:
        return
    _Loop(training, missing).run()


class _Loop:
    def __init__(self, training: Training, missing: list[int]) -> None:
        self.training = training
        self.missing = missing
        self.position = _Position()
        self.base_rates = {
            name: [group["lr"] for group in optimiser.param_groups]
            for name, optimiser in training.stage.optimisers.items()
        }
        covered = self._restore()
        self.journal = Journal(training.folder.journal, covered)
        self.next_save = time.monotonic() + FIRST_SAVE_SECONDS

    def run(self) -> None:
        try:
            finished = self.position.epoch - 1
            if finished and not self.position.update and self._ended_early(finished):
                self._end_early(finished)  # it branched off a training that had ended early
            while self.missing:
                self._epoch()
        finally:
            self.journal.close()

    # --- one epoch -------------------------------------------------------------------------

    def _epoch(self) -> None:
        at, updates = self.position, self.training.batches.updates(self.position.epoch)
        for network in self.training.stage.networks.values():
            network.train()
        while at.update < updates:
            self._update(at)
            if self.training.stop():
                self._save()
                raise Stopped(f"stopped at epoch {at.epoch}, update {at.update}; state is saved")
            if time.monotonic() >= self.next_save and at.update < updates:
                self._save()
        self._close_epoch(at)

    def _update(self, at: _Position) -> None:
        started = time.perf_counter()
        training = self.training
        self._set_rates(at)
        torch.manual_seed(seed_of(training.seed, "update", at.epoch, at.update))
        scalars = training.stage.step(training.batches.batch(at.epoch, at.update))
        values = torch.stack([value.detach().double() for value in scalars.values()])
        if not at.names:
            at.names = list(scalars)
            at.sums = torch.zeros_like(values)
            at.bad_updates = torch.zeros(1, dtype=torch.float64, device=values.device)
        at.sums += values
        at.bad_updates += (~torch.isfinite(values)).any()
        at.update += 1
        at.seconds += time.perf_counter() - started

    def _set_rates(self, at: _Position) -> None:
        share = at.update / self.training.batches.updates(at.epoch)
        factor = self.training.stage.rate_factor(at.epoch, share)
        for name, optimiser in self.training.stage.optimisers.items():
            for group, base in zip(optimiser.param_groups, self.base_rates[name], strict=True):
                group["lr"] = base * factor

    def _close_epoch(self, at: _Position) -> None:
        training, started = self.training, time.perf_counter()
        means = (at.sums / at.update).tolist()
        at.seconds += time.perf_counter() - started  # a GPU is still at work until they arrive
        values = {f"train/{name}": mean for name, mean in zip(at.names, means, strict=True)}
        for optimiser in list(training.stage.optimisers.values())[:1]:
            values["train/learning_rate"] = optimiser.param_groups[0]["lr"]
        images = training.batches.images(at.epoch)
        values["train/images_per_second"] = images / max(at.seconds, 1e-9)
        bad = int(at.bad_updates.item())
        if bad:
            values["train/non_finite_updates"] = bad
        values.update(training.stage.epoch_end(at.epoch))
        self.journal.log(at.epoch, values)
        if at.epoch in training.picture_epochs:
            self._draw(at.epoch)
        finished, self.position = at.epoch, _Position(epoch=at.epoch + 1)
        if bad or training.ends_early(finished):
            self._end_early(finished)
        elif finished in self.missing:
            self._finish_target(finished)
        elif time.monotonic() >= self.next_save:
            self._save()

    def _ended_early(self, epoch: int) -> bool:
        bad, _ = series(self.training.folder.journal, "train/non_finite_updates", until=epoch)
        return epoch in bad or self.training.ends_early(epoch)

    def _draw(self, epoch: int) -> None:
        from harness.training.pictures import write_png

        for key, image in self.training.stage.pictures().items():
            write_png(self.training.folder.samples / f"{key}-{epoch:06d}.png", image)

    # --- checkpoints --------------------------------------------------------------------------

    def _finish_target(self, epoch: int) -> None:
        self._write_checkpoint(epoch)
        self.missing.remove(epoch)
        if not self.missing and epoch == self.training.last_epoch:
            look_before(self.training.folder.state)
            self.training.folder.state.unlink(missing_ok=True)
        elif not self.missing:
            self._save()

    def _end_early(self, finished: int) -> None:
        """Losses are not finite, or a rule ends it: what is there now stands for later epochs."""
        for target in sorted({finished, *self.missing}):
            self._write_checkpoint(target)
        self.missing.clear()

    def _write_checkpoint(self, epoch: int) -> None:
        save_weights(
            self.training.folder.at(epoch) / "weights.safetensors", self.training.stage.weights()
        )
        # First, for nobody comes back to a training that has all its results.
        length = self._cover(self.position.epoch - 1)
        if epoch in self.training.branch_epochs:
            save_state(self.training.folder.branch(epoch), self._state(length))
        self.training.finish(epoch, length)

    def _cover(self, epoch: int) -> int:
        """Publish the journal and the samples up to `epoch`; returns the journal's length."""
        folder, length = self.training.folder.path, self.journal.sync()
        # Never less than before: a training that goes back draws the same samples again.
        mark_covered(folder, length, max(epoch, read_covered(folder)[1]))
        return length

    # --- state -----------------------------------------------------------------------------

    def _save(self) -> None:
        started = time.monotonic()
        save_state(self.training.folder.state, self._state(self.journal.sync()))
        self._cover(self.position.epoch - 1)
        cost = time.monotonic() - started
        self.next_save = time.monotonic() + max(LEAST_SAVE_SECONDS, SAVE_RATIO * cost)

    def _state(self, length: int) -> dict[str, Any]:
        """Everything that a training goes on from; `length`: bytes of the journal it stands for."""
        stage, at = self.training.stage, self.position
        return {
            "networks": {name: module.state_dict() for name, module in stage.networks.items()},
            "optimisers": {name: opt.state_dict() for name, opt in stage.optimisers.items()},
            **vars(at),
            "journal": length,
            "journal_sum": sha256_file(self.training.folder.journal, length),
            "job": self.training.folder.path.name,
            "spent": list(self.training.stopwatch.spent()),
        }

    def _restore(self) -> int:
        """Go to the newest state from which every missing checkpoint lies ahead; bytes covered.

        A state whose part of the journal is not what it was is left alone.
        """
        folder = self.training.folder
        covered = [read_covered(folder.path)[0]]
        covered += [
            int((folder.result(e) or {"journal": 0})["journal"]) for e in folder.checkpoints()
        ]
        state = load_state(folder.state, self.training.device)
        if state is not None and self._tells(state):
            covered.append(int(state["journal"]))
            if state["epoch"] <= min(self.missing):
                self._adopt(state)
        return max(covered)

    def _tells(self, state: Mapping[str, Any]) -> bool:
        """Whether the journal is the one that a state goes on with."""
        if "journal_sum" not in state:  # it was saved before states had that
            return True
        try:
            check_sum(self.training.folder.journal, state["journal_sum"], state["journal"])
        except Damaged as damaged:
            damage.note(Damaged(damaged.path, damaged.why, "its training begins anew"))
            return False
        return True

    def _adopt(self, state: Mapping[str, Any]) -> None:
        for name, module in self.training.stage.networks.items():
            module.load_state_dict(state["networks"][name])
        for name, optimiser in self.training.stage.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        if state.get("job") == self.training.folder.path.name:  # not what it branched off
            self.training.stopwatch.add(state["spent"])
        self.position = _Position(**{name: state[name] for name in vars(self.position)})
