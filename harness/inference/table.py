"""The table of a comparison: one value per patient, replicate and arm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.files import csv_text
from harness.inference.cohorts import ONE_COHORT, Cohorts
from harness.inference.crossed_t import Inference, crossed_weighted_t
from harness.inference.layout import CROSSED, Layout

ROUNDING = 1e-14
"""Of a difference of two numbers, relative to the larger one."""


@dataclass(frozen=True)
class Cell:
    """What was measured of a patient, under one arm, in one replicate; NaN where it is not defined.

    Attributes:
        replicate: its seed, or a name that both arms of a comparison share.
    """

    patient: str
    replicate: int | str
    arm: str
    value: float


class Table:
    """Cells, with the arms' differences as arrays (patients x replicates).

    Names that are numbers are sorted as numbers and come first; arms keep the order of the cells.

    Args:
        cohorts: whose training patients the replicates have.
        layout: what its rows are, beside patient, replicate and arm.
    """

    def __init__(
        self, cells: Iterable[Cell], cohorts: Cohorts = ONE_COHORT, layout: Layout = CROSSED
    ) -> None:
        self.cells = tuple(cells)
        self.cohorts = cohorts
        self.layout = layout
        self.patients = tuple(sorted({c.patient for c in self.cells}, key=_order))
        self.replicates = tuple(sorted({c.replicate for c in self.cells}, key=_order))
        self.arms = tuple(dict.fromkeys(c.arm for c in self.cells))
        self._values: Mapping[tuple[str, int | str, str], float] = {
            (c.patient, c.replicate, c.arm): c.value for c in self.cells
        }
        if len(self._values) != len(self.cells):
            raise DataError(
                "each patient, replicate and arm must have one value, but got "
                f"{len(self.cells) - len(self._values)} repeated; remove the duplicates"
            )

    def values(self, arm: str) -> NDArray[np.float64]:
        """Values (patients, replicates) of an arm; NaN where a cell is missing."""
        return np.array(
            [
                [self._values.get((p, r, arm), np.nan) for r in self.replicates]
                for p in self.patients
            ],
            dtype=np.float64,
        ).reshape(len(self.patients), len(self.replicates))

    def difference(self, baseline: str, candidate: str) -> NDArray[np.float64]:
        """candidate - baseline (patients, replicates); NaN where either is missing."""
        return self.combination(((candidate, 1.0), (baseline, -1.0)))

    def combination(self, weights: Iterable[tuple[str, float]]) -> NDArray[np.float64]:
        """Weighted sum of arms (patients, replicates); NaN where one is missing."""
        parts = np.array([weight * self.values(arm) for arm, weight in weights])
        found = parts.sum(axis=0)
        # Decimals that all differ by one amount do so up to rounding, which is no spread.
        if found.size and np.ptp(found) <= ROUNDING * np.abs(parts).max():
            return np.full_like(found, found.mean())
        return np.asarray(found, np.float64)

    def infer(self, values: NDArray[np.float64]) -> Inference:
        """What values of the table's patients and replicates, or differences of such, say."""
        return crossed_weighted_t(values, self.cohorts.factor(len(self.replicates)))

    def to_csv(self, further: Mapping[str, Table] | None = None) -> str:
        """The cells as CSV: patient, replicate, arm, value; then a column per further table."""
        others = further or {}
        keys = [(cell.patient, cell.replicate, cell.arm) for cell in self.cells]
        return csv_text(
            ("patient", "replicate", "arm", "value", *others),
            [
                (*key, *(table._values.get(key) for table in (self, *others.values())))
                for key in keys
            ],
        )


def _order(name: int | str) -> tuple[bool, float, str]:
    try:
        value = float(name)
    except (ValueError, OverflowError):
        value = math.nan
    return (False, value, str(name)) if math.isfinite(value) else (True, 0.0, str(name))
