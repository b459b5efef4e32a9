"""The Optuna study of one stage: asked deterministically, told in trial order.

The study says which trials exist; their scores live in the job folders. Each trial is asked on an
in-memory copy of the study by a sampler seeded with (seed, trial number), then entered in one
write. A killed driver therefore finds either no trial or a whole one, and the same study gives the
same trials whatever the number of workers, kills and restarts, as long as every training fits its
device.

A long training is read out at the shorter lengths that the space lists. Those checkpoints are
entered as finished trials of their own: they cost nothing, and later trials are asked with them.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.base.files import digest_of
from harness.base.owned import look_before
from harness.base.rng import seed_of
from harness.config.experiment import to_dict
from harness.config.search import StageSweepConfig, SweepConfig
from harness.metrics.records import title_of
from harness.sweep.space import ask, distributions, grid_cells
from harness.sweep.storage import Server, open_study

if TYPE_CHECKING:
    import optuna

# A failed trial is infeasible by constraint; Optuna still wants a finite value.
FAILED_VALUE = 1e6
CHECKPOINT_OF = "checkpoint_of"
ENDED_AT = "ended_at"


@dataclass(frozen=True)
class Trial:
    """A setting of the space. `value` is None until the trial is told.

    Attributes:
        checkpoint_of: number of the longer trial that it was read out of; None for one that was
        asked.
        seeds: how many seeds were run of a told trial; None before.
        pruned: whether the rest of its seeds was left out; it is never chosen.
        further: means of the further objectives of a told trial, where every seed gave a number.
    """

    number: int
    params: Mapping[str, Any]
    value: float | None
    failed_seeds: int
    checkpoint_of: int | None = None
    seeds: int | None = None
    pruned: bool = False
    further: Mapping[str, float] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether it could be chosen: told, with no seed failed and none left out."""
        return self.value is not None and not self.failed_seeds and not self.pruned


def study_name(stage: str, sweep: SweepConfig, settings: StageSweepConfig, base: str) -> str:
    """The study that these settings belong to; arguments as of `Study`."""
    asked = {**to_dict(settings), "direction": settings.towards}
    del asked["trials"]  # more trials later continue the study
    if not asked["further_objectives"]:
        del asked["further_objectives"]
    for axis in asked["space"].values():
        if not axis["when"]:  # a space without conditions is called as it was before there were any
            del axis["when"]
    parts = [stage, asked, sweep.seeds, sweep.seed, sweep.sampler, sweep.trials_per_batch, base]
    parts += [sorted(sweep.stop_on)] if sweep.stop_on else []
    identity = digest_of(parts + (["prune"] if sweep.prune else []))
    return f"{stage}-{identity[:12]}"


