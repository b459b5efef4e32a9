"""By which procedure two arms of a table are compared: its layout decides, nobody chooses.

Layouts that were not simulated together are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.base.text import counted
from harness.inference.centres import at_centres
from harness.inference.crossed_t import (
    REPLICATES_FOR_INTERVAL,
    Inference,
    crossed_weighted_t,
    size_status,
)
from harness.inference.layout import Layout
from harness.inference.single_run import folded, single_run
from harness.inference.table import Table
from harness.inference.unpaired import unpaired_t

Floats = NDArray[np.float64]

UNPAIRED = (
    "Patients and each arm's own replicates are random effects: mean-square variance with a guard, "
    "critical value a weighted mean of three t quantiles (crossed weighted-t, unpaired replicates)"
)
OF_COHORTS = "for training cohorts like these, if no two of them share a patient"


def compared(table: Table, baseline: str, candidate: str) -> Inference:
    """Mean of candidate - baseline, with what the table's layout allows to say of it."""
    layout, difference = table.layout, table.difference(baseline, candidate)
    parts = _parts(layout)
    if len(parts) > 1:
        return _refused(difference, *parts[:2])
    if layout.unpaired:
        return _unpaired(table, baseline, candidate)
    if layout.cohort:
        return _of_cohorts(difference, [layout.cohort[r] for r in table.replicates])
    repeats = difference.shape[1]
    folds = [layout.fold.get(patient, "") for patient in table.patients]
    once = repeats == 1 or (repeats < REPLICATES_FOR_INTERVAL and "folds" in parts)
    if not once and "centres" not in parts:
        return table.infer(difference)
    parts += ["one training"] * once
    lacking = int(np.isnan(difference).sum())
    parts += [f"cells that lack ({lacking} of {difference.size})"] * bool(lacking)
    if len(parts) > 1 and parts != ["folds", "one training"]:
        return _refused(difference, parts[0], parts[-1])
    if "centres" in parts:
        centres = [layout.centre[patient] for patient in table.patients]
        return at_centres(difference, centres, layout.other_centres)
    return folded(difference, folds) if "folds" in parts else single_run(difference)


def _parts(layout: Layout) -> list[str]:
    """What is unusual about a layout, in words."""
    there = {
        "unpaired replicates": layout.unpaired,
        "cohorts": bool(layout.cohort),
        "centres": len(set(layout.centre.values())) > 1,
        "folds": len(set(layout.fold.values())) > 1,
    }
    return [words for words, is_there in there.items() if is_there]


def _refused(difference: Floats, one: str, other: str) -> Inference:
    mean = float(np.nanmean(difference)) if np.isfinite(difference).any() else float("nan")
    note = f"an interval for {one} needs a table without {other}: the two were never tried together"
    patients, replicates = difference.shape
    return Inference("cells only", patients, replicates, mean, note=note)


def _of_cohorts(difference: Floats, cohorts: Sequence[str]) -> Inference:
    """Seeds averaged within each cohort, and cohorts in the replicates' place."""
    names = list(dict.fromkeys(cohorts))
    counts = {name: cohorts.count(name) for name in names}
    few, many = min(counts, key=lambda n: counts[n]), max(counts, key=lambda n: counts[n])
    if counts[few] < counts[many]:
        unequal = (
            "an interval over cohorts needs as many replicates of each, but got "
            f"{counts[few]} of '{few}' and {counts[many]} of '{many}'"
        )
        return replace(_refused(difference, "cohorts", ""), note=unequal)
    means = [difference[:, [c == name for c in cohorts]].mean(axis=1) for name in names]
    found = crossed_weighted_t(np.array(means).T)
    size = f"{counted(len(difference), 'test patient')}, {counted(len(names), 'training cohort')} "
    size += f"of {counted(counts[names[0]], 'replicate')}"
    note = found.note and found.note.replace("replicates", "cohorts").replace("replicate", "cohort")
    return replace(found, components=None, note=note, claim=OF_COHORTS, size=size)


def _unpaired(table: Table, baseline: str, candidate: str) -> Inference:
    """Replicates of one arm that have nothing to do with those of the other."""
    arms = [_own(table.values(arm)) for arm in (candidate, baseline)]
    sizes = [own.shape[1] for own in arms]
    patients = len(table.patients)
    mean = float(np.nanmean(arms[0]) - np.nanmean(arms[1]))
    status, note = size_status(patients, min(sizes))
    lacking = sum(int(np.isnan(own).sum()) for own in arms)
    if lacking:
        return _refused(np.hstack(arms), "unpaired replicates", f"cells that lack ({lacking})")
    if status == "cells only":
        return Inference(status, patients, min(sizes), mean, note=note)
    t = unpaired_t([arms[0], -arms[1]])
    size = f"{counted(patients, 'test patient')}, {sizes[1]} and {sizes[0]} unpaired replicates"
    known = Inference(status, patients, min(sizes), t.mean, note=note, method=UNPAIRED, size=size)
    return known.of(t) if t.standard_error else known.without_spread()


def _own(values: Floats) -> Floats:
    """Replicates of which there is a cell."""
    return values[:, np.isfinite(values).any(axis=0)]
