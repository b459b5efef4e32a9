"""Does one arm beat another? The crossed weighted-t procedure on a table of differences.

Data are one difference d[p, r] = B - A per test patient p and replicate r. Patients and replicates
are both random: d = effect + patient + replicate + residual. The variance of the mean is the
classical mean-square one with a guard, the critical value a Cochran-Cox mean of two t quantiles.
Simulated, its type I error at nominal 5 % is 2.7-5.5 % for 10 or more patients and 5 or more
replicates over 576 normal settings, and never liberal for 5 patients.

What it can and cannot claim: the effect given this training cohort; patients, replicates and arms
fixed before the test was opened.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.text import counted
from harness.inference.holes import filled, too_many_holes
from harness.inference.mixed_t import Interval, MixedT

Status = Literal["cells only", "pilot", "verdict"]

PATIENTS_FOR_INTERVAL, REPLICATES_FOR_INTERVAL = 5, 3
PATIENTS_FOR_VERDICT, REPLICATES_FOR_VERDICT = 10, 5

CROSSED = (
    "Patients and replicates are crossed random effects: mean-square variance with a guard, "
    "critical value a weighted mean of two t quantiles (crossed weighted-t)"
)
HOLES = "; cells that lack were filled in by the additive fit (Yates 1933), their df taken off"


@dataclass(frozen=True)
class MeanSquares:
    """The two-way table's mean squares: patients, replicates, residual."""

    patients: float
    replicates: float
    residual: float


@dataclass(frozen=True)
class VarianceComponents:
    """Standard deviations of the model's random parts, on the scale of a cell."""

    patient: float
    replicate: float
    residual: float


@dataclass(frozen=True)
class Inference:
    """What a table of differences says.

    Attributes:
        status: "verdict", "pilot" (estimate and interval only) or "cells only" (no inference).
        patients, replicates: rows and columns of the table.
        mean: grand mean, with cells that lack filled in where that gives an interval; else of the
            cells there are, NaN for none.
        interval_95, interval_90, t: None under "cells only" or where all cells are equal.
        components: None under "cells only", and of other procedures than the crossed one.
        note: why something is None, with the number needed; else None.
        method: the procedure in a sentence; empty under "cells only".
        claim: for whom it holds, where the table alone says so; else "".
        size: patients and replicates in words, where they are no plain numbers; else "".
        holes: how many cells lacked and were filled in.
        beside: further estimates from the same cells, (name, what it says).
        comparisons: so many the intervals and p are adjusted for.
    """

    status: Status
    patients: int
    replicates: int
    mean: float
    interval_95: Interval | None = None
    interval_90: Interval | None = None
    t: MixedT | None = None
    components: VarianceComponents | None = None
    note: str | None = None
    method: str = ""
    claim: str = ""
    size: str = ""
    holes: int = 0
    beside: tuple[tuple[str, Inference], ...] = ()
    comparisons: int = 1

    @cached_property
    def p(self) -> float | None:
        """Two-sided, of no effect; adjusted for the `comparisons`."""
        return None if self.t is None else min(1.0, self.comparisons * self.t.p())

    @property
    def standard_error(self) -> float | None:
        """Of the mean."""
        return None if self.t is None else self.t.standard_error

    @property
    def weight(self) -> float | None:
        """Of the patients' t quantile, 0 to 1."""
        return None if self.t is None else self.t.weights[0]

    def without_spread(self) -> Inference:
        """Of cells that are all equal."""
        nothing = "all cells are equal: there is no spread to make an interval from"
        return replace(self, components=VarianceComponents(0.0, 0.0, 0.0), note=nothing)

    def of(self, t: MixedT) -> Inference:
        """With the intervals of a mean."""
        return replace(self, t=t, interval_95=t.interval(0.05), interval_90=t.interval(0.10))

    def among(self, comparisons: int, level: float = 0.05, final: bool = True) -> Inference:
        """As one of several comparisons (Bonferroni): simultaneous intervals and min(1, k p).

        Of k such intervals at 95 % one or more miss their effect in at most 5 %; at any true effect
        only one of "excludes 0" and "lies within the margin" can be false, so that words read off
        both intervals are false in at most 5 % together.

        Args:
            comparisons: k, 1 or more.
            level: of the wider interval before it is divided by k; of a look, its own.
            final: whether the narrower one is asked for; at an early look it is not.
        """
        if self.t is None or (comparisons, level, final) == (1, 0.05, True):
            return self
        return replace(
            self,
            interval_95=self.t.interval(level / comparisons),
            interval_90=self.t.interval(0.10 / comparisons) if final else None,
            comparisons=comparisons,
        )

    def p_equivalence(self, margin: float) -> float | None:
        """`MixedT.p_equivalence`; None without an interval."""
        return None if self.t is None else self.t.p_equivalence(margin)


