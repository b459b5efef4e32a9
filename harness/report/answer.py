"""First screen: what was asked, what the answer is, and what must stand beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import betaincinv

from harness.base.text import (
    MINUS,
    counted,
    interval,
    percent,
    probability,
    signed,
    typeset,
)
from harness.compare.protocol import ComparisonPlan
from harness.figures.arms import PairedDots, difference_map, mean_over, paired_differences
from harness.inference.companion import ASIDE, companion_of
from harness.inference.design import ways_to_margin
from harness.inference.effect import Effect
from harness.inference.failures import FAILED
from harness.inference.table import Table
from harness.inference.verdict_text import adjusted_for, looked_at_words
from harness.jobs.folder import WorkFolder
from harness.report.contrasts import Beside, make_contrasts
from harness.report.data import ReportData
from harness.report.picture_budget import Picture, PictureBudget
from harness.report.results import converged, mixed_versions
from harness.sweep.observations import observed_sentence

EXTENDED = "extended after opening: no verdict"
SHORT_PATH = "shows the path, too short to conclude"
BUDGET = "the budget was not shown to suffice: longer training might decide otherwise"
NO_COMPARISON = (
    "No answer yet: no comparison has been run. `harness compare` with this experiment trains "
    "every arm, then scores them once on the test patients."
)
ALONE = "Arms have not been compared; `harness compare` trains them."
SUPERSEDED = (
    "No answer under these settings: the test evaluation was under others, and its table is "
    "scores.csv in the experiment's folder. It counts again when the settings are as they were, "
    "or the newest chosen-*.yaml is removed. `harness compare` under these settings would extend "
    "the test evaluation, and carry no verdict."
)
# Above this many patients a map's rows can no longer be read.
MAP_PATIENTS = 60


@dataclass(frozen=True)
class EffectView:
    """One comparison of two arms as the page shows it."""

    effect: Effect
    title: str
    sentence: str
    facts: list[tuple[str, str]]
    picture: Picture | None
    heat_map: Picture | None


@dataclass(frozen=True)
class Answer:
    """The first screen. `verdict` is None where none is allowed."""

    headline: str
    verdict: str | None
    banners: list[str]
    notes: list[str] = field(default_factory=list)
    views: list[EffectView] = field(default_factory=list)
    beside: Beside | None = None


def make_answer(data: ReportData, budget: PictureBudget) -> Answer:
    """The answer and its evidence, or a sentence on what is missing."""
    banners = [] if data.experiment.conclusive else [SHORT_PATH]
    if data.superseded:
        return Answer(SUPERSEDED, None, banners)
    if data.comparison is None:
        # Of sweeps alone the answer is what became of them.
        told = [f"{v.sentence[:1].upper()}{v.sentence[1:]}" for v in data.verdicts]
        told = [*filter(None, [observed_sentence(data.observations)]), *told]
        return Answer(" ".join([*told, ALONE]) if told else NO_COMPARISON, None, banners)
    if not data.comparison.finished or not data.effects:
        return Answer(_under_way(data.work, data.comparison), None, banners)
    if not banners and not data.budget.sufficient:
        banners.append(BUDGET)
    extended = data.extended
    if extended:
        banners.append(EXTENDED)
    ordered = sorted(data.effects, key=lambda effect: not effect.primary)
    first = ordered[0]
    sentence = _sentence(first, extended)
    allowed = first.inference.status == "verdict" and bool(first.word) and not extended
    notes = [] if extended else _status_notes(first)
    beside = make_contrasts(data, first, budget)
    notes += [data.earlier.sentence] if data.earlier is not None else []
    notes += filter(None, [looked_at_words(data.comparison.looked_at)])
    notes += filter(None, [mixed_versions(data.work, data.comparison)])
    views = [_view(data, effect, budget) for effect in ordered]
    return Answer(sentence, sentence if allowed else None, banners, notes, views, beside)


def _under_way(work: WorkFolder, plan: ComparisonPlan) -> str:
    specs = [
        (spec, replicate.epochs[arm])
        for replicate in plan.replicates
        for arm, spec in replicate.segmenters.items()
    ]
    done = sum(work.job(spec).result(epochs) is not None for spec, epochs in specs)
    scored = sum(work.job(s).result() is not None for s in plan.tests.values())
    return (
        f"No answer yet: {done} of {counted(len(specs), 'segmenter')} trained, {scored} scored on "
        "test patients. `harness compare` with this experiment goes on from here."
    )


def _sentence(effect: Effect, extended: bool) -> str:
    """The effect's own sentence; after an extension, the estimate and nothing more."""
    if not extended:
        return typeset(effect.sentence)
    asked = f" ({effect.asked})" if effect.asked else ""
    text = f"{effect.failing} {effect.candidate} minus {effect.baseline}{asked}: ".lstrip()
    text += f"{effect.measured.signed(effect.inference.mean)} test {effect.measured.words}"
    if effect.judged.interval_95:
        wide = f"95 % interval{adjusted_for(effect.comparisons)}"
        text += f" ({wide} {interval(effect.judged.interval_95, effect.measured.digits)})"
    patients = counted(effect.inference.patients, "patient")
    return f"{text}, {patients}, {counted(effect.inference.replicates, 'replicate')}; {EXTENDED}."


