"""Tables of differences as they might have come out, many at a time: normal and not so normal.

Every shape has d[p, r] = effect + patient + replicate + residual with the spread that is asked for
and, at effect 0, a true mean of exactly 0. Tables come stacked: repeats x patients x replicates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.inference.crossed_t import VarianceComponents

Floats = NDArray[np.float64]
Size = tuple[int, int, int]
Part = Callable[[np.random.Generator, tuple[int, ...]], Floats]

LOG_SD = 0.72
"""Of the lognormal parts: skewness 3.0."""

OUTLIER_SHARE, OUTLIER_FACTOR = 0.05, 5.0
"""One patient in twenty spreads five times as wide."""

COLLAPSE_SHARE, COLLAPSE_DROP = 0.10, 0.20
"""Of one arm's replicates, and the Dice that a collapsed one loses."""

LEVEL = 0.85
"""Dice about which a bounded table is drawn when nothing better is known."""

SHARED_LOGIT_SD = 0.5
"""How patients differ in both arms alike: about 0.74 to 0.92 Dice where the middle is 0.85."""


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

BOUNDED = "bounded Dice"
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


def bounded(
    components: VarianceComponents, size: Size, rng: np.random.Generator, level: float = LEVEL
) -> Floats:
    """Differences of two arms whose Dice lie in (0, 1); the arms do not differ.

    Each arm's logit is logit(level) + a patient's part that both arms share + patient, replicate
    and residual parts of its own, all normal. The own parts' sds are `components` over sqrt 2
    and the slope of Dice in its logit at `level`, so the difference has about that spread there,
    and less for patients near 1. The arms are exchangeable, so the true mean difference is 0.

    Args:
        components: wanted sds of the difference.
        size: repeats, patients, replicates.
        rng: draws everything.
        level: Dice in the middle, between 0 and 1.
    """
    repeats, patients, replicates = size
    own = 1 / (math.sqrt(2) * level * (1 - level))
    shared = math.log(level / (1 - level)) + SHARED_LOGIT_SD * rng.standard_normal(
        (repeats, patients, 1)
    )

    def arm() -> Any:
        logit = shared + own * components.patient * rng.standard_normal((repeats, patients, 1))
        logit = logit + own * components.replicate * rng.standard_normal((repeats, 1, replicates))
        logit = logit + own * components.residual * rng.standard_normal(size)
        return 1 / (1 + np.exp(-logit))

    candidate, baseline = arm(), arm()
    return np.asarray(candidate - baseline, np.float64)
