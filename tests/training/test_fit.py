"""The training loop with a stage small enough to follow by hand: one weight, one number a batch."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.tiny import StopAfter
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import harness.training.fit as loop
from harness.base.errors import Stopped
from harness.base.stopwatch import Stopwatch
from harness.jobs.checkpoint import load_state, load_weights
from harness.jobs.folder import JobFolder
from harness.jobs.journal import read_covered, read_lines, series
from harness.training.fit import Training, fit


class Numbers:
    """Epoch e, update u: the number 10 e + u."""

    def __init__(self, updates: int = 3) -> None:
        self.count = updates

    def updates(self, epoch: int) -> int:
        return self.count

    def images(self, epoch: int) -> int:
        return 100

    def batch(self, epoch: int, index: int) -> Mapping[str, Tensor]:
        return {"x": torch.tensor([10.0 * epoch + index])}


@dataclass
class Adds:
    """The weight grows by the learning rate an update (plain SGD on minus the weight).

    Attributes:
        broken: batches whose loss is not a number.
        rates: factor of the learning rate at (epoch, share).
    """

    broken: tuple[float, ...] = ()
    rates: Callable[[int, float], float] = lambda epoch, share: 1.0
    drawn: list[float] = field(default_factory=list)
    modes: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.module = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.module.weight)
        self.networks = {"line": self.module}
        self.optimisers = {"line": torch.optim.SGD(self.module.parameters(), lr=0.5)}

    def step(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self.modes.append(self.module.training)
        self.drawn.append(float(torch.rand(1)))
        self.optimisers["line"].zero_grad()
        (-self.module.weight.sum()).backward()
        self.optimisers["line"].step()
        number = batch["x"][0]
        return {"loss": number * math.nan if float(number) in self.broken else number}

    def rate_factor(self, epoch: int, share: float) -> float:
        return self.rates(epoch, share)

    def weights(self) -> Mapping[str, Tensor]:
        return self.module.state_dict()

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        self.module.eval()
        level = int(torch.randint(0, 200, (1,)))  # a stage may draw while it makes pictures
        self.module.train()
        return {"grey": np.full((4, 6), level, np.uint8)}

    def epoch_end(self, epoch: int) -> Mapping[str, float]:
        self.module.eval()
        return {"validation": 1.0 / epoch}


@dataclass
class Run:
    """A training in a folder; `read_out` says which checkpoints were finished, and how long the
    journal was then."""

    path: Path
    stage: Adds = field(default_factory=Adds)
    read_out: list[tuple[int, int]] = field(default_factory=list)

    @property
    def folder(self) -> JobFolder:
        return JobFolder(self.path)

    def go(self, *targets: int, stop: Callable[[], bool] = lambda: False, **more: Any) -> Run:
        batches = more.pop("batches", Numbers())
        fit(Training(self.stage, batches, self.folder, 7, targets, self._finish, stop, **more))
        return self

    def _finish(self, epoch: int, length: int) -> None:
        self.read_out.append((epoch, length))
        weights = self.folder.at(epoch) / "weights.safetensors"
        self.folder.finish([weights], {"epoch": epoch}, {}, {}, {}, epoch, length)

    def weight(self, epoch: int) -> float:
        path = self.folder.at(epoch) / "weights.safetensors"
        return float(load_weights(path)["weight"])

    def curve(self, name: str) -> list[float]:
        return series(self.folder.journal, name)[1]


def test_an_epoch_is_its_updates_and_the_journal_holds_their_mean(tmp_path: Path) -> None:
    run = Run(tmp_path).go(1, 2)
    assert run.curve("train/loss") == [(10 + 11 + 12) / 3, (20 + 21 + 22) / 3]
    assert run.curve("train/learning_rate") == [0.5, 0.5]
    assert run.curve("validation") == [1.0, 0.5]
    assert [run.weight(1), run.weight(2)] == [3 * 0.5, 6 * 0.5]
    assert all(run.stage.modes), "every update in training mode, whatever came before"


def test_the_clock_goes_on_where_the_state_was_saved(tmp_path: Path) -> None:
    early = Stopwatch()
    early.add((100.0, 50.0))
    Run(tmp_path / "one").go(2, stopwatch=early)
    late, branch = Stopwatch(), Stopwatch()
    shutil.copytree(tmp_path / "one", tmp_path / "branch")
    Run(tmp_path / "one").go(4, stopwatch=late)
    assert 100 < late.spent()[0] < 160
    assert 50 < late.spent()[1] < 110
    Run(tmp_path / "branch").go(4, stopwatch=branch)
    assert branch.spent()[0] < 60, "what it branched off is that job's own"


def test_rates_follow_epoch_and_share(tmp_path: Path) -> None:
    run = Run(tmp_path, Adds(rates=lambda epoch, share: epoch + share))
    run.go(2, batches=Numbers(updates=4))
    # Epoch 1: factors 1, 1.25, 1.5, 1.75; epoch 2: 2, 2.25, 2.5, 2.75; times 0.5.
    assert run.weight(2) == pytest.approx(0.5 * (5.5 + 9.5))
    assert run.curve("train/learning_rate") == pytest.approx([0.875, 1.375]), "of the last update"


def test_a_resumed_rate_is_not_multiplied_twice(tmp_path: Path) -> None:
    def halves(epoch: int, share: float) -> float:
        return 0.5**epoch

    straight = Run(tmp_path / "a", Adds(rates=halves)).go(3)
    with pytest.raises(Stopped):
        Run(tmp_path / "b", Adds(rates=halves)).go(3, stop=StopAfter(5))
    resumed = Run(tmp_path / "b", Adds(rates=halves)).go(3)
    assert straight.weight(3) == resumed.weight(3) == 3 * 0.5 * (1 / 2 + 1 / 4 + 1 / 8)


def test_draws_depend_on_epoch_and_update_alone(tmp_path: Path) -> None:
    straight = Run(tmp_path / "a").go(3)
    with pytest.raises(Stopped):
        Run(tmp_path / "b").go(3, stop=StopAfter(4))
    torch.manual_seed(99)
    resumed = Run(tmp_path / "b").go(3)
    assert resumed.stage.drawn == straight.stage.drawn[4:]
    assert len(set(straight.stage.drawn)) == 9
    pictured = Run(tmp_path / "c").go(3, picture_epochs=frozenset({1, 2}))
    assert pictured.stage.drawn == straight.stage.drawn


def test_the_mean_of_a_broken_off_epoch_counts_every_update_once(tmp_path: Path) -> None:
    with pytest.raises(Stopped, match="epoch 1, update 2"):
        Run(tmp_path).go(2, stop=StopAfter(2))
    assert Run(tmp_path).go(2).curve("train/loss") == [11.0, 21.0]


def test_a_stop_after_the_last_update_still_closes_the_epoch(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        Run(tmp_path).go(1, stop=StopAfter(3))
    assert read_lines(tmp_path / "journal.jsonl")[0] == []
    assert Run(tmp_path).go(1).curve("train/loss") == [11.0]


def test_each_checkpoint_has_the_weights_of_its_epoch_and_the_last_one_ends(tmp_path: Path) -> None:
    run = Run(tmp_path).go(1, 4)
    assert [epoch for epoch, _ in run.read_out] == [1, 4]
    assert run.folder.checkpoints() == [1, 4]
    assert len(run.stage.drawn) == 12
    assert [run.weight(1), run.weight(4)] == [1.5, 6.0]
    again = Run(tmp_path).go(1, 4)
    assert again.stage.drawn == [], "nothing is trained twice"


def test_a_result_stands_for_a_journal_that_is_covered(tmp_path: Path) -> None:
    """At the moment a result appears, its journal is final: a kill right after loses nothing."""
    seen = []
    run = Run(tmp_path)
    finish = run._finish

    def look_and_finish(epoch: int, length: int) -> None:
        seen.append((read_covered(tmp_path), length))
        finish(epoch, length)

    run._finish = look_and_finish  # type: ignore[method-assign]
    run.go(2, 3)
    for (covered, epoch), (target, length) in zip([s[0] for s in seen], run.read_out, strict=True):
        assert covered >= length
        assert epoch == target
        assert read_lines(tmp_path / "journal.jsonl", 0, length)[0][-1].step == target


def test_a_crash_between_weights_and_result_repeats_the_epoch(tmp_path: Path) -> None:
    run = Run(tmp_path)

    def crash(epoch: int, length: int) -> None:
        raise KeyboardInterrupt

    run._finish = crash  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run.go(2)
    assert run.folder.checkpoints() == []
    times = {(line.step, line.name): line.time for line in read_lines(run.folder.journal)[0]}
    again = Run(tmp_path).go(2)
    assert again.weight(2) == 3.0
    lines = read_lines(run.folder.journal)[0]
    assert {(line.step, line.name): line.time for line in lines} == times
    assert len(lines) == len(times)


def test_values_behind_the_saved_state_are_cut_and_made_again(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        Run(tmp_path).go(3, stop=StopAfter(4))  # saved in epoch 2
    with open(tmp_path / "journal.jsonl", "ab") as file:
        file.write(b'{"step":2,"name":"train/loss","value":1e9,"time":1}\n{"step":2,"na')
    assert Run(tmp_path).go(3).curve("train/loss") == [11.0, 21.0, 31.0]


def test_losses_that_are_not_numbers_end_the_training_with_what_there_is(tmp_path: Path) -> None:
    run = Run(tmp_path, Adds(broken=(21.0,))).go(1, 3, 9)
    assert run.folder.checkpoints() == [1, 2, 3, 9]
    assert len(run.stage.drawn) == 6, "epoch 2 was finished, epoch 3 never begun"
    assert run.weight(2) == run.weight(3) == run.weight(9) == 3.0
    losses = run.curve("train/loss")
    assert losses[0] == 11.0
    assert math.isnan(losses[1])
    assert run.curve("train/non_finite_updates") == [1.0]
    assert '"value":null' in run.folder.journal.read_text()


def test_a_bad_update_is_remembered_over_a_stop(tmp_path: Path) -> None:
    broken = (20.0, 21.0)
    with pytest.raises(Stopped):
        Run(tmp_path, Adds(broken=broken)).go(4, stop=StopAfter(5))
    run = Run(tmp_path, Adds(broken=broken)).go(4)
    assert run.curve("train/non_finite_updates") == [2.0]
    assert run.weight(4) == 3.0


def test_state_ends_with_the_schedule_and_stays_where_it_can_go_on(tmp_path: Path) -> None:
    assert not Run(tmp_path / "ended").go(3, last_epoch=3).folder.state.exists()
    open_ended = Run(tmp_path / "open").go(3)
    state = load_state(open_ended.folder.state, "cpu")
    assert state is not None
    assert (state["epoch"], state["update"]) == (4, 0)


def test_a_covered_length_never_goes_back(tmp_path: Path) -> None:
    covered = read_covered(Run(tmp_path).go(5).folder.path)
    assert covered == ((tmp_path / "journal.jsonl").stat().st_size, 5)
    Run(tmp_path).go(2)
    assert read_covered(tmp_path) == covered


def test_pictures_are_drawn_at_their_epochs(tmp_path: Path) -> None:
    run = Run(tmp_path).go(4, picture_epochs=frozenset({2, 4}))
    assert sorted(p.name for p in run.folder.samples.iterdir()) == [
        "grey-000002.png",
        "grey-000004.png",
    ]
    with Image.open(run.folder.samples / "grey-000002.png") as image:
        assert (image.mode, image.size) == ("L", (6, 4))


def test_state_is_saved_as_time_passes_and_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "FIRST_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(loop, "LEAST_SAVE_SECONDS", 3600.0)
    run = Run(tmp_path)

    def crash(epoch: int, length: int) -> None:
        raise KeyboardInterrupt

    run._finish = crash  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run.go(2)
    state = load_state(run.folder.state, "cpu")
    assert state is not None
    assert (state["epoch"], state["update"]) == (1, 1), "saved once, after the first update"
    assert Run(tmp_path).go(2).weight(2) == 3.0