def _status_notes(effect: Effect) -> list[str]:
    """What the status means, with what it lacks unless the sentence already says so."""
    meaning = {
        "pilot": "Pilot: an estimate and its interval, no verdict.",
        "cells only": "Cells only: no interval and no verdict.",
    }.get(effect.inference.status)
    if meaning is None:
        return []
    return [meaning if effect.needed in effect.sentence else f"{meaning} Needed: {effect.needed}"]


def _view(data: ReportData, effect: Effect, budget: PictureBudget) -> EffectView:
    kind = "primary" if effect.primary else "co-primary" if effect.together else "secondary"
    kind += f", {effect.measured.title}" if effect.together else ""
    about = f"{kind}: {effect.asked}" if effect.asked else kind
    title = f"{effect.candidate} against {effect.baseline} ({about})"
    picture = heat_map = None
    if (table := data.table_of(effect)) is not None:
        picture = _dots_picture(table, effect, budget)
        if effect.primary and len(table.patients) <= MAP_PATIENTS:
            heat_map = _map_picture(table, effect, budget)
    sentence = _sentence(effect, data.extended)
    return EffectView(effect, title, sentence, _facts(data, effect), picture, heat_map)


def _facts(data: ReportData, effect: Effect) -> list[tuple[str, str]]:
    """What stands beside the sentence; all of it is of test patients, candidate minus baseline."""
    shown, measured = effect.to_dict(), effect.measured
    digits = measured.digits + 1
    facts = [
        ("mean difference", signed(effect.inference.mean, digits)),
        ("95 % interval", interval(effect.inference.interval_95, digits)),
        ("90 % interval", interval(effect.inference.interval_90, digits)),
    ]
    if effect.inference.status == "verdict" and not data.extended:
        facts.append(("p, two-sided", probability(effect.p)))
        facts.append(("p, equivalence", probability(effect.p_equivalence)))
    adjusted = adjusted_for(effect.comparisons)
    if adjusted and effect.judged.interval_95:
        facts += [
            (f"95 % interval{adjusted}", interval(effect.judged.interval_95, digits)),
            (f"90 % interval{adjusted}", interval(effect.judged.interval_90, digits)),
        ]
    if adjusted and effect.p_adjusted is not None:
        facts += [
            (f"p, two-sided,{adjusted}", probability(effect.p_adjusted)),
            (f"p, equivalence,{adjusted}", probability(effect.p_equivalence_adjusted)),
        ]
    facts += [
        ("n", f"{counted(effect.inference.patients, 'test patient')}, "
              f"{counted(effect.inference.replicates, 'replicate')}"),
        ("sd over patients", measured.number(shown["sd_patient"])),
        ("sd over replicates", measured.number(shown["sd_replicate"])),
        ("sd, residual", measured.number(shown["sd_residual"])),
        *_planned(effect),
        ("margin: smallest difference that matters",
         measured.amount(effect.margin)),
    ]  # fmt: skip
    told = data.table if effect.primary and not data.extended else None
    if told is not None and (found := companion_of(told, effect)):
        facts.append((f"probability by the margin ({ASIDE})", found.words))
    facts += _worst(data, effect) + _failures(data, effect)
    bound = collapse_words(data)
    if bound:
        facts.append(("generators that failed", bound))
    facts.append(("scope", effect.cohorts.words))
    return facts


