"""Had validation Dice flattened when training stopped?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

LEAST_POINTS = 5
"""Fewest epochs of a curve that can be cut into fifths."""


def late_rise(curves: Iterable[Sequence[float]]) -> float:
    """How much the curves still rose at their end.

    Args:
        curves: validation Dice by epoch, one sequence a training; shorter ones than `LEAST_POINTS`
            and ones with NaN in their last two fifths are left out.

    Returns:
        Mean over the last fifth of the epochs minus mean over the fifth before, mean over curves;
        NaN where no curve is left.
    """
    rises = []
    for curve in curves:
        part = len(curve) // LEAST_POINTS
        if part:
            values = np.asarray(curve, np.float64)
            rises.append(values[-part:].mean() - values[-2 * part : -part].mean())
    finite = [rise for rise in rises if np.isfinite(rise)]
    return float(np.mean(finite)) if finite else float("nan")


def at_budget(curves: Iterable[Sequence[float]], margin: float) -> bool:
    """Whether longer training would likely have moved Dice by more than the margin.

    False too where nothing is known: without validation patients no curve exists.
    """
    return late_rise(curves) > margin
