"""Stage II used in other ways than it was trained for: a table of scores, and what was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.base.text import DASH, short
from harness.figures.pictures import read_picture
from harness.metrics.records import PREFIX, axis_name, measured_names
from harness.report.data import ReportData
from harness.report.picture_budget import Picture, PictureBudget
from harness.report.results import chosen_trial, values_of
from harness.sweep.observations import WHOSE
from harness.sweep.plan import SeedRun, SweepPlan
from harness.training.pictures import TESTED

SHOWN = tuple(f"{PREFIX}{name}" for name in ("kid", "mae_hu", "bands_db", "edge_error"))
PICTURE_BYTES = 90_000


@dataclass(frozen=True)
class TestLine:
    """One way of testing a trial on one kind of masks; a cell has the mean and each seed."""

    trial: int
    epoch: int
    test: str
    masks: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class TestsView:
    """The ways of testing of each trial; pictures are of one."""

    names: tuple[str, ...] = ()
    lines: list[TestLine] = field(default_factory=list)
    words: str = ""
    pictures: list[Picture] = field(default_factory=list)

    @property
    def several(self) -> bool:
        return len({line.trial for line in self.lines}) > 1


def make_tests(data: ReportData, sweep: SweepPlan | None, budget: PictureBudget) -> TestsView:
    """What is finished of the tests of a sweep's trials."""
    trials = [(run, [s for s in run.seeds if s.tests]) for run in sweep.trials] if sweep else []
    tested = [(run, seeds) for run, seeds in trials if seeds]
    found = {
        (run.trial.number, *key): [
            values_of(data.work.job(s.tests[key]).result()) for s in seeds if key in s.tests
        ]
        for run, seeds in tested
        for key in seeds[0].tests
    }
    kinds = [values["masks"] for each in found.values() for values in each if values]
    if not kinds:
        return TestsView()
    every = [score for masks in kinds for scores in masks.values() for score in scores]
    names = [name for name in measured_names(every) if name in SHOWN]
    masks = dict.fromkeys(name for of in kinds for name in of)
    lines = [
        TestLine(trial, epoch, test, WHOSE[whose], tuple(_cell(each, whose, n) for n in names))
        for (trial, epoch, test), each in found.items()
        for whose in masks
    ]
    best = chosen_trial(sweep) if sweep else None
    run, seeds = next(((r, s) for r, s in tested if r is best), tested[0])
    rows = ", ".join(WHOSE[whose] for whose in masks)
    words = f"Mean (each seed). Pictures: trial {run.trial.number}, seed {seeds[0].seed}; rows are "
    words += f"masks that were {rows}; columns mask and CT in turn."
    pictures = _pictures(data, seeds[0], budget)
    return TestsView(tuple(axis_name(name) for name in names), lines, words, pictures)


def _cell(each: Sequence[dict[str, Any]], whose: str, name: str) -> str:
    scores = [values["masks"].get(whose, {}).get(name) for values in each if values]
    known = [score for score in scores if score is not None]
    if not known:
        return DASH
    words = ", ".join(DASH if score is None else short(score) for score in scores)
    return f"{short(sum(known) / len(known))} ({words})"


def _pictures(data: ReportData, seed: SeedRun, budget: PictureBudget) -> list[Picture]:
    paths = {key: data.work.job(spec).path / TESTED for key, spec in seed.tests.items()}
    last = max(epoch for epoch, _ in paths)
    return [
        budget.image(read_picture(path), f"Stage II tested {test}", test, PICTURE_BYTES)
        for (epoch, test), path in paths.items()
        if epoch == last and path.exists()
    ]
