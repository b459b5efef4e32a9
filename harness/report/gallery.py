"""The gallery: a slice of each test patient under its contours, the worst difference first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.base.files import read_json
from harness.figures.arms import mean_over
from harness.report.data import ReportData
from harness.report.patients import window_words
from harness.report.picture_budget import Picture, PictureBudget

OPEN = 5  # patients at either end that are shown at once


@dataclass(frozen=True)
class Card:
    """One patient: picture and its width and height, outlines as SVG paths, values in words."""

    picture: Picture
    size: list[int]
    outlines: dict[str, str]
    words: str


@dataclass(frozen=True)
class Gallery:
    """The section, of one replicate; of few patients all are in `worst`."""

    arms: tuple[str, str]
    replicate: int | str
    window: str
    worst: Sequence[Card]
    between: Sequence[Card]
    best: Sequence[Card]


def make_gallery(data: ReportData, budget: PictureBudget) -> Gallery | None:
    """Of the primary arms' segmenters in the first replicate; None before the test evaluation.

    Sorted by the mean difference over all replicates, as the verdict has it.
    """
    table, arms = data.table, data.experiment.decision.primary
    if table is None or not table.cells or data.comparison is None:
        return None
    replicate = table.replicates[0]
    jobs = [data.work.job(data.comparison.tests[arm, int(replicate)]) for arm in arms]
    files = [path for job in jobs if (path := job.output("slices.json")) is not None]
    if len(files) < len(jobs):
        return None
    kept = [read_json(path) for path in files]
    values = [table.values(arm)[:, 0] for arm in arms]
    differences = mean_over(table.difference(*arms), 1)
    # What is not defined comes last, and is neither worst nor best.
    order = np.argsort(-data.measured.loss(1.0) * differences, kind="stable").tolist()
    known = [n for n in order if np.isfinite(differences[n])]
    worst, best = (known[:OPEN], known[OPEN:][-OPEN:]) if len(order) > 2 * OPEN else (order, [])
    parts = worst, [n for n in order if n not in worst + best], best
    cards, number = {}, data.measured.number
    for n in (*worst, *best, *parts[1]):  # while there is room for pictures
        name = table.patients[n]
        one, two = (patients[name] for patients in kept)
        picture = budget.keep(one["ct"], f"Slice {one['slice']} of {name} with its contours")
        paths = {"truth": one["truth"], "baseline": one["predicted"], "candidate": two["predicted"]}
        here = " to ".join(number(of[n]) for of in values)
        mean = data.measured.signed(differences[n])
        words = f"{name}: {data.measured.words} {here}; over replicates {mean}"
        cards[n] = Card(picture, one["size"], paths, words)
    window = window_words(data.experiment.data.window_hu)
    return Gallery(arms, replicate, window, *([cards[n] for n in part] for part in parts))
