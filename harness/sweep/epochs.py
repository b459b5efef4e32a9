"""Epochs that a sweep trains, beside those that its trials would take one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.records.spec import Phases
from harness.sweep.planner import SweepPlan


@dataclass(frozen=True)
class Epochs:
    """Attributes:
    alone: epochs if every asked trial and seed were trained from scratch.
    trained: epochs with lineages and constant phases shared.
    trainings: asked trials times seeds.
    lineages: first phases that they share.
    readouts, readout_epochs: further settings read out on the way at no cost, and the epochs that
        their seeds would have taken.
    """

    alone: int
    trained: int
    trainings: int
    lineages: int
    readouts: int
    readout_epochs: int

    @property
    def share(self) -> float:
        """Trained epochs as a share of those one by one."""
        return self.trained / self.alone if self.alone else 1.0

    @property
    def continued(self) -> int:
        """Trainings that went on from another one's epochs, or were passed by a longer one."""
        return self.trainings - self.lineages


def count_epochs(plan: SweepPlan) -> Epochs:
    """Count a sweep's asked trials, finished or under way."""
    asked = [run for run in plan.trials if run.trial.readout_of is None]
    phases = [seed.phases for run in asked for seed in run.seeds]
    steady = _longest(phases)
    decays = {p.decay.digest: p.epochs - p.steady_epochs for p in phases if p.decay is not None}
    return Epochs(
        sum(p.epochs for p in phases),
        sum(steady.values()) + sum(decays.values()),
        len(phases),
        len(steady),
        len(plan.trials) - len(asked),
        sum(run.epochs * len(run.seeds) for run in plan.trials if run not in asked),
    )


def _longest(phases: Iterable[Phases]) -> dict[str, int]:
    """The most epochs that any training wants of each first phase, by its digest."""
    found: dict[str, int] = {}
    for training in phases:
        digest = training.steady.digest
        found[digest] = max(found.get(digest, 0), training.steady_epochs)
    return found
