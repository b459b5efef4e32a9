"""Rows that are no cases of their own: values may show it where names do not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.commands.decide.equal_replicates import NEAR, spread_of
from harness.commands.decide.request import DecideRequest, compared_arms
from harness.inference.decision import DecisionRule
from harness.inference.table import Table

Floats = NDArray[np.float64]

CODES = {-1.0, -9.0, -99.0, -999.0, -9999.0}
"""Numbers that programs write for "none"."""


def check_cases(request: DecideRequest, rule: DecisionRule, table: Table) -> list[str]:
    """No patient stands there twice and no code as a value.

    Raises:
        DataError: one does.
    """
    arms = {arm: table.values(arm) for arm in compared_arms(table, rule)}
    cells = np.hstack(list(arms.values()))
    below = cells[cells < 0]
    if {*below.tolist()} & CODES and np.ptp(below) == 0:
        raise DataError(
            f"a value must be what was measured, but got {below[0]:g}, {len(below)} times and "
            f"nothing else below 0, in '{request.scores}'; if it is a code for none, score what "
            "failed as a failure"
        )
    near = NEAR * min((spread_of(of) for of in arms.values() if np.isfinite(of).any()), default=0)
    by_mean = np.ma.masked_invalid(cells).mean(axis=1).argsort()
    for one, other in (sorted(pair) for pair in pairwise(by_mean)):
        pair = cells[[one, other]][:, np.isfinite(cells[[one, other]]).all(axis=0)]
        # Few distinct values are the same by chance.
        if len({*pair[0]}) >= max(6, 0.7 * pair.shape[1]) and np.ptp(pair, axis=0).max() <= near:
            raise DataError(
                f"each patient must be another person, but got '{table.patients[one]}' and "
                f"'{table.patients[other]}' with the same values in all replicates and arms of "
                f"'{request.scores}'; is it one under two names? Remove one"
            )
    return []
