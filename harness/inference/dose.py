"""Dose-response: the primary comparison at several levels, estimates and intervals only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.inference.arm_summary import ArmMean, arm_means
from harness.inference.decision import DecisionRule
from harness.inference.table import Table

if TYPE_CHECKING:
    from harness.config.decision import DecisionConfig

AXIS_WORDS = {
    "patients": "number of training patients",
    "synthetic_fraction": "synthetic fraction of the batch",
}


@dataclass(frozen=True)
class Dose:
    """The primary comparison at one level.

    Attributes:
        axis: a key of `AXIS_WORDS`.
        value: the level.
        declared: whether it is the comparison that the rule judges.
        baseline, candidate: each arm's mean.
        mean: of candidate minus baseline; NaN if cells are missing.
        interval_95: unadjusted; None where too few patients or replicates allow none.
        others: means of further arms.
        replicates: how many; those of fewer patients each have a cohort of their own.
    """

    axis: str
    value: float
    declared: bool
    baseline: ArmMean
    candidate: ArmMean
    mean: float
    interval_95: tuple[float, float] | None
    others: tuple[ArmMean, ...] = ()
    replicates: int = 0

    @property
    def arms(self) -> tuple[ArmMean, ...]:
        """Baseline, candidate, others."""
        return self.baseline, self.candidate, *self.others


def doses(
    table: Table,
    declared: Mapping[str, float],
    levels: Sequence[tuple[str, float, Table]],
    rule: DecisionConfig | DecisionRule,
) -> tuple[Dose, ...]:
    """Every level with the declared comparison among them, ascending by axis.

    Args:
        table: cells of the declared comparison.
        declared: its value on each axis.
        levels: (axis, value, cells) of the others; an axis without any is left out.
    """
    found = []
    for axis in AXIS_WORDS:
        others = [(value, cells, False) for of, value, cells in levels if of == axis]
        if others:
            every = sorted([*others, (declared[axis], table, True)], key=lambda level: level[0])
            arms = [arm for arm in others[0][1].arms if arm not in rule.primary]
            found += [_dose(axis, *level, rule, arms) for level in every]
    return tuple(found)


def _dose(
    axis: str,
    value: float,
    table: Table,
    declared: bool,
    rule: DecisionConfig | DecisionRule,
    others: Sequence[str],
) -> Dose:
    means = {entry.arm: entry for entry in arm_means(table)}
    baseline, candidate = rule.primary
    inference = table.infer(table.difference(baseline, candidate))
    return Dose(
        axis,
        value,
        declared,
        means[baseline],
        means[candidate],
        inference.mean,
        inference.interval_95,
        tuple(means[arm] for arm in others),
        len(table.replicates),
    )
