"""How many real patients an arm is worth: where the baseline's learning curve reaches its score.

The curve is the baseline's mean score by number of training patients, straight between its points
over the logarithm of that number. The interval holds every number at which the curve cannot be told
from the arm's score at 5 % (inversion of `harness.inference.unpaired`): test patients are the same
everywhere, trainings of different sizes are not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.text import counted
from harness.inference.crossed_t import PATIENTS_FOR_INTERVAL, REPLICATES_FOR_INTERVAL
from harness.inference.table import Table
from harness.inference.unpaired import unpaired_t

STEPS = 100
"""Numbers of patients, evenly spaced in their logarithm, that are tried for the interval."""


@dataclass(frozen=True)
class Worth:
    """What an arm trained from some patients is worth in patients of the baseline.

    Attributes:
        patients: real training patients that the arm had.
        worth: of the baseline's, with the same mean score; -inf or inf beyond the curve.
        interval_95: its ends, -inf or inf beyond the curve; None with too few test patients or
            trainings.
        curve: fewest and most patients on the baseline's curve.
    """

    arm: str
    baseline: str
    patients: int
    worth: float
    interval_95: tuple[float, float] | None
    curve: tuple[int, int]

    @property
    def sentence(self) -> str:
        """In words, rounded to a tenth of a patient."""
        interval = "no interval"
        if self.interval_95:
            low, high = map(self._words, self.interval_95)
            interval = f"95 % interval {low}" + (f" to {high}" if high != low else "")
        had = counted(self.patients, "real patient")
        of = f"{self.baseline} from {self._words(self.worth)}"
        return f"{self.arm} from {had} is worth {of} ({interval})"

    def _words(self, number: float) -> str:
        if math.isinf(number):
            return f"{self.curve[0]} or fewer" if number < 0 else f"{self.curve[1]} or more"
        return f"{number:.1f}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data; ends beyond the curve are None and in the sentence."""
        inside = [None if math.isinf(n) else n for n in self.interval_95 or ()]
        return {
            "arm": self.arm,
            "baseline": self.baseline,
            "patients": self.patients,
            "worth": None if math.isinf(self.worth) else self.worth,
            "interval_95": inside or None,
            "sentence": self.sentence,
        }


def worth(
    tables: Mapping[int, Table], baseline: str, arm: str, lower_is_better: bool = False
) -> list[Worth]:
    """Of an arm at every number of patients at which it was trained.

    Args:
        tables: cells by number of training patients, 2 or more; all of the same test patients. The
            baseline is in each, the arm in some.
        lower_is_better: a curve that falls is one that learns.
    """
    sign = -1.0 if lower_is_better else 1.0
    sizes = sorted(tables)
    curve = {size: sign * tables[size].values(baseline) for size in sizes}
    there = [size for size in sizes if arm in tables[size].arms]
    return [_worth(curve, size, sign * tables[size].values(arm), (arm, baseline)) for size in there]


def _worth(
    curve: Mapping[int, NDArray[np.float64]],
    size: int,
    scores: NDArray[np.float64],
    names: tuple[str, str],
) -> Worth:
    sizes = list(curve)
    means = [float(curve[n].mean()) for n in sizes]
    target = float(scores.mean())
    tried = np.unique([*np.geomspace(sizes[0], sizes[-1], STEPS), *map(float, sizes)])
    heights = np.interp(np.log(tried), np.log(sizes), means)
    value = math.copysign(math.inf, target - means[0])
    if heights.min() <= target <= heights.max():
        at = int(np.flatnonzero(heights >= target)[0])
        ends = slice(max(at - 1, 0), at + 1)
        value = float(np.exp(np.interp(target, heights[ends], np.log(tried[ends]))))
    tables = [scores, *curve.values()]
    if not all(map(_enough, tables)):
        return Worth(*names, size, value, None, (sizes[0], sizes[-1]))
    held = [float(n) for n in tried if _undecided(curve, float(n), size, scores)] or [value]
    low = -math.inf if held[0] <= sizes[0] else held[0]
    high = math.inf if held[-1] >= sizes[-1] else held[-1]
    return Worth(*names, size, value, (low, high), (sizes[0], sizes[-1]))


def _enough(table: NDArray[np.float64]) -> bool:
    patients, replicates = table.shape
    enough = patients >= PATIENTS_FOR_INTERVAL and replicates >= REPLICATES_FOR_INTERVAL
    return enough and bool(np.isfinite(table).all())


def _undecided(
    curve: Mapping[int, NDArray[np.float64]],
    patients: float,
    size: int,
    scores: NDArray[np.float64],
) -> bool:
    """Whether the curve at a number of patients and the arm's scores may be the same."""
    sizes = list(curve)
    after = min(int(np.searchsorted(sizes, patients, side="left")), len(sizes) - 1)
    before = max(after - 1, 0)
    width = np.log(sizes[after]) - np.log(sizes[before])
    share = float((np.log(patients) - np.log(sizes[before])) / width) if width else 1.0
    parts = {size: -scores}  # trainings of one size are pairs: same patients, same seeds
    for at, weight in ((before, 1 - share), (after, share)):
        if weight > 1e-12:
            own = weight * curve[sizes[at]]
            parts[sizes[at]] = parts[sizes[at]] + own if sizes[at] in parts else own
    low, high = unpaired_t(list(parts.values())).interval()
    return low <= 0 <= high
