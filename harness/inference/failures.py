"""How often each arm fails, and how it does on its worst patients: a mean hides both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.base.text import percent
from harness.inference.table import Table

FAILED_BELOW = 0.1
"""A segmentation of lower Dice has not found its structure."""
FAILED = f"failures (Dice below {FAILED_BELOW:g})"
OFTEN = 0.05
"""A share of failures beyond it comes before the verdict."""
WORST = 0.1
"""Share of the patients, rounded up, that are the worst ones."""


@dataclass(frozen=True)
class ArmFailures:
    """One arm's failures among its segmentations: one per structure, patient and replicate.

    Attributes:
        segmentations: those of contoured structures.
        failed: of a Dice below `FAILED_BELOW`, empty ones among them.
        empty: without a voxel.
        worst_tenth: mean of the measure over the worst tenth of patients, by their means over
            replicates; NaN where cells are missing.
    """

    arm: str
    segmentations: int
    failed: int
    empty: int
    worst_tenth: float

    @property
    def share(self) -> float:
        return self.failed / self.segmentations

    def words(self, count: int) -> str:
        """So many of the segmentations."""
        return f"{count} of {self.segmentations} ({percent(count / self.segmentations)})"


def arm_failures(
    table: Table, structures: Mapping[str, Mapping[str, Table]], lower_is_better: bool
) -> tuple[ArmFailures, ...]:
    """Failures by arm, in the order of the table; () where no structure was measured.

    Args:
        table: cells of the measure that is decided, a patient's mean over structures.
        structures: tables of `dice` and `predicted_ml`, by structure.
    """
    found = []
    for arm in table.arms if structures else ():
        dice, predicted = (
            np.concatenate([of[name].values(arm).ravel() for of in structures.values()])
            for name in ("dice", "predicted_ml")
        )
        scored = np.isfinite(dice)  # elsewhere nothing was to be found, and nothing was
        empty = int((predicted[scored] == 0).sum())
        failed, count = int((dice[scored] < FAILED_BELOW).sum()), int(scored.sum())
        if count:
            worst = _worst_tenth(table, arm, lower_is_better)
            found.append(ArmFailures(arm, count, failed, empty, worst))
    return tuple(found)


def _worst_tenth(table: Table, arm: str, lower_is_better: bool) -> float:
    means = table.values(arm).mean(axis=1)
    if not np.isfinite(means).all():
        return math.nan
    ordered = np.sort(means)[:: -1 if lower_is_better else 1]
    return float(ordered[: math.ceil(WORST * len(ordered))].mean())


def failing_words(failures: Sequence[ArmFailures], pair: tuple[str, str]) -> str:
    """A sentence on the failures of both arms (baseline, candidate); "" where neither often fails
    or nobody counted."""
    of = {entry.arm: entry for entry in failures}
    if not of.keys() >= {*pair} or max(of[arm].share for arm in pair) <= OFTEN:
        return ""
    baseline, candidate = (of[arm] for arm in pair)
    return (
        f"{candidate.arm} fails on {candidate.words(candidate.failed)} of its segmentations of "
        f"test structures (Dice below {FAILED_BELOW:g}), against "
        f"{baseline.words(baseline.failed)} of {baseline.arm}."
    )