def _planned(effect: Effect) -> list[tuple[str, str]]:
    """What the design can see, from the standard deviations observed here."""
    design, measured = effect.design, effect.measured
    if design is None:
        return []
    seen = measured.number(design.detectable)
    seen += " with the spread observed; it does not judge this result"
    reach = "in reach" if design.equivalence_in_reach else "out of reach"
    ways = ways_to_margin(design) or "more patients and more replicates"
    facts = [
        ("smallest effect that the design sees in 80 %", seen),
        ("for a design to see the margin", ways),
    ]
    if effect.word != "no useful effect":  # found is found, however unlikely it was
        facts.append(("equivalence within the margin", f"{reach} of this design"))
    return facts


def _worst(data: ReportData, effect: Effect) -> list[tuple[str, str]]:
    if (table := data.table_of(effect)) is None:
        return []
    cells = table.difference(effect.baseline, effect.candidate)
    lines = []
    for what, names, axis in (
        ("worst patient", table.patients, 1),
        ("worst replicate", table.replicates, 0),
    ):
        means = mean_over(cells, axis)
        if np.isfinite(means).any():
            worst = int(np.nanargmax(effect.measured.loss(1.0) * means))
            lines.append((what, f"{names[worst]}: {effect.measured.signed(float(means[worst]))}"))
    return lines


def _failures(data: ReportData, effect: Effect) -> list[tuple[str, str]]:
    """Of both arms, where either has any."""
    of = {entry.arm: entry for entry in data.failures}
    arms = [of[arm] for arm in (effect.candidate, effect.baseline) if arm in of]
    if not any(entry.failed for entry in arms):
        return []
    worst = {entry.arm: effect.measured.number(entry.worst_tenth) for entry in arms}
    told = {
        "empty predictions": {entry.arm: entry.words(entry.empty) for entry in arms if entry.empty},
        FAILED: {entry.arm: entry.words(entry.failed) for entry in arms},
        f"mean {effect.measured.words} of the worst tenth of patients": worst,
    }
    return [(what, "; ".join(map(": ".join, by.items()))) for what, by in told.items() if by]


def collapse_bound(failed: int, replicates: int) -> float:
    """Upper 95 % bound of the failure rate (exact binomial); 1 - 0.05^(1/R) if none failed."""
    if failed >= replicates:
        return 1.0
    return float(betaincinv(failed + 1, replicates - failed, 0.95))


def collapse_words(data: ReportData) -> str:
    """How often a generator can fail unseen; empty where no arm uses one."""
    if data.comparison is None:
        return ""
    known = [converged(data.work, replicate) for replicate in data.comparison.replicates]
    states = [state for state in known if state is not None]
    if not states:
        return ""
    failed = states.count(False)
    bound = percent(collapse_bound(failed, len(states)))
    kept = " (kept in the comparison)" if failed else ""
    return (
        f"{failed} of {counted(len(states), 'replicate')} failed to converge{kept}; "
        f"a rate up to {bound} stays possible (95 %)"
    )


def _dots_picture(table: Table, effect: Effect, budget: PictureBudget) -> Picture:
    inference = effect.inference
    caption = (
        f"Paired differences in test {effect.measured.words}, {effect.candidate} minus "
        f"{effect.baseline}. A blue dot is a patient "
        f"(mean of {counted(inference.replicates, 'replicate')}), a green one a replicate "
        f"(mean of {counted(inference.patients, 'patient')}); the "
        f"{effect.measured.worst} of each is named."
    )
    if inference.interval_95:
        adjusted = adjusted_for(effect.comparisons)
        caption += f" Thin bar: 95 % interval; thick: 90 %{adjusted and f', both{adjusted}'}."
    alt = f"Dots of paired differences in {effect.measured.words}, "
    alt += f"{effect.candidate} {MINUS} {effect.baseline}"
    return budget.figure(paired_differences(PairedDots.of(table, effect)), alt, caption)


def _map_picture(table: Table, effect: Effect, budget: PictureBudget) -> Picture:
    what = f"{effect.candidate} {MINUS} {effect.baseline}"
    figure = difference_map(
        table.difference(effect.baseline, effect.candidate),
        table.patients,
        [str(r) for r in table.replicates],
        what,
        effect.measured,
    )
    return budget.figure(
        figure,
        "Heat map of differences by patient and replicate",
        f"Difference in test {effect.measured.words} of every patient (row) in every replicate "
        f"(column), {what}.",
    )
