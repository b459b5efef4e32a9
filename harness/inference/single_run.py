"""One training of each arm, or one of each fold: what patients alone can say. Never a verdict.

How another training would have come out is in no such table, so the interval is of *these* trained
networks. Simulated type I error for that claim at nominal 5 %: 4.1-5.9 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.base.text import counted
from harness.inference.crossed_t import (
    PATIENTS_FOR_INTERVAL,
    REPLICATES_FOR_VERDICT,
    Inference,
)
from harness.inference.mixed_t import MixedT

FOLDS_FOR_INTERVAL = 5
SKEW_FROM = 20
"""Patients from which skewed differences hardly matter."""

SINGLE = "t over the patients of one training of each arm"
FOLDS = "t over patients, about the mean of their fold"
FOLD_MEANS = "t over the means of the folds"

_THESE = (
    "of these two trained networks, on patients like these; nothing is known of the chance of a "
    "training"
)
_PILOT = "of trainings like these on this cohort"


def single_run(table: NDArray[np.float64]) -> Inference:
    """Mean over patients of one replicate's differences (patients x 1, complete)."""
    return _of_patients(table[:, 0], [""] * len(table), SINGLE, _THESE, 1)


def folded(table: NDArray[np.float64], folds: Sequence[str]) -> Inference:
    """A cross-validation done once, or repeated: the mean over patients of their mean differences.

    Beside it, from five folds on and where each was trained once, the mean of the folds' means, of
    trainings like these.

    Args:
        table: patients x repeats, complete.
        folds: of each patient.
    """
    repeats, names = table.shape[1], list(dict.fromkeys(folds))
    trainings = len(names) * repeats
    claim = f"of these {trainings} trainings of each arm, on patients like these"
    # Folds of one patient have no mean of their own: all patients are one sample then.
    about = folds if len(folds) >= 2 * len(names) else [""] * len(folds)
    means = table.mean(axis=1)
    found = _of_patients(means, about, FOLDS, claim, repeats)
    if repeats > 1 or len(names) < FOLDS_FOR_INTERVAL or found.t is None:
        return found
    of_folds = [means[[fold == name for fold in folds]].mean() for name in names]
    error = float(np.std(of_folds, ddof=1)) / math.sqrt(len(names))
    if error == 0:
        return found
    mean = float(np.mean(of_folds))
    wider = Inference(
        "pilot",
        len(folds),
        repeats,
        mean,
        note=found.note,
        method=FOLD_MEANS,
        claim=_PILOT,
        size=f"{counted(len(names), 'fold')} of {counted(len(folds), 'patient')}",
    ).of(MixedT(mean, error, (1.0,), (len(names) - 1,)))
    return replace(found, beside=((_PILOT, wider),))


def _of_patients(
    values: NDArray[np.float64], folds: Sequence[str], method: str, claim: str, repeats: int
) -> Inference:
    patients, names = len(values), list(dict.fromkeys(folds))
    mean = float(values.mean())
    if patients < PATIENTS_FOR_INTERVAL:
        have = f"but got {counted(patients, 'patient')}"
        needs = f"an interval needs at least {PATIENTS_FOR_INTERVAL} patients, {have}"
        return Inference("cells only", patients, repeats, mean, note=needs)
    note = (
        f"a verdict needs at least {REPLICATES_FOR_VERDICT} replicates, but got {repeats}: "
        "how another training would have come out is not known"
    )
    if patients < SKEW_FROM:
        note += f"; below {SKEW_FROM} patients a few far off can mislead"
    known = Inference("pilot", patients, repeats, mean, note=note, method=method, claim=claim)
    within = sum(
        float(((of := values[[f == name for f in folds]]) - of.mean()) @ (of - of.mean()))
        for name in names
    )
    df = patients - len(names)
    error = math.sqrt(within / df / patients)
    return known.without_spread() if error == 0 else known.of(MixedT(mean, error, (1.0,), (df,)))
