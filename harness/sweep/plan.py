"""A sweep as planned so far: its trials, their seeds, and what each came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.config.stages import StageConfig
from harness.jobs.spec import Phases, Spec
from harness.sweep.study import Trial


@dataclass(frozen=True)
class SeedRun:
    """One seed of a trial: its training, its scores by epoch, and what the last one says.

    Attributes:
        stopped_at: the epoch at which the training ended before its time; None if it did not.
        tests: of a Stage II (`legacy.stage_two`), by epoch and what was done otherwise; before
            the last epoch only as trained.
        too_large: why the training, or a score of it, does not fit its device; empty where they
            do. Such a seed has no result, and failed.
    """

    seed: int
    phases: Phases
    scores: dict[int, Spec]
    result: dict[str, Any] | None
    stopped_at: int | None = None
    too_large: str = ""
    tests: Mapping[tuple[int, str], Spec] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.result is not None or bool(self.too_large)

    @property
    def measured(self) -> tuple[Spec, ...]:
        """The jobs that look at what was trained."""
        return (*self.scores.values(), *self.tests.values())

    @property
    def training(self) -> Spec:
        """The job whose journal is that of the whole training."""
        return self.phases.last


@dataclass(frozen=True)
class TrialRun:
    """One trial with its seeds.

    Attributes:
        pruned_seeds: how many further seeds were left out.
    """

    trial: Trial
    settings: StageConfig
    epochs: int
    seeds: tuple[SeedRun, ...]
    pruned_seeds: int = 0

    @property
    def too_large(self) -> str:
        """Why its first seed that does not fit its device does not; empty where all fit."""
        return next((seed.too_large for seed in self.seeds if seed.too_large), "")


@dataclass
class SweepPlan:
    """A stage's sweep as planned so far.

    Attributes:
        front: numbers of the trials on the Pareto front; empty with one objective.
        finished: every trial that was asked is told, and no further one is to be asked.
        complete: finished, and not because the budget was.
    """

    stage: str
    study: str
    objective: str
    direction: str
    trials: list[TrialRun] = field(default_factory=list)
    best: Trial | None = None
    front: list[int] = field(default_factory=list)
    finished: bool = False
    complete: bool = False

    def seeds(self) -> list[tuple[TrialRun, SeedRun]]:
        """Every seed with its trial."""
        return [(run, seed) for run in self.trials for seed in run.seeds]
