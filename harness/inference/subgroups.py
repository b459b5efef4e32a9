"""Does the effect differ between groups of patients? Estimates by group, one test per factor.

Patients are nested in groups, replicates crossed with them, so that what a replicate does to all
patients cancels in the difference of two groups' means. What is left varies over patients by V_P,
the sum of each group's variance of patients' means over its size (Welch's degrees of freedom), and
over replicates by V_R, the variance of each replicate's own difference over their number. Both hold
the residual, whose part V_E is taken off once: V_P + V_R - V_E, with the guard and the mixed
quantile of `crossed_t`. Its type I error at nominal 5 % is 2.6 to 4.8 % at 8 against 22 patients
and 5 replicates, with and without an interaction of replicates and groups: somewhat conservative
(docs/statistics.md).

Sides are crossed with patients: their difference is one table for `crossed_t`. Of more than two
groups each is held against all others (Bonferroni); factors are adjusted by Holm's method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.text import interval, probability, signed
from harness.inference.contrasts import Contrast
from harness.inference.crossed_t import (
    PATIENTS_FOR_INTERVAL,
    REPLICATES_FOR_INTERVAL,
    REPLICATES_FOR_VERDICT,
    Inference,
    MeanSquares,
    mean_squares,
    variance_and_weight,
)
from harness.inference.mixed_t import MixedT
from harness.inference.table import Table

Floats = NDArray[np.float64]
SIDE = "side"
ROUNDING = 1e-28  # a variance below this share of the largest value's square is none


@dataclass(frozen=True)
class Factor:
    """The primary effect by one factor.

    Attributes:
        words: what it means.
        groups: the effect in each, not adjusted; () of a factor that was left out.
        difference: the first group minus the second; None of more than two.
        p, p_adjusted: of no difference between groups; None without a test, `note` says why.
    """

    name: str
    words: str
    groups: tuple[Contrast, ...] = ()
    difference: Inference | None = None
    p: float | None = None
    p_adjusted: float | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        between = self.difference
        return {
            **vars(self),
            "groups": [group.to_dict() for group in self.groups],
            "difference": between and {"mean": between.mean, "interval_95": between.interval_95},
        }

    def test(self, digits: int) -> str:
        """The difference, to so many digits, and its test in words, or why there is none."""
        words = f"no test: {self.note}" if self.groups else f"left out: {self.note}"
        if self.p is not None:
            words = f"p {probability(self.p)}, adjusted {probability(self.p_adjusted)}"
        if self.difference is None or self.difference.interval_95 is None:
            return words
        mean, ends = self.difference.mean, self.difference.interval_95
        one, two = (group.name for group in self.groups)
        return f"{one} minus {two}: {signed(mean, digits)} ({interval(ends, digits)}); {words}"

    def sentence(self, digits: int) -> str:
        """Groups and `test`."""
        found = [(group.name, group.inference) for group in self.groups]
        groups = [f"{n} {signed(of.mean, digits)} ({of.patients} patients)" for n, of in found]
        return f"subgroups by {self.name}: {'; '.join([*groups, self.test(digits)])}"


def group_difference(one: Floats, two: Floats, replicate_factor: float = 1.0) -> Inference:
    """Mean of one group of patients minus that of another, by the variance above.

    Args:
        one, two: patients x the same replicates; of fewer than 5 x 3, or with a NaN, there is the
            mean and nothing more.
        replicate_factor: of V_R, for overlapping cohorts; `Cohorts.factor`.
    """
    sizes, replicates = (len(one), len(two)), one.shape[1]
    mean, note = float(one.mean() - two.mean()), None
    small = min(sizes) < PATIENTS_FOR_INTERVAL or not np.isfinite(mean)
    if small or replicates < REPLICATES_FOR_VERDICT:
        note = (
            f"it needs {PATIENTS_FOR_INTERVAL} patients in each group and {REPLICATES_FOR_VERDICT} "
            f"replicates, without a missing cell, but got {min(sizes)} and {replicates}"
        )
    found = Inference("pilot" if note else "verdict", sum(sizes), replicates, mean, note=note)
    if small or replicates < REPLICATES_FOR_INTERVAL:
        return replace(found, status="cells only")
    each = one.mean(axis=0) - two.mean(axis=0)
    parts = [float(group.mean(axis=1).var(ddof=1)) / len(group) for group in (one, two)]
    v_patients, v_replicates = sum(parts), replicate_factor * float(each.var(ddof=1)) / replicates
    residual = sum(mean_squares(group).residual / group.size for group in (one, two))
    variance, weight = variance_and_weight(MeanSquares(v_patients, v_replicates, residual))
    if variance <= ROUNDING * max(float(np.abs(group).max()) for group in (one, two)) ** 2:
        return replace(found, note=note or "all cells of a group are equal")
    apart = sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
    df = v_patients**2 / apart if apart else min(sizes) - 1.0
    return found.of(MixedT(mean, variance**0.5, (weight, 1 - weight), (df, replicates - 1)))


def subgroup_effects(
    table: Table,
    pair: tuple[str, str],
    declared: Mapping[str, Mapping[str, Any]],
    names: Mapping[str, str],
    structures: Mapping[str, Table],
    extended: bool = False,
) -> tuple[Factor, ...]:
    """The primary effect by the factors that the rule declares, in their order.

    Args:
        table: cells of the measure that is decided, and `structures` those of each structure.
        declared: as `compare.subgroups.declare_subgroups` gives them.
        names: of the patients in the table, by digest.
        extended: the test had been opened before; nothing is tested.
    """
    found, d = [], table.difference(*pair)
    for name, about in declared.items():
        why, groups = about.get("left_out", ""), about.get("groups", {})
        if why:
            parts, against = {}, list[Inference]()
        elif name == SIDE:
            parts = _sides(groups, pair, structures)
            left, right = parts.values()
            against = [table.infer(left - right)]
        else:
            of = [{names[digest] for digest in digests} for digests in groups.values()]
            masks = [np.array([p in members for p in table.patients]) for members in of]
            parts = {group: d[mask] for group, mask in zip(groups, masks, strict=True)}
            factor = table.cohorts.factor(d.shape[1])
            against = [group_difference(d[mask], d[~mask], factor) for mask in masks]
        weights = (pair[1], 1.0), (pair[0], -1.0)
        effects = tuple(
            Contrast(name, group, about["words"], weights, table.infer(values))
            for group, values in parts.items()
        )
        difference = against[0] if len(parts) == 2 else None
        against = against[:1] if difference else against
        why = why or next((one.note for one in against if one.note), "")
        if extended and not why:
            why = "the test had been opened before under another rule"
        values = [one.p for one in against if one.p is not None]
        p = min(1.0, len(values) * min(values)) if values and not why else None
        found.append(Factor(name, about["words"], effects, difference, p, note=why))
    return _holm(found)


def _sides(
    groups: Mapping[str, Sequence[str]], pair: tuple[str, str], structures: Mapping[str, Table]
) -> dict[str, Floats]:
    """Differences of the patients with both sides, each the mean of a side's structures."""
    sides = []
    for members in groups.values():
        rows: dict[str, list[Floats]] = {}
        for of in (structures[name] for name in members if name in structures):
            for patient, row in zip(of.patients, of.difference(*pair), strict=True):
                if np.isfinite(row).all():
                    rows.setdefault(patient, []).append(row)
        sides.append({patient: np.mean(each, axis=0) for patient, each in rows.items()})
    both = [patient for patient in sides[0] if patient in sides[1]]
    width = len(next(iter(structures.values())).replicates) if structures else 0
    tables = (np.array([side[p] for p in both]).reshape(len(both), width) for side in sides)
    return dict(zip(groups, tables, strict=True))


def _holm(factors: Sequence[Factor]) -> tuple[Factor, ...]:
    """With p adjusted over the factors that have one."""
    tested = sorted((factor.p, n) for n, factor in enumerate(factors) if factor.p is not None)
    adjusted, highest = dict[int, float](), 0.0
    for rank, (p, place) in enumerate(tested):
        highest = adjusted[place] = max(highest, min(1.0, (len(tested) - rank) * p))
    return tuple(replace(f, p_adjusted=adjusted.get(n)) for n, f in enumerate(factors))
