"""What must be seen beside the answer: controls, each GAN stage's part, the factorial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.base.text import MINUS, interval, signed
from harness.figures.contrasts import noise_floor
from harness.inference.contrasts import Contrast, contrasts
from harness.inference.effect import Effect
from harness.report.data import ReportData
from harness.report.picture_budget import Picture, PictureBudget


@dataclass(frozen=True)
class Beside:
    """The contrasts, in one picture with the primary effect.

    Attributes:
        lines: name, what it shows, mean, interval.
        stages: what each GAN stage contributes, a sentence each.
    """

    title: str
    contrasts: Sequence[Contrast]
    lines: list[tuple[str, str, str, str]]
    stages: list[str]
    picture: Picture


def make_contrasts(data: ReportData, effect: Effect, budget: PictureBudget) -> Beside | None:
    """Beside the primary effect; None where no arm for any of them was trained."""
    found = contrasts(data.table, data.experiment.decision) if data.table is not None else []
    if not found:
        return None
    controls = any(one.group == "control" for one in found)
    title = f"The answer and its {'noise floor' if controls else 'parts'}"
    measured, margin = effect.measured, data.experiment.decision.margin
    digits = measured.digits + 1
    caption = (
        "The primary effect (diamond) above what it is seen beside (circles): mean differences in "
        f"test {measured.words} with 95 % intervals, not adjusted; grey: within the margin of "
        f"{margin:g}; an arrow: beyond the axis."
    )
    name = f"{effect.candidate} - {effect.baseline}"
    picture = budget.figure(
        noise_floor(name, effect.inference, found, margin, measured), title, caption
    )
    lines = [
        (
            _typeset(one.name),
            one.shows,
            signed(one.inference.mean, digits),
            interval(one.inference.interval_95, digits),
        )
        for one in found
    ]
    stages = [
        f"{shows[:1].upper()}{shows[1:]}; {name}: {mean} test {measured.words}, "
        + (f"95 % interval {wide}." if one.inference.interval_95 else "no interval.")
        for one, (name, shows, mean, wide) in zip(found, lines, strict=True)
        if one.group == "stage"
    ]
    return Beside(title, found, lines, stages, picture)


def _typeset(name: str) -> str:
    return name.replace(" - ", f" {MINUS} ")


def draw_subgroups(data: ReportData, budget: PictureBudget) -> Picture | None:
    """A forest plot; None where no factor has groups."""
    groups = [group for factor in data.subgroups for group in factor.groups]
    if not groups:
        return None
    primary = next(effect for effect in data.effects if effect.primary)
    rows = [replace(one, name=f"{one.name} ({one.inference.patients})") for one in groups]
    margin, name = data.experiment.decision.margin, f"{primary.candidate} - {primary.baseline}"
    caption = (
        f"{name} in test {primary.measured.words}: of all patients (diamond), by group (circles, "
        "with their number), 95 % intervals, not adjusted; grey: within the margin of "
        f"{margin:g}; an arrow: beyond the axis."
    )
    figure = noise_floor(name, primary.inference, rows, margin, primary.measured)
    return budget.figure(figure, "The effect by subgroup", caption)
