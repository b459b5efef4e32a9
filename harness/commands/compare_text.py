"""What `harness compare` says of a finished comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.commands.steps import Compared
from harness.config.decision import DecisionConfig
from harness.config.measures import Measure
from harness.inference.arm_summary import ArmCost, arm_means
from harness.inference.companion import ASIDE, companion_of
from harness.inference.contrasts import contrasts
from harness.inference.dose import AXIS_WORDS
from harness.inference.effect import Effect
from harness.inference.table import Table
from harness.inference.verdict_text import looked_at_words
from harness.report.arms import cost_words, failure_words
from harness.work.slots import Exposure

SHOWN_PATIENTS = 5
"""Patients named at each end of a list of differences."""


def table_lines(
    compared: Compared,
    measured: Measure,
    arm_costs: Sequence[ArmCost],
    exposures: Mapping[str, Exposure],
) -> list[str]:
    """A line per arm: its mean on test patients with its interval, every replicate, what it cost,
    and how often it failed, if ever; then what a training of each saw."""
    costs = {cost.arm: cost for cost in arm_costs}
    failures = {entry.arm: entry for entry in compared.failures if entry.failed}
    width = max(18, *map(len, compared.table.arms))
    lines = [f"mean {measured.words} on test patients (95 % interval; each replicate; cost):"]
    for entry in arm_means(compared.table):
        wide = entry.interval_95
        shown = f".{measured.digits}f"
        interval = f"({wide[0]:{shown}} to {wide[1]:{shown}})" if wide else "(no interval)"
        each = ", ".join(f"{value:{shown}}" for value in entry.replicate_means)
        cost = cost_words(costs[entry.arm]) if entry.arm in costs else ""
        lines.append(f"  {entry.arm:{width}s} {entry.mean:{shown}} {interval}   {each}   {cost}")
        if entry.arm in failures:
            lines.append(f"  {'':{width}s} {failure_words(failures[entry.arm], measured)}")
    lines.append("a training saw (passes over real slices; over those with the structure; pairs):")
    return lines + [
        f"  {arm:{width}s} {seen.real_passes:.1f}; {seen.structure_passes:.1f}; "
        f"{seen.synthetic_pairs} synthetic"
        for arm, seen in exposures.items()
    ]


def dose_lines(compared: Compared, measured: Measure) -> list[str]:
    """The primary comparison at every dose, with its interval; no verdicts."""
    if not compared.doses:
        return []
    first = compared.doses[0]
    lines = [
        f"{first.candidate.arm} - {first.baseline.arm} by dose (95 % interval, not adjusted; only "
        "the declared dose is judged):"
    ]
    for dose in compared.doses:
        mark = "*" if dose.declared else " "
        estimate = _estimate(dose.mean, dose.interval_95, measured)
        arms = (f"{arm.mean:.{measured.digits}f}" for arm in (dose.baseline, dose.candidate))
        at = f"{AXIS_WORDS[dose.axis]} {dose.value:g}"
        lines.append(f" {mark} {at}: {estimate}   {' -> '.join(arms)}")
    return lines + [one.sentence for one in compared.worth]


def contrast_lines(compared: Compared, rule: DecisionConfig) -> list[str]:
    """Controls, stages and factorial, with their intervals; no verdicts."""
    found = contrasts(compared.table, rule)
    lines = ["what the answer is seen beside (95 % interval, not adjusted, no verdicts):"]
    for one in found:
        estimate = _estimate(one.inference.mean, one.inference.interval_95, rule.measured)
        lines.append(f"  {one.name}: {estimate}   {one.shows}")
    return lines if found else []


def budget_lines(compared: Compared, measured: Measure) -> list[str]:
    """Both arms at every budget, and whether the declared one was shown to suffice."""
    found = compared.budget
    by = f"validation {measured.words} by updates"
    lines = [f"{by} (change under twice the declared ones; 90 % interval):"]
    for arm in found.arms:
        means = [f"{mean:.{measured.digits}f}" for mean in arm.means]
        each = ", ".join(f"{u}: {mean}" for u, mean in zip(arm.updates, means, strict=True))
        change = _estimate(arm.doubling.mean, arm.doubling.interval_90, measured)
        lines.append(f"  {arm.arm}: {each}; {change}")
    said = "suffice" if found.sufficient else f"were not shown to suffice: {found.words}"
    return [*(lines if found.arms else []), f"the updates {said}"]


def _estimate(mean: float, ends: tuple[float, float] | None, measured: Measure) -> str:
    """A difference and its interval."""
    first, *wide = (f"{value:+.{measured.digits + 1}f}" for value in (mean, *(ends or ())))
    return f"{first} ({' to '.join(wide) or 'no interval'})"


def verdict_lines(compared: Compared) -> list[str]:
    """The patients' paired differences, then a sentence per comparison, the primary one last."""
    primary = next(effect for effect in compared.effects if effect.primary)
    others = [effect.sentence for effect in compared.effects if not effect.primary]
    others += filter(None, [looked_at_words(compared.plan.looked_at)])
    if not compared.plan.extended and (found := companion_of(compared.table, primary)):
        others.append(f"probability by margin {primary.margin:g} ({ASIDE}): {found.words}")
    return [*_differences(compared.table, primary), *others, primary.sentence]


def _differences(table: Table, effect: Effect) -> list[str]:
    """The patients with the lowest and the highest differences, mean over replicates."""
    means = table.difference(effect.baseline, effect.candidate).mean(axis=1)
    named = [
        f"{table.patients[place]} {means[place]:+.{effect.measured.digits}f}"
        for place in np.argsort(means, kind="stable")
        if np.isfinite(means[place])
    ]
    what = f"{effect.candidate} - {effect.baseline} by patient, mean over replicates"
    if len(named) <= 2 * SHOWN_PATIENTS:
        return [f"{what}: {', '.join(named)}"]
    lowest, highest = ", ".join(named[:SHOWN_PATIENTS]), ", ".join(named[-SHOWN_PATIENTS:])
    better = int((effect.measured.loss(1.0) * means < 0).sum())
    return [
        f"{what}: better in {better} of {len(means)}; lowest {lowest}; highest {highest} "
        "(all in scores.csv)"
    ]
