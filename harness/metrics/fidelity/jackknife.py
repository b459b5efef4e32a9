"""Intervals of scores between a real and a synthetic set, where images are not independent.

Slices of one patient are near copies, so the real side is resampled by patient. Synthetic images
are independent draws; deleting them in blocks is as good as one by one, and cheaper.

Delete-a-group jackknife: with one of g groups of a side deleted at a time, (g - 1) / g times the
sum of squared deviations of the g values from their mean estimates the variance that this side
brings. The sides are independent, so the two variances are added. The 95 % interval uses t with
(smaller number of groups - 1) degrees of freedom.

It is an interval of the score's expectation at this number of images: a bias that depends on n
(FID, the k-nearest-neighbour scores) is neither seen nor removed.

Source: Tukey 1958, Efron and Stein 1981 (on average not too small); measured coverage stands in the
docstrings of the scores that use it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.base.errors import DataError
from harness.metrics.distances import Array, Labels, Rows
from harness.metrics.score import Score

Statistic = Callable[[Rows, Rows], float | Array]

BLOCKS = 20
"""Blocks of independent images that are deleted in turn."""

SMALLEST_GROUPS = 3
"""Groups that each side needs for an interval; 2 would leave one degree of freedom."""


@dataclass(frozen=True)
class Groups:
    """What is deleted together on one side.

    Attributes:
        codes: group number 0 .. count - 1 of each image.
        count: groups.
        unit: "patients" or "blocks".
    """

    codes: Rows
    count: int
    unit: str


def groups_of(n: int, labels: Labels | None, side: str = "real") -> Groups:
    """Groups of n images: by patient, or 20 blocks (n, if fewer) of independent images.

    Args:
        n: images.
        labels: n patient labels, or None for independent images.
        side: "real" or "synthetic", for the message.

    Raises:
        DataError: not one label per image.
    """
    if labels is None:
        count = min(BLOCKS, n)
        return Groups(np.arange(n) % max(count, 1), count, "blocks")
    if len(labels) != n:
        raise DataError(
            f"patients must name one patient per {side} image, "
            f"but got {len(labels)} labels for {n} images; pass one label each"
        )
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    return Groups(codes, len(names), "patients")


def units_of(real: Groups, synthetic: Groups) -> str:
    """In words, what was resampled: "20 patients, 20 blocks"."""
    return f"{real.count} {real.unit}, {synthetic.count} {synthetic.unit}"


def deletion_variance(values: Array) -> Array:
    """Jackknife variance from the values with one group deleted: g (x k) -> scalar (k)."""
    g = len(values)
    return (g - 1) / g * ((values - values.mean(axis=0)) ** 2).sum(axis=0)


def jackknife(
    statistic: Statistic, real_groups: Groups, synthetic_groups: Groups
) -> tuple[Array, Array]:
    """Value and variance of a statistic, by deleting one group at a time on each side.

    Args:
        statistic: of the row numbers kept on the real and on the synthetic side, ascending;
            returns one number or k of them.

    Returns:
        The value of all images, a scalar array or k numbers; the variance, of the same shape: NaN
        below 3 groups on a side, and where a deletion left the statistic undefined.
    """
    real, synthetic = real_groups.codes, synthetic_groups.codes
    all_real, all_synthetic = np.arange(len(real)), np.arange(len(synthetic))
    value = np.asarray(statistic(all_real, all_synthetic), np.float64)
    if min(real_groups.count, synthetic_groups.count) < SMALLEST_GROUPS:
        return value, np.full_like(value, math.nan)
    without_real = [
        statistic(np.flatnonzero(real != gone), all_synthetic) for gone in range(real_groups.count)
    ]
    without_synthetic = [
        statistic(all_real, np.flatnonzero(synthetic != gone))
        for gone in range(synthetic_groups.count)
    ]
    sides = [deletion_variance(np.array(values)) for values in (without_real, without_synthetic)]
    return value, sides[0] + sides[1]


def score_with_interval(
    value: float,
    variance: float,
    fewest: int,
    n: int,
    units: str,
    note: str | None = None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Score:
    """The score with its 95 % interval, or without one and with the reason.

    Args:
        fewest: groups of the side that has fewer; they give the degrees of freedom.
        bounds: lowest and highest value that the score can take; the interval is cut off there.
    """
    reason = None
    if fewest < SMALLEST_GROUPS:
        reason = f"fewer than {SMALLEST_GROUPS} groups on a side: no interval"
    elif math.isnan(variance):
        reason = "a set without one group is too small: no interval"
    elif variance == 0:
        # A width of 0 would claim certainty where nothing was learnt about the spread.
        reason = "no deletion changes the value: no interval"
    if reason is not None:
        return Score(value, None, n, units, reason if note is None else f"{note}; {reason}")
    from scipy import stats

    half = float(stats.t.isf(0.025, fewest - 1)) * math.sqrt(variance)
    low, high = max(bounds[0], value - half), min(bounds[1], value + half)
    return Score(value, (low, high), n, units, note)