class Study:
    """One stage's study in a database of its own, or on a server.

    Every method may be called again after an `Outage`, as after a kill: a trial is entered in one
    transaction, what `tell` writes before the trial's end is written over with equal values, and
    `ask_wave` and the planner look at the trials that are there before they add to them.

    Args:
        path: sqlite file; made under a temporary name by the first user.
        settings: the stage's part of the sweep's.
        base: digest of what else the scores depend on (store, stage settings, extractor): another
            base is another study.
        server: where the study is instead of in the file.

    Raises:
        EnvironmentFault: the server does not let us in.
    """

    def __init__(
        self,
        path: Path,
        stage: str,
        sweep: SweepConfig,
        settings: StageSweepConfig,
        base: str,
        server: Server | None = None,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        self._path = path
        self._sweep = sweep
        self._settings = settings
        self._directions = [settings.towards, *settings.further_objectives.values()]
        self.name = study_name(stage, sweep, settings, base)
        names = [title_of(settings.objective), *map(title_of, settings.further_objectives)]
        self._study = open_study(path, self.name, self._directions, names, server)
        self._space = distributions(settings.space)
        self._told: dict[int, Trial] = {}
        self._conditional = any(axis.when for axis in settings.space.values())

    def trials(self) -> list[Trial]:
        """All trials, by number."""
        return [
            self._told.get(frozen.number) or self._read(frozen)
            for frozen in self._study.get_trials(deepcopy=False)
        ]

    def _read(self, frozen: optuna.trial.FrozenTrial) -> Trial:
        import optuna

        told = frozen.state.is_finished()
        trial = Trial(
            frozen.number,
            dict(frozen.params),
            frozen.values[0] if told else None,
            int(frozen.user_attrs.get("failed_seeds", 0)),
            frozen.user_attrs.get(CHECKPOINT_OF),
            len(frozen.user_attrs["seed_values"]) if told else None,
            frozen.state == optuna.trial.TrialState.PRUNED,
            self._further(frozen.values[1:]) if told else {},
        )
        if told:  # and stays as it is
            self._told[trial.number] = trial
        return trial

    def _further(self, values: Sequence[float]) -> dict[str, float]:
        """Means of the further objectives by name; where a seed gave no number there is none."""
        named = zip(self._settings.further_objectives, values, strict=True)
        return {name: value for name, value in named if abs(value) != FAILED_VALUE}

    def asked(self) -> list[Trial]:
        """Trials that were asked, in their order; checkpoints of longer ones are left out."""
        return [trial for trial in self.trials() if trial.checkpoint_of is None]

    def ask_wave(self) -> list[Trial]:
        """Enter the next wave, or what is missing of one that was cut short.

        Waves are the asked trials 0 to wave - 1, wave to 2 wave - 1 and so on; the next one begins
        when every trial is told.

        Returns:
            The new trials: fewer than a wave at the end, none while a whole wave waits for its
            results or if all trials exist.
        """
        import optuna

        trials, wave = self.asked(), self._sweep.trials_per_batch
        existing = len(trials)
        if existing % wave == 0 and any(trial.value is None for trial in trials):
            return []
        for number in range(existing, min(self.total(), (existing // wave + 1) * wave)):
            self._enter(self._next(number), state=optuna.trial.TrialState.RUNNING)
        return self.asked()[existing:]

    def end_at(self, trials: int | None) -> None:
        """Note that a budget ended the search after so many asked trials; None takes it back."""
        if self._study.user_attrs.get(ENDED_AT) != trials:
            look_before(self._path)
            self._study.set_user_attr(ENDED_AT, trials)

    def ended_at(self) -> float:
        """Asked trials after which a budget ended the search; infinite where none did."""
        ended = self._study.user_attrs.get(ENDED_AT)
        return math.inf if ended is None else int(ended)

    def total(self) -> int:
        """Trials that the sweep wants; a grid has no more than its cells."""
        if self._sweep.sampler == "grid":
            cells = len(grid_cells(self._settings.space, self._sweep.seed))
            return min(self._settings.trials, cells)
        return self._settings.trials

    def _next(self, index: int) -> dict[str, Any]:
        """Settings of the asked trial at an index in their order."""
        if self._sweep.sampler == "grid":
            return grid_cells(self._settings.space, self._sweep.seed)[index]
        import optuna

        seed = seed_of(self._sweep.seed, "ask", self.name.split("-")[0], index)
        copy = optuna.create_study(directions=self._directions, sampler=self._sampler(seed))
        copy.add_trials(self._before(index))
        if self._conditional:
            return ask(copy.ask(), self._settings.space)
        return copy.ask(self._space).params

    def _before(self, index: int) -> list[optuna.trial.FrozenTrial]:
        """What a trial is asked with: results of earlier waves with what was read out of them, then
        settings alone of its own wave.

        Whether its wave mates were told meanwhile (the wave was cut short, or more trials are
        wanted now) must not change it.
        """
        import optuna

        frozen = self._study.get_trials(deepcopy=True)
        trials = [trial for trial in frozen if CHECKPOINT_OF not in trial.user_attrs][:index]
        first = index - index % self._sweep.trials_per_batch
        earlier = {trial.number for trial in trials[:first]}
        checkpoints = [t for t in frozen if t.user_attrs.get(CHECKPOINT_OF) in earlier]
        checkpoints.sort(key=lambda t: (t.user_attrs[CHECKPOINT_OF], t.number))
        running = optuna.trial.TrialState.RUNNING
        mates = [
            optuna.trial.create_trial(
                state=running, params=trial.params, distributions=trial.distributions
            )
            for trial in trials[first:]
        ]
        return trials[:first] + checkpoints + mates

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        import optuna

        short = seed % 2**32
        if self._sweep.sampler == "random":
            return optuna.samplers.RandomSampler(seed=short)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constant_liar is marked experimental
            if self._sweep.sampler == "gp":
                return optuna.samplers.GPSampler(seed=short)
            return optuna.samplers.TPESampler(
                seed=short,
                multivariate=True,
                constant_liar=True,
                group=self._conditional,  # one density for each set of axes that go together
            )

    def _enter(self, params: Mapping[str, Any], **known: Any) -> None:
        import optuna

        look_before(self._path)
        shapes = {path: self._space[path] for path in params}
        self._study.add_trial(
            optuna.trial.create_trial(params=dict(params), distributions=shapes, **known)
        )

    def tell(
        self,
        number: int,
        values: Sequence[float | None],
        failed_seeds: int,
        pruned: bool = False,
        further: Sequence[Sequence[float | None]] = (),
    ) -> None:
        """Finish a trial: mean over its seeds, infeasible if a seed failed.

        Args:
            pruned: further seeds were left out.
            further: values over the seeds of each further objective.
        """
        import optuna

        look_before(self._path)
        frozen = self._study.get_trials(deepcopy=False)[number]
        trial = optuna.trial.Trial(self._study, frozen._trial_id)
        trial.set_user_attr("failed_seeds", failed_seeds)
        trial.set_user_attr("seed_values", _readable(values))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # told again after a cut: the value is there already
            trial.set_constraint("failed_seeds", float(failed_seeds))
        if self._sweep.prune:
            for step, mean in enumerate(running_means(values)):
                trial.report(mean, step)
        if pruned:
            self._study.tell(number, state=optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(number, self._means([values, *further]))

    def should_prune(self, number: int, values: Sequence[float | None]) -> bool:
        """Whether a trial's further seeds may be left out, by trials of earlier waves alone.

        Args:
            number: of an asked trial that is not told.
            values: the objective of its seeds so far, in seed order.
        """
        import optuna

        means = running_means(values)
        if not self._sweep.prune or len(means) < len(values):
            return False
        trials = self._study.get_trials(deepcopy=True)
        asked = [trial for trial in trials if CHECKPOINT_OF not in trial.user_attrs]
        numbers = [trial.number for trial in asked]
        if number not in numbers:  # of a preview, that nobody asked yet
            return False
        index = numbers.index(number)
        copy = optuna.create_study(
            direction=self._settings.towards,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=0),
        )
        copy.add_trials(asked[: index - index % self._sweep.trials_per_batch])
        trial = copy.ask()
        for step, mean in enumerate(means):
            trial.report(mean, step)
        return trial.should_prune()

    def enter_checkpoint(
        self,
        of: int,
        params: Mapping[str, Any],
        values: Sequence[float | None],
        failed_seeds: int,
        further: Sequence[Sequence[float | None]] = (),
    ) -> None:
        """Enter what trial `of` was at an earlier epoch as a finished trial."""
        told = {"failed_seeds": failed_seeds, "seed_values": _readable(values), CHECKPOINT_OF: of}
        self._enter(
            params,
            values=self._means([values, *further]),
            user_attrs=told,
            constraints={"failed_seeds": float(failed_seeds)},
        )

    def _means(self, values: Sequence[Sequence[float | None]]) -> list[float]:
        """Mean over seeds of every objective; a stand-in where a seed has no number."""
        means = []
        for direction, seeds in zip(self._directions, values, strict=True):
            numbers = [value for value in seeds if value is not None]
            failed = FAILED_VALUE if direction == "minimize" else -FAILED_VALUE
            means.append(sum(numbers) / len(numbers) if len(numbers) == len(seeds) else failed)
        return means

    def front(self) -> list[int]:
        """Numbers of the trials on the Pareto front, ascending; of one objective, the best ones."""
        sound = {trial.number for trial in self.trials() if trial.sound}
        if not sound:
            return []
        return sorted(t.number for t in self._study.best_trials if t.number in sound)

    def best(self) -> Trial | None:
        """The best trial without failed seeds by the first objective, of equal ones one on the
        Pareto front; None if every one failed."""
        sound = [trial for trial in self.trials() if trial.sound]
        if not sound:
            return None
        sign = 1.0 if self._settings.towards == "minimize" else -1.0
        front = set(self.front()) if self._settings.further_objectives else set()
        aside = {trial.number for trial in sound} - front if front else set()
        return min(sound, key=lambda t: (sign * (t.value or 0.0), t.number in aside, t.number))


def running_means(values: Sequence[float | None]) -> list[float]:
    """Mean of the first value, of the first two and so on, up to one that is no number."""
    means: list[float] = []
    for count, value in enumerate(values, 1):
        if value is None:
            break
        means.append(((means[-1] if means else 0.0) * (count - 1) + value) / count)
    return means


def _readable(values: Sequence[float | None]) -> list[float | None]:
    """Values in four digits, for people: the exact ones are in the job folders."""
    return [None if value is None else float(f"{value:.4g}") for value in values]
