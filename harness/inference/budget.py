"""Did the segmenters train long enough? Trainings at several budgets answer, a curve cannot.

Under a rate that falls to zero every curve of validation Dice ends flat, whatever more updates
would have brought. So both arms are trained anew at fractions and multiples of the declared
updates, and the question is what doubling them gains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.base.errors import RuleError
from harness.base.text import counted, interval
from harness.config.measures import DICE, Measure
from harness.inference.crossed_t import Inference, crossed_weighted_t
from harness.inference.table import Table

FACTORS = (0.5, 1.0, 2.0)
"""Of the declared updates."""


@dataclass(frozen=True)
class ArmBudget:
    """One arm at every budget.

    Attributes:
        updates: of each budget, ascending.
        means: mean on validation patients of each.
        doubling: the change from the declared updates to twice as many, patients and seeds random.
    """

    arm: str
    updates: tuple[int, ...]
    means: tuple[float, ...]
    doubling: Inference


@dataclass(frozen=True)
class Budget:
    """Whether the declared updates suffice.

    Attributes:
        arms: the compared ones; () where no training was made for it.
        sufficient: the better end of every change's 90 % interval, 5 % on its side, lies below the
            margin.
        words: why not, in words; "" where they suffice.
    """

    arms: tuple[ArmBudget, ...]
    sufficient: bool
    words: str


NOT_ASKED = Budget((), False, "no trainings at half and twice the updates (decision.budget_seeds)")


def judge_budget(
    tables: Mapping[float, Table], updates: int, margin: float, measured: Measure = DICE
) -> Budget:
    """Judge what is measured of validation patients at the budgets.

    Args:
        tables: by factor of `FACTORS`: values of validation patients under each arm and seed.
        updates: the declared ones.
        margin: smallest gain that matters.
        measured: what the values are.

    Raises:
        RuleError: a factor is missing.
    """
    if set(tables) != set(FACTORS):
        raise RuleError(f"a budget is judged at {FACTORS}, but got {sorted(tables)}")
    arms, reasons = [], []
    for arm in tables[1.0].arms:
        gain = crossed_weighted_t(tables[2.0].values(arm) - tables[1.0].values(arm))
        means = tuple(float(tables[factor].values(arm).mean()) for factor in FACTORS)
        counts = tuple(round(factor * updates) for factor in FACTORS)
        arms.append(ArmBudget(arm, counts, means, gain))
        if gain.interval_90 is None:
            reasons.append(f"{arm}: no interval of the gain of doubling ({gain.note})")
        elif -min(map(measured.loss, gain.interval_90)) >= margin:
            wide = interval(gain.interval_90, measured.digits)
            reasons.append(
                f"{arm}: twice the updates change validation {measured.words} by "
                f"{measured.signed(gain.mean)} (90 % interval {wide}, "
                f"{counted(gain.patients, 'patient')}, {counted(gain.replicates, 'seed')}), a gain "
                f"that may reach the margin {margin:g}"
            )
    return Budget(tuple(arms), not reasons, "; ".join(reasons))
