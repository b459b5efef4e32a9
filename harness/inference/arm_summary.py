"""Each arm by itself: its mean with an interval, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.inference.table import Table


@dataclass(frozen=True)
class ArmMean:
    """Mean of one arm over patients and replicates.

    Attributes:
        mean: with cells that lack filled in where that gives an interval; else of those there are.
        interval_95: of the mean, patients and replicates both random; None where too few of either
            or too many cells that lack allow none. Arms share patients and seeds, so overlap of two
            arms' intervals says nothing about their difference.
        replicate_means: of the cells there are, in the table's order of replicates.
    """

    arm: str
    mean: float
    interval_95: tuple[float, float] | None
    replicate_means: tuple[float, ...]


def arm_means(table: Table) -> list[ArmMean]:
    """A summary per arm, in the table's order."""
    found = []
    for arm in table.arms:
        values = table.values(arm)
        about = table.infer(values)
        means = np.ma.masked_invalid(values).mean(axis=0).filled(np.nan)
        found.append(ArmMean(arm, about.mean, about.interval_95, tuple(means.tolist())))
    return found


@dataclass(frozen=True)
class ArmCost:
    """What one arm of a comparison took, over all replicates.

    Attributes:
        segmenter_seconds: training of its segmenters.
        generator_seconds: both GAN stages and what they made, where the arm uses them; arms that
            share generators each count them whole.
        settings_tried: settings of its generators that the sweeps tried on validation patients.
        candidates: settings of the segmenter that what the arm trains under was chosen among, on
            validation patients; by the arm itself or by the one that it controls.
    """

    arm: str
    segmenter_seconds: float
    generator_seconds: float
    settings_tried: int
    candidates: int = 0
