"""Cells that lack in a table of patients and replicates: filled in by the additive fit.

Yates, F. (1933), *The analysis of replicated experiments when the field results are incomplete*.
Sound where cells lack for a cause that has nothing to do with their value; simulated up to a fifth
of the cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.base.text import counted

MOST_HOLES = 0.2
"""Of the cells, that may lack."""
LEAST_OF_A_PATIENT = 2
LEAST_OF_A_REPLICATE = 0.5

_STILL, _MOST_ROUNDS = 1e-14, 100_000


def too_many_holes(table: NDArray[np.float64]) -> str | None:
    """Why a table with cells that lack (NaN) gives no interval; None where it gives one."""
    there = np.isfinite(table)
    lacking = table.size - int(there.sum())
    if not lacking:
        return None
    lack = f"{lacking} of {table.size} lack{'s' * (lacking == 1)}"
    if lacking > MOST_HOLES * table.size:
        return f"an interval needs {100 * (1 - MOST_HOLES):.0f} % of the cells, but {lack}"
    few = int((there.sum(axis=1) < LEAST_OF_A_PATIENT).sum())
    if few:
        return (
            f"an interval needs {LEAST_OF_A_PATIENT} cells of each patient, but {lack} and "
            f"{counted(few, 'patient has', 'patients have')} fewer"
        )
    few = int((there.mean(axis=0) < LEAST_OF_A_REPLICATE).sum())
    if few:
        return (
            f"an interval needs half of the patients in each replicate, but {lack} and "
            f"{counted(few, 'replicate has', 'replicates have')} fewer"
        )
    if (table.shape[0] - 1) * (table.shape[1] - 1) <= lacking or not _connected(there):
        return f"an interval needs cells that tie patients and replicates together, but {lack}"
    return None


def filled(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """The table with each cell that lacks (NaN) at patient + replicate of the least-squares fit.

    The cells there are must determine the fit (`too_many_holes`).
    """
    holes = ~np.isfinite(table)
    full = np.where(holes, np.nanmean(table), table)
    for _ in range(_MOST_ROUNDS):
        fit = full.mean(axis=1, keepdims=True) + full.mean(axis=0, keepdims=True) - full.mean()
        moved = float(np.abs(fit - full)[holes].max(initial=0.0))
        full = np.where(holes, fit, full)
        if moved <= _STILL * max(1.0, float(np.abs(full).max())):
            break
    return np.asarray(full, np.float64)


def _connected(there: NDArray[np.bool_]) -> bool:
    """Whether every replicate is reached from the first by patients that share cells."""
    reached = np.zeros(there.shape[1], bool)
    reached[0] = True
    while True:
        patients = there[:, reached].any(axis=1)
        wider = there[patients].any(axis=0) | reached
        if (wider == reached).all():
            return bool(wider.all() and patients.all())
        reached = wider
