"""A sum of tables of the same patients, whose replicates have nothing to do with each other.

Each table is patients x its own replicates: one arm trained five times against another trained
eight times, or trainings from cohorts of different sizes. Patients, and the replicates of every
table, are random. Of one table it is the crossed weighted-t procedure
(`harness.inference.crossed_t`). Simulated type I error of the difference of two tables at nominal
5 %: 2.0-5.6 % for 10 to 50 patients and 5 to 10 replicates a table, 0.9-5.5 % from 3 replicates on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.inference.crossed_t import mean_squares
from harness.inference.mixed_t import MixedT


def unpaired_t(tables: Sequence[NDArray[Any]]) -> MixedT:
    """Mean of the sum of some tables, patients by rows; give one with a minus for a difference.

    Args:
        tables: complete, of the same patients (2 or more) in the same order, each with 2 or more
            replicates of its own.

    Raises:
        DataError: they are not.
    """
    shapes = [np.shape(table) for table in tables]
    sound = all(len(shape) == 2 and min(shape) >= 2 for shape in shapes)
    if not sound or len({shape[0] for shape in shapes}) != 1:
        raise DataError(
            "tables must have the same patients and 2 or more replicates each, but got shapes "
            f"{', '.join(map(str, shapes))}; give one row per patient, one column per replicate"
        )
    patients = shapes[0][0]
    by_patient = np.sum([np.mean(table, axis=1) for table in tables], axis=0)
    of_patients = float(by_patient.var(ddof=1)) / patients
    squares = [mean_squares(table) for table in tables]
    of_tables = [s.replicates / math.prod(n) for s, n in zip(squares, shapes, strict=True)]
    doubled = sum(s.residual / math.prod(n) for s, n in zip(squares, shapes, strict=True))
    of_replicates = sum(of_tables)
    classical = of_patients + of_replicates - doubled
    parts = [of_patients, *of_tables]
    if classical < max(of_patients, of_replicates):  # one side is estimated as zero
        if of_patients >= of_replicates:
            parts[1:] = [0.0] * len(of_tables)
        else:
            parts[0] = 0.0
    total = sum(parts)
    weights = tuple(part / total for part in parts) if total else (1.0, *(0.0 for _ in of_tables))
    df = (patients - 1, *(shape[1] - 1 for shape in shapes))
    error = math.sqrt(max(classical, of_patients, of_replicates))
    return MixedT(float(by_patient.mean()), error, weights, df)