def table_status(table: NDArray[Any]) -> tuple[Status, str | None]:
    """What a patients x replicates table allows, and why not more (with the number needed)."""
    cells = np.asarray(table, np.float64)
    if cells.ndim != 2:
        raise DataError(
            f"differences must be a table patients x replicates, but got shape {cells.shape}; "
            "give one row per patient and one column per replicate"
        )
    status, why = size_status(*cells.shape)
    holes = None if status == "cells only" else too_many_holes(cells)
    return ("cells only", holes) if holes else (status, why)


def size_status(patients: int, replicates: int, of: str = "patient") -> tuple[Status, str | None]:
    """What so many patients (or what else the rows are) and replicates allow, and why not more."""
    have = f"but got {counted(patients, of)} and {counted(replicates, 'replicate')}"
    if patients < PATIENTS_FOR_INTERVAL or replicates < REPLICATES_FOR_INTERVAL:
        return "cells only", (
            f"an interval needs at least {PATIENTS_FOR_INTERVAL} {of}s and "
            f"{REPLICATES_FOR_INTERVAL} replicates, {have}"
        )
    if patients < PATIENTS_FOR_VERDICT or replicates < REPLICATES_FOR_VERDICT:
        return "pilot", (
            f"a verdict needs at least {PATIENTS_FOR_VERDICT} {of}s and "
            f"{REPLICATES_FOR_VERDICT} replicates, {have}"
        )
    return "verdict", None


def mean_squares(table: NDArray[Any], holes: int = 0) -> MeanSquares:
    """Mean squares of a table of at least 2 x 2, complete or with so many cells filled in."""
    d = np.asarray(table, np.float64)
    patients, replicates = d.shape
    rows, columns = d.mean(axis=1), d.mean(axis=0)
    grand = d.mean()
    rest = d - rows[:, None] - columns[None, :] + grand
    return MeanSquares(
        float(replicates * ((rows - grand) ** 2).sum() / (patients - 1)),
        float(patients * ((columns - grand) ** 2).sum() / (replicates - 1)),
        float((rest**2).sum() / ((patients - 1) * (replicates - 1) - holes)),
    )


def variance_and_weight(squares: MeanSquares) -> tuple[float, float]:
    """T (the variance of the mean times the number of cells) and the weight of the patients' t.

    T is never below either one-way mean square; where that guard acts, one component is estimated
    as zero and the other's t stands alone.
    """
    classical = squares.patients + squares.replicates - squares.residual
    larger = max(squares.patients, squares.replicates)
    if classical >= larger:
        total = squares.patients + squares.replicates
        return classical, squares.patients / total if total > 0 else 1.0
    return larger, 1.0 if squares.patients >= squares.replicates else 0.0


def critical_value(alpha: float, weight: float, patients: int, replicates: int) -> float:
    """c(alpha): the two t quantiles (patients - 1, replicates - 1 df) mixed by `weight`."""
    return _mixed(0.0, 1.0, weight, (patients - 1, replicates - 1)).critical_value(alpha)


def crossed_weighted_t(table: NDArray[Any], replicate_factor: float = 1.0) -> Inference:
    """Mean difference with 95 % and 90 % intervals and a two-sided p.

    Args:
        table: patients x replicates, d = candidate - baseline; NaN marks a missing cell.
        replicate_factor: of the replicates' mean square, 1 or more; `Cohorts.factor`. Standard
            deviations are those of the table.
    """
    d = np.asarray(table, np.float64)
    status, why = table_status(d)
    patients, replicates = d.shape
    known = d[np.isfinite(d)]
    mean = float(known.mean()) if known.size else math.nan
    if status == "cells only":
        return Inference(status, patients, replicates, mean, note=why)
    holes = d.size - known.size
    full = filled(d) if holes else d
    squares = mean_squares(full, holes)
    corrected = replace(squares, replicates=replicate_factor * squares.replicates)
    found = Inference(
        status,
        patients,
        replicates,
        mean,
        components=components_of(squares, patients, replicates),
        note=why,
        method=CROSSED + (HOLES if holes else ""),
        holes=holes,
    )
    return judged(found, full, corrected, (patients - 1, replicates - 1))


def judged(
    known: Inference, table: NDArray[np.float64], squares: MeanSquares, df: tuple[int, int]
) -> Inference:
    """With the mean of a complete table, its intervals and p from mean squares, `df` those of
    patients and replicates; without them where nothing varies."""
    known = replace(known, mean=float(table.mean()))
    total, weight = variance_and_weight(squares)
    if total == 0 or np.ptp(table) == 0:
        return known.without_spread()
    error = math.sqrt(total / table.size)
    return known.of(_mixed(known.mean, error, weight, df))


def _mixed(mean: float, error: float, weight: float, df: tuple[int, int]) -> MixedT:
    return MixedT(mean, error, (weight, 1 - weight), df)


def components_of(squares: MeanSquares, patients: int, replicates: int) -> VarianceComponents:
    """The three standard deviations behind the mean squares; negative estimates become 0."""
    return VarianceComponents(
        math.sqrt(max(0.0, (squares.patients - squares.residual) / replicates)),
        math.sqrt(max(0.0, (squares.replicates - squares.residual) / patients)),
        math.sqrt(squares.residual),
    )
