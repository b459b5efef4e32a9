"""`Score`: one measured number with what is needed to read it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import Any


@dataclass(frozen=True)
class Score:
    """A measured number. What cannot be measured is NaN with a reason, never an invented zero.

    Attributes:
        value: the score; NaN where `note` says why.
        interval: 95 % interval, or None where none is offered.
        n: images on each side (the smaller number, where the sides differ).
        units: what was counted as independent, e.g. "images" or "20 patients, 20 blocks".
        note: a caveat, or the reason of a NaN; None where there is nothing to say.
    """

    value: float
    interval: tuple[float, float] | None
    n: int
    units: str
    note: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data; NaN becomes None (the reason stays in `note`)."""
        return {
            "value": self.value if math.isfinite(self.value) else None,
            "interval": None if self.interval is None else list(self.interval),
            "n": self.n,
            "units": self.units,
            "note": self.note,
        }


def undefined(reason: str, n: int, units: str = "images") -> Score:
    """A score that cannot be computed, with the reason in words."""
    return Score(math.nan, None, n, units, reason)


SEEDS_FOR_INTERVAL = 3
"""Fewest seeds over which an interval is given."""


def seeds_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Student's 95 % interval of the mean over seeds; None below three of them, or where a value is
    not finite."""
    from scipy.special import stdtrit

    n = len(values)
    if n < SEEDS_FOR_INTERVAL or not all(map(math.isfinite, values)):
        return None
    half = float(stdtrit(n - 1, 0.975)) * stdev(values) / math.sqrt(n)
    return fmean(values) - half, fmean(values) + half


def share_interval(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share of n, at least 1, independent trials, in [0, 1].

    Unlike mean +- 2 standard errors it has a width at 0 and at n successes. Equals scipy.stats'
    `binomtest(successes, n).proportion_ci(level, "wilson")`, whose import takes half a second.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (successes + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * math.sqrt(successes * (n - successes) / n + z**2 / 4)
    return (middle - half if successes else 0.0), (middle + half if successes < n else 1.0)
