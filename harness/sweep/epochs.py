"""Epochs that a sweep trains, beside those that its trials would take one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.sweep.plan import SeedRun, SweepPlan


@dataclass(frozen=True)
class Epochs:
    """Attributes:
    alone: epochs if every asked trial and seed were trained from scratch.
    trained: epochs, those that trainings share counted once, as far as trainings went that fit
        their device.
    trainings: asked trials times seeds, those that fit their device.
    first_phases: at a constant rate, which trainings of several lengths share.
    pruned: seeds of asked trials that were left out.
    stopped: trainings that ended early by `sweep.stop_on` or a loss that is no number.
    checkpoints, checkpoint_epochs: further settings read out on the way at no cost, and the epochs
        that their seeds would have taken.
    """

    alone: int
    trained: int
    trainings: int
    first_phases: int
    pruned: int
    stopped: int
    checkpoints: int
    checkpoint_epochs: int

    @property
    def share(self) -> float:
        """Trained epochs as a share of those one by one."""
        return self.trained / self.alone if self.alone else 1.0

    @property
    def continued(self) -> int:
        """Trainings that went on from another one's epochs, or were passed by a longer one."""
        return self.trainings - self.first_phases


def count_epochs(plan: SweepPlan) -> Epochs:
    """Count a sweep's asked trials, finished or under way."""
    asked = [run for run in plan.trials if run.trial.checkpoint_of is None]
    seeds = [seed for run in asked for seed in run.seeds if not seed.too_large]
    steady = _longest(seeds)
    return Epochs(
        sum(seed.phases.epochs for seed in seeds),
        sum(steady.values()) + sum(_decays(seeds).values()),
        len(seeds),
        len(steady),
        sum(run.pruned_seeds for run in asked),
        sum(seed.stopped_at is not None for seed in seeds),
        len(plan.trials) - len(asked),
        sum(run.epochs * len(run.seeds) for run in plan.trials if run not in asked),
    )


def _longest(seeds: Iterable[SeedRun]) -> dict[str, int]:
    """The most epochs that any training takes of each first phase, by its digest."""
    longest: dict[str, int] = {}
    for seed in seeds:
        digest = seed.phases.steady.digest
        epochs = min(seed.phases.steady_epochs, _end(seed))
        longest[digest] = max(longest.get(digest, 0), epochs)
    return longest


def _decays(seeds: Iterable[SeedRun]) -> dict[str, int]:
    """Epochs of each decay, by its digest."""
    return {
        seed.phases.decay.digest: max(0, _end(seed) - seed.phases.steady_epochs)
        for seed in seeds
        if seed.phases.decay is not None
    }


def _end(seed: SeedRun) -> int:
    return seed.stopped_at or seed.phases.epochs
