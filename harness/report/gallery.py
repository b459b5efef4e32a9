"""The gallery: a slice of each test patient under its contours, the worst difference first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.base.files import read_json
from harness.figures.arms import mean_over
from harness.report.data import ReportData
from harness.report.patients import window_words
from harness.report.picture_budget import Picture, PictureBudget

OPEN = 5
"""Patients at either end that are shown at once."""


@dataclass(frozen=True)
class Card:
    """One patient: picture and its size, outlines as SVG paths, values in words."""

    picture: Picture
    size: tuple[int, int]
    truth: str
    baseline: str
    candidate: str
    words: str


@dataclass(frozen=True)
class Gallery:
    """The section: the worst differences, those between, the best; of few patients all are in
    `worst`."""

    baseline: str
    candidate: str
    replicate: int | str
    window: str
    worst: Sequence[Card]
    between: Sequence[Card]
    best: Sequence[Card]


def make_gallery(data: ReportData, budget: PictureBudget) -> Gallery | None:
    """Of the primary arms' segmenters in the first replicate; None before the test evaluation.

    Sorted by the mean difference over all replicates, as the verdict has it.
    """
    table = data.table
    if table is None or not table.cells or data.comparison is None:
        return None
    arms, replicate = data.experiment.decision.primary, table.replicates[0]
    jobs = [data.work.job(data.comparison.tests[arm, int(replicate)]).path for arm in arms]
    if not all((path / "slices.json").exists() for path in jobs):
        return None
    kept = [read_json(path / "slices.json") for path in jobs]
    differences = mean_over(table.difference(*arms), 1)
    goodness = -data.measured.loss(1.0) * differences
    order = [int(n) for n in np.argsort(goodness, kind="stable")]
    known = [n for n in order if np.isfinite(goodness[n])]
    worst, best = order, list[int]()
    if len(order) > 2 * OPEN:
        worst, best = known[:OPEN], known[OPEN:][-OPEN:]
    between = [n for n in order if n not in worst + best]
    made = {n: _card(data, n, kept, float(differences[n]), budget) for n in worst + best + between}

    def shown(places: Sequence[int]) -> list[Card]:
        return [card for n in places if (card := made[n]) is not None]

    window = window_words(data.experiment.data.window_hu)
    return Gallery(*arms, replicate, window, shown(worst), shown(between), shown(best))


def _card(
    data: ReportData,
    place: int,
    kept: Sequence[Mapping[str, Any]],
    difference: float,
    budget: PictureBudget,
) -> Card | None:
    """None of a patient of whom nothing was kept: it has no contour."""
    assert data.table is not None
    patient, measured = data.table.patients[place], data.measured
    baseline, candidate = (entries.get(patient) for entries in kept)
    if baseline is None or candidate is None:
        return None
    values = [data.table.values(arm)[place, 0] for arm in data.experiment.decision.primary]
    here = " to ".join(map(measured.number, values))
    words = f"{patient}: {measured.words} {here}; over replicates {measured.signed(difference)}"
    alt = f"Slice {baseline['slice']} of {patient} with its contours"
    picture = budget.keep(baseline["ct"], alt)
    paths = baseline["truth"], baseline["predicted"], candidate["predicted"]
    width, height = baseline["size"]
    return Card(picture, (width, height), *paths, words)
