"""Choose what all arms share, once: magnitude of augmentation, then the synthetic fraction.

Both sides of the primary comparison get as many candidates. Each is trained on the sweep's seeds,
which no replicate uses, and judged by validation Dice alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness.base.errors import DataError
from harness.compare.replicate import Replicate, ReplicatePlanner
from harness.config.arms import arm_of
from harness.inference.dose import AXIS_NAMES
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Spec


@dataclass(frozen=True)
class Candidate:
    """One value of an axis, with the segmenters that judge it.

    Attributes:
        dice: validation Dice of each seed at the end of its training, None until it is known.
    """

    axis: str
    value: float
    arm: str
    replicates: tuple[Replicate, ...]
    dice: tuple[float | None, ...]

    @property
    def mean(self) -> float | None:
        known = [value for value in self.dice if value is not None]
        return sum(known) / len(known) if len(known) == len(self.dice) else None

    def segmenters(self) -> list[tuple[int, Spec]]:
        """(seed, spec) of each."""
        return [(replicate.seed, replicate.segmenters[self.arm]) for replicate in self.replicates]


@dataclass
class TuningPlan:
    """The choice as planned so far: candidates by axis, and the value chosen of each."""

    segmenter_epochs: int
    candidates: dict[str, list[Candidate]]
    chosen: dict[str, float]

    @property
    def finished(self) -> bool:
        return all(axis in self.chosen for axis in AXIS_NAMES)

    def to_dict(self) -> dict[str, Any]:
        """Plain data by axis: the value chosen, the arm that judged, every candidate."""
        return {
            axis: {
                "chosen": self.chosen.get(axis),
                "arm": candidates[0].arm,
                "candidates": [
                    {"value": c.value, "validation_dice": c.mean, "seeds": list(c.dice)}
                    for c in candidates
                ],
            }
            for axis, candidates in self.candidates.items()
        }


def untunable(baseline: str, candidate: str) -> str:
    """Why the sides of a comparison have nothing to choose; empty where they have."""
    if not arm_of(baseline).augmented:
        return f"the baseline '{baseline}' does not augment"
    if not arm_of(candidate).pairs.generated:
        return f"the extra places of '{candidate}' hold no synthetic pairs"
    if not mixes_synthetic_pairs(candidate):
        return f"'{candidate}' does not mix its pairs with real ones"
    return ""


def mixes_synthetic_pairs(arm: str) -> bool:
    """Whether an arm's batches hold pairs that were made beside real ones."""
    return bool(arm_of(arm).pairs.generated) and arm_of(arm).order in ("mixed", "added")


@dataclass(frozen=True)
class Tuning:
    """Planner of the choice; `replicates` have the settings that both stages' sweeps chose."""

    replicates: ReplicatePlanner

    def plan(self, graph: JobGraph, ahead: bool = False) -> TuningPlan:
        """Ask for the magnitudes' segmenters, then for the shares' under the best magnitude.

        Args:
            ahead: ask for the shares' too where no magnitude is best yet, under the experiment's
                own; of a graph that runs nothing.
        """
        experiment = self.replicates.specs.experiment
        asked, rule = experiment.sweep.segmentation, experiment.decision
        assert asked is not None
        plan = TuningPlan(self.replicates.specs.segmenter_epochs(), {}, {})
        under = self.replicates.with_segmentation
        magnitudes = [
            self._candidate(graph, "magnitude", m, rule.baseline, under(m)) for m in asked.magnitude
        ]
        plan.candidates["magnitude"] = magnitudes
        magnitude = _best(magnitudes, experiment.segmentation.augmentation.magnitude)
        if magnitude is None and ahead:
            magnitude = experiment.segmentation.augmentation.magnitude
        if magnitude is None:
            return plan
        plan.chosen["magnitude"] = magnitude
        shares = [
            self._candidate(graph, "synthetic_fraction", s, rule.candidate, under(magnitude, s))
            for s in asked.synthetic_fraction
        ]
        plan.candidates["synthetic_fraction"] = shares
        share = _best(shares, experiment.segmentation.synthetic_fraction)
        if share is not None:
            plan.chosen["synthetic_fraction"] = share
        return plan

    def _candidate(
        self, graph: JobGraph, axis: str, value: float, arm: str, replicates: ReplicatePlanner
    ) -> Candidate:
        planned, dice = [], []
        for seed in range(replicates.specs.experiment.sweep.seeds):
            replicate = replicates.plan(graph, seed, (arm,), f"{axis} {value:g}, seed {seed}")
            epochs = replicates.specs.segmenter_epochs()
            result = graph.folder(replicate.segmenters[arm]).result(epochs)
            if result is not None and result["values"]["validation_dice"] is None:
                raise DataError(
                    "the choice of magnitude and share needs validation patients with "
                    "contours, but validation Dice is not defined; change data.roles, or "
                    "set sweep.segmentation to null"
                )
            planned.append(replicate)
            dice.append(result["values"]["validation_dice"] if result else None)
        return Candidate(axis, value, arm, tuple(planned), tuple(dice))


def _best(candidates: Iterable[Candidate], own: float) -> float | None:
    """The value of the highest mean, of equal ones the nearest to the experiment's own; None while
    one is unknown."""
    ranked = []
    for candidate in candidates:
        if candidate.mean is None:
            return None
        ranked.append((-candidate.mean, abs(candidate.value - own), candidate.value))
    return min(ranked)[2]
