"""Learning curve and dose-response: a table and two figures per axis, without verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.base.text import typeset
from harness.figures.dose import dose_arms, dose_difference
from harness.inference.dose import AXIS_WORDS, Dose
from harness.report.data import ReportData
from harness.report.picture_budget import Picture, PictureBudget


@dataclass(frozen=True)
class DoseAxis:
    """One axis on the page; `rows` are its levels, ascending, `worth` sentences on the curve."""

    title: str
    about: str
    words: str
    rows: Sequence[Dose]
    pictures: list[Picture]
    worth: list[str]


ABOUT = {
    "patients": (
        "Learning curve",
        "The arms from fewer training patients, in as many cohorts that share nobody as there are "
        "patients for; both GAN stages learn from those patients too, under the settings chosen "
        "with all of them. Estimates over cohorts and test patients: the declared comparison alone "
        "has a verdict. What an arm is worth in patients is read off the baseline's curve, which "
        "is straight between its points over the logarithm of their number.",
    ),
    "synthetic_fraction": (
        "Dose-response",
        "The primary comparison at other fractions, in every replicate. The declared dose alone "
        "has a verdict; these estimates show a trend and are not adjusted for their number. Other "
        "settings are those of the declared comparison.",
    ),
}
"""Title and explanation of a section, by axis."""


def make_doses(data: ReportData, budget: PictureBudget) -> list[DoseAxis]:
    """The axes that the experiment has levels on; none before the test was scored."""
    return [
        _axis(data, AXIS_WORDS[axis], [dose for dose in data.doses if dose.axis == axis], budget)
        for axis in dict.fromkeys(dose.axis for dose in data.doses)
    ]


def _axis(data: ReportData, words: str, rows: Sequence[Dose], budget: PictureBudget) -> DoseAxis:
    baseline, candidate = rows[0].baseline.arm, rows[0].candidate.arm
    arms = ", ".join(mean.arm for mean in rows[0].arms)
    measured, margin = data.measured, data.experiment.decision.margin
    both = "The filled dot is the declared comparison. Bars are 95 % intervals, not adjusted."
    pictures = [
        budget.figure(
            dose_arms(rows, words, measured),
            f"Test {measured.words} by {words}",
            f"Test {measured.words} of {arms} by {words}. {both}",
        ),
        budget.figure(
            dose_difference(rows, words, margin, measured),
            f"Difference in {measured.words} by {words}",
            f"Paired difference, {candidate} minus {baseline}, by {words}; grey: within the "
            f"margin of {margin:g}. {both}",
        ),
    ]
    curve = rows[0].axis == "patients"
    worth = [typeset(one.sentence) for one in data.worth] if curve else []
    return DoseAxis(*ABOUT[rows[0].axis], words, rows, pictures, worth)
