"""What `harness compare` says of a finished comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.commands.steps import Compared
from harness.config.experiment import DecisionConfig
from harness.inference.arm_summary import ArmCost, arm_means
from harness.inference.contrasts import contrasts
from harness.inference.dose import AXIS_WORDS
from harness.inference.effect import Effect
from harness.inference.table import Table
from harness.report.arms import cost_words
from harness.work.slots import Exposure

SHOWN_PATIENTS = 5
"""Patients named at each end of a list of differences."""


def table_lines(
    compared: Compared, arm_costs: Sequence[ArmCost], exposures: Mapping[str, Exposure]
) -> list[str]:
    """A line per arm: mean test Dice with its interval, every replicate, what it cost; then what a
    training of each saw."""
    costs = {cost.arm: cost for cost in arm_costs}
    width = max(18, *map(len, compared.table.arms))
    lines = ["mean Dice on test patients (95 % interval; each replicate; cost):"]
    for entry in arm_means(compared.table):
        wide = entry.interval_95
        interval = f"({wide[0]:.3f} to {wide[1]:.3f})" if wide else "(no interval)"
        each = ", ".join(f"{value:.3f}" for value in entry.replicate_means)
        cost = cost_words(costs[entry.arm]) if entry.arm in costs else ""
        lines.append(f"  {entry.arm:{width}s} {entry.mean:.3f} {interval}   {each}   {cost}")
    lines.append("a training saw (passes over real slices; over those with the structure; pairs):")
    return lines + [
        f"  {arm:{width}s} {seen.real_passes:.1f}; {seen.structure_passes:.1f}; "
        f"{seen.synthetic_pairs} synthetic"
        for arm, seen in exposures.items()
    ]


def dose_lines(compared: Compared) -> list[str]:
    """The primary comparison at every dose, with its interval; no verdicts."""
    if not compared.doses:
        return []
    first = compared.doses[0]
    lines = [
        f"{first.candidate.arm} - {first.baseline.arm} by dose (95 % interval, not adjusted; only "
        "the declared dose is judged):"
    ]
    for dose in compared.doses:
        wide = dose.interval_95
        interval = f"({wide[0]:+.4f} to {wide[1]:+.4f})" if wide else "(no interval)"
        mark = "*" if dose.declared else " "
        lines.append(
            f" {mark} {AXIS_WORDS[dose.axis]} {dose.value:g}: {dose.mean:+.4f} {interval}   "
            f"{dose.baseline.mean:.3f} -> {dose.candidate.mean:.3f}"
        )
    return lines


def contrast_lines(compared: Compared, rule: DecisionConfig) -> list[str]:
    """Controls, stages and factorial, with their intervals; no verdicts."""
    found = contrasts(compared.table, rule)
    lines = ["what the answer is seen beside (95 % interval, not adjusted, no verdicts):"]
    for one in found:
        wide = one.inference.interval_95
        interval = f"({wide[0]:+.4f} to {wide[1]:+.4f})" if wide else "(no interval)"
        lines.append(f"  {one.name}: {one.inference.mean:+.4f} {interval}   {one.shows}")
    return lines if found else []


def budget_lines(compared: Compared) -> list[str]:
    """Both arms at every budget, and whether the declared one was shown to suffice."""
    found = compared.budget
    lines = ["validation Dice by updates (twice the declared ones gain; 90 % interval):"]
    for arm in found.arms:
        each = ", ".join(f"{u}: {d:.3f}" for u, d in zip(arm.updates, arm.means, strict=True))
        ends = arm.doubling.interval_90
        wide = f"({ends[0]:+.4f} to {ends[1]:+.4f})" if ends else "(no interval)"
        lines.append(f"  {arm.arm}: {each}; {arm.doubling.mean:+.4f} {wide}")
    said = "suffice" if found.sufficient else f"were not shown to suffice: {found.words}"
    return [*(lines if found.arms else []), f"the updates {said}"]


def verdict_lines(compared: Compared) -> list[str]:
    """The patients' paired differences, then a sentence per comparison, the primary one last."""
    primary = next(effect for effect in compared.effects if effect.primary)
    others = [effect.sentence for effect in compared.effects if not effect.primary]
    return [*_differences(compared.table, primary), *others, primary.sentence]


def _differences(table: Table, effect: Effect) -> list[str]:
    """The patients that lost and gained most, mean over replicates."""
    means = table.difference(effect.baseline, effect.candidate).mean(axis=1)
    named = [
        f"{table.patients[place]} {means[place]:+.3f}"
        for place in np.argsort(means, kind="stable")
        if np.isfinite(means[place])
    ]
    what = f"{effect.candidate} - {effect.baseline} by patient, mean over replicates"
    if len(named) <= 2 * SHOWN_PATIENTS:
        return [f"{what}: {', '.join(named)}"]
    lost, gained = ", ".join(named[:SHOWN_PATIENTS]), ", ".join(named[-SHOWN_PATIENTS:])
    better = int((means > 0).sum())
    return [
        f"{what}: better in {better} of {len(means)}; lowest {lost}; highest {gained} "
        "(all in scores.csv)"
    ]
