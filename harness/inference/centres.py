"""Patients of several centres: a claim for these centres, or for others like them.

For these, a patient varies about its centre's mean. For others each centre is one case: its
patients are averaged in each replicate and centres take the patients' place, which needs ten
of them, for the shape of what differs between centres cannot be seen in few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.base.text import counted
from harness.inference.cohorts import COHORT
from harness.inference.crossed_t import (
    CROSSED,
    PATIENTS_FOR_VERDICT,
    Inference,
    MeanSquares,
    crossed_weighted_t,
    judged,
    mean_squares,
    size_status,
)

CENTRES_FOR_OTHERS = 10
"""From so many on the claim is for other centres unless said otherwise."""
LEAST_OF_A_CENTRE = 2
LEAST_WITHIN = 5
"""Patients above the number of centres."""

THESE = CROSSED + "; patients vary about their centre's mean"
OTHERS = CROSSED + "; patients were averaged in each centre, and centres stand for patients"


def at_centres(
    table: NDArray[np.float64], centres: Sequence[str], others: bool | None = None
) -> Inference:
    """Differences of patients of two or more centres, with each centre's own mean beside.

    Args:
        table: patients x replicates, complete.
        centres: of each patient.
        others: whether the claim is for other centres; None: from `CENTRES_FOR_OTHERS` on.
    """
    names = list(dict.fromkeys(centres))
    if others is None:
        others = len(names) >= CENTRES_FOR_OTHERS
    alone = other_centres(table, centres)
    found = alone if others else these_centres(table, centres)
    each = []
    for name in names:
        own = table[[centre == name for centre in centres]]
        size = counted(len(own), "patient")
        mean = float(own.mean())
        about = Inference("cells only", len(own), table.shape[1], mean, size=size)
        each.append((f"centre {name}", about))
    further = [("other centres", alone)] if not others and alone.t is not None else []
    return replace(found, beside=(*further, *each))


def these_centres(table: NDArray[np.float64], centres: Sequence[str]) -> Inference:
    """The mean over patients of these centres, in the mixture that they have here."""
    names, (patients, replicates) = list(dict.fromkeys(centres)), table.shape
    sizes = {name: list(centres).count(name) for name in names}
    mean = float(table.mean())
    claim = (
        f"for patients of these {len(names)} centres in this mixture (other centres: not known), "
        f"{COHORT}"
    )
    why = None
    if min(sizes.values()) < LEAST_OF_A_CENTRE:
        lone = min(sizes, key=lambda name: sizes[name])
        why = (
            f"an interval for these centres needs {LEAST_OF_A_CENTRE} patients of each, but got "
            f"{sizes[lone]} of '{lone}'"
        )
    elif patients < (least := max(PATIENTS_FOR_VERDICT, len(names) + LEAST_WITHIN)):
        why = f"an interval for these centres needs {least} patients, but got {patients}"
    status, note = size_status(patients, replicates)
    if why or status == "cells only":
        return Inference("cells only", patients, replicates, mean, note=why or note)
    squares = mean_squares(table)
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + mean
    between = within = 0.0
    for name in names:
        chosen = [centre == name for centre in centres]
        rows, inner = table[chosen].mean(axis=1), rest[chosen]
        between += replicates * float(((rows - rows.mean()) ** 2).sum())
        within += float(((inner - inner.mean(axis=0)) ** 2).sum())
    df = patients - len(names)
    of = MeanSquares(between / df, squares.replicates, within / (df * (replicates - 1)))
    known = Inference(status, patients, replicates, mean, note=note, method=THESE, claim=claim)
    return judged(known, table, of, (df, replicates - 1))


def other_centres(table: NDArray[np.float64], centres: Sequence[str]) -> Inference:
    """The mean over centres, of centres like these."""
    names, (patients, replicates) = list(dict.fromkeys(centres)), table.shape
    means = np.array([table[[c == name for c in centres]].mean(axis=0) for name in names])
    status, note = size_status(len(names), replicates, "centre")
    if status == "cells only":
        return Inference(status, patients, replicates, float(means.mean()), note=note)
    found = crossed_weighted_t(means)
    return replace(
        found,
        patients=patients,
        components=None,
        note=note if found.t is not None else found.note,
        method=OTHERS,
        claim=f"for centres like these {len(names)}, {COHORT}",
        size=f"{counted(patients, 'test patient')} of {len(names)} centres, "
        f"{counted(replicates, 'replicate')}",
    )
