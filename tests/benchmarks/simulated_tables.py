"""Tables of differences as they might have come out, many at a time: normal and not so normal.

Every shape has d[p, r] = effect + patient + replicate + residual with the spread that is asked for
and, at effect 0, a true mean of exactly 0. Tables come stacked: repeats x patients x replicates.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from harness.base.errors import DataError
from harness.inference.crossed_t import VarianceComponents
from harness.inference.simulation import BOUNDED, Floats, bounded

Part = Callable[[np.random.Generator, tuple[int, ...]], Floats]

LOG_SD = 0.72
"""Of the lognormal parts: skewness 3.0."""

OUTLIER_SHARE, OUTLIER_FACTOR = 0.05, 5.0
"""One patient in twenty spreads five times as wide."""

COLLAPSE_SHARE, COLLAPSE_DROP = 0.10, 0.20
"""Of one arm's replicates, and the Dice that a collapsed one loses."""


def _normal(rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    return rng.standard_normal(size)


def _t3(rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    return np.asarray(rng.standard_t(3, size) / math.sqrt(3), np.float64)


def _outliers(rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    wide = np.where(rng.random(size) < OUTLIER_SHARE, OUTLIER_FACTOR, 1.0)
    variance = 1 - OUTLIER_SHARE + OUTLIER_SHARE * OUTLIER_FACTOR**2
    return np.asarray(rng.standard_normal(size) * wide / math.sqrt(variance), np.float64)


def _lognormal(rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    factor = math.exp(LOG_SD**2)
    raw = np.exp(LOG_SD * rng.standard_normal(size))
    return np.asarray((raw - math.sqrt(factor)) / math.sqrt(factor * (factor - 1)), np.float64)


def _collapsing(rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    """Losses of replicates in Dice (not in standard deviations), centred."""
    return np.asarray(
        COLLAPSE_DROP * (COLLAPSE_SHARE - (rng.random(size) < COLLAPSE_SHARE)), np.float64
    )


PARTS: dict[str, tuple[Part, Part, Part]] = {
    "normal": (_normal, _normal, _normal),
    "t3 patients": (_t3, _normal, _normal),
    "outlier patients": (_outliers, _normal, _normal),
    "t3 everywhere": (_t3, _t3, _t3),
    "lognormal patients": (_lognormal, _normal, _normal),
    "lognormal replicates": (_normal, _lognormal, _normal),
    "collapsing replicates": (_normal, _normal, _normal),
}
"""By name: what patients, replicates and residuals are drawn from, at standard deviation 1."""

SHAPES = (*PARTS, BOUNDED)


def draw(
    shape: str,
    components: VarianceComponents,
    patients: int,
    replicates: int,
    repeats: int,
    rng: np.random.Generator,
    effect: float = 0.0,
) -> Floats:
    """Simulated tables, repeats x patients x replicates.

    Args:
        shape: one of `SHAPES`; "bounded Dice" is `bounded` about `LEVEL`.
        components: standard deviations of the three parts; "collapsing replicates" adds its losses.
        patients, replicates: of one table.
        repeats: tables.
        rng: draws everything.
        effect: the true difference in Dice, added to every cell.

    Raises:
        DataError: no such shape.
    """
    size = (repeats, patients, replicates)
    if shape == BOUNDED:
        return bounded(components, size, rng) + effect
    if shape not in PARTS:
        raise DataError(
            f"a shape must be one of: {', '.join(SHAPES)}; but got '{shape}'; name one of them"
        )
    by_patient, by_replicate, rest = PARTS[shape]
    tables = components.patient * by_patient(rng, (repeats, patients, 1)) + effect
    tables = tables + components.replicate * by_replicate(rng, (repeats, 1, replicates))
    if shape == "collapsing replicates":
        tables += _collapsing(rng, (repeats, 1, replicates))
    return np.asarray(tables + components.residual * rest(rng, size), np.float64)


def wilcoxon_on_one_replicate(
    components: VarianceComponents, patients: int, repeats: int, rng: np.random.Generator
) -> float:
    """What not to do: share of true nulls rejected (p < 0.05) from the patients of one replicate.

    The signed-rank test sees no other replicate, so the one that was drawn counts as the effect.
    """
    from scipy import stats

    d = rng.normal(0, components.replicate, (repeats, 1))
    d = d + rng.normal(0, math.hypot(components.patient, components.residual), (repeats, patients))
    return float((stats.wilcoxon(d, axis=1).pvalue < 0.05).mean())
