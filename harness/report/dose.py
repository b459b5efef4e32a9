"""Dose-response: a table and two figures per axis, without verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.figures.dose import DosePoint, dose_arms, dose_difference
from harness.inference.dose import AXIS_WORDS, Dose
from harness.report.data import ReportData
from harness.report.picture_budget import Ink, Picture


@dataclass(frozen=True)
class DoseAxis:
    """One axis on the page; `rows` are its levels, ascending."""

    words: str
    rows: Sequence[Dose]
    pictures: list[Picture]


def make_doses(data: ReportData, ink: Ink) -> list[DoseAxis]:
    """The axes that the experiment has levels on; none before the test was scored."""
    return [
        _axis(data, AXIS_WORDS[axis], [dose for dose in data.doses if dose.axis == axis], ink)
        for axis in dict.fromkeys(dose.axis for dose in data.doses)
    ]


def _axis(data: ReportData, words: str, rows: Sequence[Dose], ink: Ink) -> DoseAxis:
    baseline, candidate = rows[0].baseline.arm, rows[0].candidate.arm
    margin = data.experiment.decision.margin
    points = [_point(dose) for dose in rows]
    both = "The filled dot is the declared comparison. Bars are 95 % intervals, not adjusted."
    pictures = [
        ink.figure(
            dose_arms(points, baseline, candidate, words),
            f"Test Dice by {words}",
            f"Test Dice of {baseline} and {candidate} by {words}. {both}",
        ),
        ink.figure(
            dose_difference(points, baseline, candidate, words, margin),
            f"Difference in Dice by {words}",
            f"Paired difference, {candidate} minus {baseline}, by {words}; grey: within the "
            f"margin of {margin:g}. {both}",
        ),
    ]
    return DoseAxis(words, rows, pictures)


def _point(dose: Dose) -> DosePoint:
    return DosePoint(
        dose.value,
        dose.declared,
        dose.baseline.mean,
        dose.baseline.interval95,
        dose.candidate.mean,
        dose.candidate.interval95,
        dose.mean,
        dose.interval95,
    )
