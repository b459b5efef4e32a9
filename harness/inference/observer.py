"""Is a network as close to one observer as another observer is?

The cells are closeness to the first observer's contours: of the network's in each replicate, and of
the second observer's, who drew once and is the baseline. What is claimed is of these two observers.
"""

from __future__ import annotations

import math

from harness.base.errors import DataError
from harness.inference.table import Cell, Table

SAME = 1e-6
"""Relative difference up to which two values are one that was written twice."""


def with_observer(table: Table, observer: str) -> Table:
    """The table with the observer's one value per patient in every replicate of the other arms.

    Raises:
        DataError: a patient has two values of the observer.
    """
    drawn: dict[str, float] = {}
    for cell in table.cells:
        if cell.arm != observer or math.isnan(cell.value):
            continue
        first = drawn.setdefault(cell.patient, cell.value)
        if not math.isclose(first, cell.value, rel_tol=SAME):
            raise DataError(
                "an observer must have one value per patient, the same in all replicates, but got "
                f"{first:g} and {cell.value:g} of '{observer}' for patient '{cell.patient}'; keep "
                "one of them, or leave --observer out if the arm was trained"
            )
    others = [cell for cell in table.cells if cell.arm != observer]
    replicates = dict.fromkeys(cell.replicate for cell in others)
    spread = (Cell(p, r, observer, value) for p, value in drawn.items() for r in replicates)
    return Table([*others, *spread], table.cohorts, table.layout)
