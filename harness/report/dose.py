"""Dose-response: a table and two figures per axis, without verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.figures.dose import dose_arms, dose_difference
from harness.inference.dose import AXIS_WORDS, Dose
from harness.report.data import ReportData
from harness.report.picture_budget import Picture, PictureBudget


@dataclass(frozen=True)
class DoseAxis:
    """One axis on the page; `rows` are its levels, ascending."""

    words: str
    rows: Sequence[Dose]
    pictures: list[Picture]


def make_doses(data: ReportData, budget: PictureBudget) -> list[DoseAxis]:
    """The axes that the experiment has levels on; none before the test was scored."""
    return [
        _axis(data, AXIS_WORDS[axis], [dose for dose in data.doses if dose.axis == axis], budget)
        for axis in dict.fromkeys(dose.axis for dose in data.doses)
    ]


def _axis(data: ReportData, words: str, rows: Sequence[Dose], budget: PictureBudget) -> DoseAxis:
    baseline, candidate = rows[0].baseline.arm, rows[0].candidate.arm
    measured, margin = data.measured, data.experiment.decision.margin
    both = "The filled dot is the declared comparison. Bars are 95 % intervals, not adjusted."
    pictures = [
        budget.figure(
            dose_arms(rows, words, measured),
            f"Test {measured.words} by {words}",
            f"Test {measured.words} of {baseline} and {candidate} by {words}. {both}",
        ),
        budget.figure(
            dose_difference(rows, words, margin, measured),
            f"Difference in {measured.words} by {words}",
            f"Paired difference, {candidate} minus {baseline}, by {words}; grey: within the "
            f"margin of {margin:g}. {both}",
        ),
    ]
    return DoseAxis(words, rows, pictures)
