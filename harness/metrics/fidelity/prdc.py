"""Precision, recall, density and coverage: fidelity and diversity apart, by nearest neighbours.

Around each image of one side lies a ball that reaches to its k-th nearest neighbour on that side.

- precision: share of synthetic images inside some real image's ball (Kynkaanniemi et al. 2019);
- recall: share of real images inside some synthetic image's ball (the same);
- density: real balls that a synthetic image lies in, mean, / k; may exceed 1 (Naeem et al. 2020);
- coverage: share of real images whose ball holds a synthetic image (the same).

Distances are Euclidean; "inside" is strictly nearer than the radius. All four depend on n and k: an
unlimited sample has no value of its own, so compare at equal n, beside the baseline of real halves.

Slices of one patient are near copies, so balls of real images often hold this patient alone and are
small: precision and coverage fall.

The intervals are about the expectation at this n. Simulated with 20 patients of 8 slices and 160
synthetic images, at three distances, they cover it in 94-99 % of 300 draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.metrics.distances import Array, Labels, Rows, distances, to_others
from harness.metrics.fidelity.jackknife import groups_of, jackknife, score_with_interval, units_of
from harness.metrics.fidelity.kid_fid import pair_features, trouble
from harness.metrics.score import Score, undefined

NAMES = ("precision", "recall", "density", "coverage")
_HIGHEST = (1.0, 1.0, math.inf, 1.0)
K = 5


@dataclass(frozen=True)
class Distances:
    """Euclidean distances within and between both sides, computed once and subset.

    Attributes:
        real: n x n, infinite between an image and itself.
        synthetic: m x m, likewise.
        across: n x m.
    """

    real: Array
    synthetic: Array
    across: Array

    @classmethod
    def of(cls, x: Array, y: Array) -> Distances:
        """From features n x d and m x d.

        By differences: balls on one side are compared with distances across to the last digit.
        """
        return cls(to_others(distances(x, x)), to_others(distances(y, y)), distances(x, y))

    def subset(self, real: Rows, synthetic: Rows) -> Distances:
        """Those of some images of each side."""
        return Distances(
            self.real[np.ix_(real, real)],
            self.synthetic[np.ix_(synthetic, synthetic)],
            self.across[np.ix_(real, synthetic)],
        )


def _radii(own: Array, k: int) -> Array | None:
    """Distance to the k-th nearest neighbour, n x n -> n; None where some image has fewer."""
    if len(own) < k:
        return None
    radii = np.partition(own, k - 1, axis=1)[:, k - 1]
    return radii if np.isfinite(radii).all() else None


def prdc_of_distances(sides: Distances, k: int = K) -> Array:
    """The four scores in the order of `NAMES`; NaN where a side has too few neighbours."""
    found = np.full(len(NAMES), math.nan)
    radii = _radii(sides.real, k)
    if radii is not None:
        inside = sides.across < radii[:, None]
        found[0] = inside.any(axis=0).mean()
        found[2] = inside.sum(axis=0).mean() / k
        found[3] = inside.any(axis=1).mean()
    radii = _radii(sides.synthetic, k)
    if radii is not None:
        found[1] = (sides.across < radii[None, :]).any(axis=1).mean()
    return found


def prdc(
    real: NDArray[Any],
    synthetic: NDArray[Any],
    k: int = K,
    patients: Labels | None = None,
    synthetic_patients: Labels | None = None,
) -> dict[str, Score]:
    """The four scores by name, with 95 % jackknife intervals, cut off at 0 and 1 (density: at 0).

    Args:
        real, synthetic: n x d, m x d; both may be below d.
        k: neighbours, at least 1.
        patients: n labels: the interval is over patients; None for independent images.
        synthetic_patients: m labels where the second side is real as well.

    Returns:
        Scores; NaN with the reason where an image has fewer than k neighbours (n <= k).

    Raises:
        DataError: k below 1, shapes that do not fit, or not one label per image.
    """
    x, y = pair_features(real, synthetic)
    if k < 1:
        raise DataError(f"k must be at least 1, but got {k}; use {K}")
    groups = groups_of(len(x), patients), groups_of(len(y), synthetic_patients, "synthetic")
    n, units = min(len(x), len(y)), units_of(*groups)
    bad = trouble(x, y)
    if bad is not None:
        return {name: undefined(str(bad.note), n, units) for name in NAMES}
    whole = Distances.of(x, y)
    found = jackknife(lambda a, b: prdc_of_distances(whole.subset(a, b), k), *groups)
    fewest = min(side.count for side in groups)
    return {
        name: undefined(_too_few(name, len(x), len(y), k), n, units)
        if math.isnan(value)
        else score_with_interval(
            float(value), float(variance), fewest, n, units, bounds=(0.0, highest)
        )
        for name, value, variance, highest in zip(NAMES, *found, _HIGHEST, strict=True)
    }


def _too_few(name: str, n: int, m: int, k: int) -> str:
    side, count = ("synthetic", m) if name == "recall" else ("real", n)
    return f"{name} needs more than k = {k} {side} images, but got {count}"
