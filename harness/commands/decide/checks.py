"""What `harness decide` asks of the values before it compares them, and says about them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from harness.base.errors import ConfigError, DataError
from harness.base.text import counted
from harness.commands.decide.request import HIGHER, LOWER, DecideRequest, compared_arms
from harness.inference.decision import DecisionRule
from harness.inference.table import Cell, Table

NAMED = 5
"""So many missing cells are named."""
OTHER_SCALE = 10.0
"""A median above it beside an arm within 0 to 1 is no effect of an arm: one of them is scaled."""
FEWEST_SCALED = 0.1
"""Of all values: fewer may be slips or failures."""


def check_values(request: DecideRequest, rule: DecisionRule, table: Table) -> None:
    """The values must be on one scale, of a known direction, and paired.

    Raises:
        ConfigError, DataError: they are not.
    """
    _check_scale(request, rule, table)
    outside = _outside(table)
    if outside:
        _check_said(request, outside)
    elif rule.margin >= 1:
        raise ConfigError(
            f"--margin must be below 1 where all values lie in 0 to 1, but got {rule.margin:g} for "
            f"'{request.scores}'; no difference can be larger: give it in the unit of the values"
        )
    if not _paired(table, rule):
        same = "; ".join(alike(table))
        if not same and not table.layout.unpaired and _paired(table, rule, unpaired=True):
            same = "or say --unpaired if a replicate of one has nothing to do with one of the other"
        raise DataError(
            "a comparison needs a patient and replicate with a value in both arms, but got none "
            f"for '{rule.baseline}' and '{rule.candidate}' in '{request.scores}'; give both arms "
            f"the same ids{f' ({same})' if same else ''}"
        )


def _paired(table: Table, rule: DecisionRule, unpaired: bool = False) -> bool:
    """Whether any cell, or for unpaired replicates any patient, has a value in both arms."""
    one, other = (np.isfinite(table.values(arm)) for arm in rule.primary)
    if unpaired or table.layout.unpaired:
        return bool((one.any(axis=1) & other.any(axis=1)).any())
    return bool((one & other).any())


def _outside(table: Table) -> list[Cell]:
    """Cells whose value is no Dice."""
    return [cell for cell in table.cells if math.isfinite(cell.value) and not 0 <= cell.value <= 1]


def _check_scale(request: DecideRequest, rule: DecisionRule, table: Table) -> None:
    values = {arm: table.values(arm) for arm in compared_arms(table, rule)}
    known = {arm: of[np.isfinite(of)] for arm, of in values.items() if np.isfinite(of).any()}
    within = [arm for arm, of in known.items() if ((of >= 0) & (of <= 1)).all()]
    medians = {arm: float(np.median(of)) for arm, of in known.items()}
    scaled = [(arm, median) for arm, median in medians.items() if median > OTHER_SCALE]
    if within and scaled:
        arm, median = scaled[0]
        raise DataError(
            f"values must be on one scale per file, but got '{within[0]}' within 0 to 1 and "
            f"'{arm}' with a median of {median:g} in '{request.scores}'; bring them to one scale"
        )
    for arm, of in values.items():
        dice = ((of >= 0) & (of <= 1) | np.isnan(of)).all(axis=0) & np.isfinite(of).any(axis=0)
        for at in np.flatnonzero(np.isfinite(of).any(axis=0)):
            median = float(np.nanmedian(of[:, at]))
            if median > OTHER_SCALE and dice.any():
                raise DataError(
                    f"values must be on one scale per file, but got replicate "
                    f"'{table.replicates[at]}' of '{arm}' with a median of {median:g} and "
                    f"'{table.replicates[int(dice.argmax())]}' within 0 to 1 in "
                    f"'{request.scores}'; bring them to one scale"
                )
    every = np.concatenate([*known.values()] or [np.zeros(1)])
    small, large = (every > 0) & (every <= 1), every > OTHER_SCALE
    # A distance may be like that; what is better higher is a share, here and there in per cent.
    gap = request.better == HIGHER and bool((small | large | (every == 0)).all())
    if gap and min(small.mean(), large.mean()) >= FEWEST_SCALED:
        raise DataError(
            f"values must be on one scale per file, but got {small.sum()} within 0 to 1 and "
            f"{large.sum()} above {OTHER_SCALE:g}, with none between, in '{request.scores}'; bring "
            "them to one scale"
        )


def _check_said(request: DecideRequest, outside: Sequence[Cell]) -> None:
    """The direction and the margin of other values than Dice are never guessed."""
    lacking = []
    if request.better is None:
        lacking.append(f"--better {HIGHER} or {LOWER}")
    if request.margin is None:
        lacking.append("--margin in their unit")
    if not lacking:
        return
    first = outside[0]
    raise ConfigError(
        "values must lie in 0 to 1 unless --better and --margin are given, but got "
        f"{counted(len(outside), 'value')} outside in '{request.scores}', the first {first.value:g}"
        f" (patient '{first.patient}', replicate '{first.replicate}', arm '{first.arm}'); the "
        f"values are no Dice: say {' and '.join(lacking)}"
    )


def notes_on(table: Table, rule: DecisionRule) -> list[str]:
    """What a reader might not expect of the values."""
    notes = []
    used = compared_arms(table, rule)
    unused = [arm for arm in table.arms if arm not in used]
    if unused:
        rows = sum(cell.arm in unused for cell in table.cells)
        what = "an arm" if len(unused) == 1 else "arms"
        notes.append(
            f"{counted(rows, 'row')} of {what} that no comparison names: {', '.join(unused)}; "
            "candidates that were looked at count (--looked-at)"
        )
    outside = len(_outside(table))
    if outside:
        notes.append(
            f"{counted(outside, 'value lies', 'values lie')} outside 0 to 1, where a Dice lies: "
            f"the margin of {rule.margin:g} is in the unit of the values"
        )
    return notes


def missing(table: Table, rule: DecisionRule) -> dict[str, Any]:
    """Cells of the compared arms that have no value."""
    arms = compared_arms(table, rule)
    named: list[dict[str, Any]] = []
    by_arm: dict[str, int] = {}
    whole = 0
    for arm in arms:
        values = table.values(arm)
        # Of unpaired replicates the other arm's are not this one's.
        there = np.isfinite(values).any(axis=0) | (not table.layout.unpaired)
        whole += int(there.sum()) * len(table.patients)
        holes = np.argwhere(np.isnan(values) & there)
        by_arm[arm] = len(holes)
        named += [
            {"patient": table.patients[p], "replicate": table.replicates[r], "arm": arm}
            for p, r in holes[: NAMED - len(named)]
        ]
    return {"count": sum(by_arm.values()), "of": whole, "first": named, "by_arm": by_arm}


def alike(table: Table) -> list[str]:
    """A pair of patients, and one of replicates, that differ in their spelling only."""
    found = []
    for many, one, names in (
        ("patients", "person", table.patients),
        ("replicates", "replicate", table.replicates),
    ):
        seen: dict[str | Decimal, str] = {}
        for name in map(str, names):
            other = seen.setdefault(_spelling(name), name)
            if other != name:
                found.append(f"{many} '{other}' and '{name}' may be one {one}; write them alike")
                break
    return found


def _spelling(name: str) -> str | Decimal:
    """Equal for names that differ by case, by zeros before a number, or as numbers are written."""
    text = unicodedata.normalize("NFKC", name).casefold()
    try:
        number = Decimal("?" if "_" in text else text)
    except InvalidOperation:
        number = Decimal("nan")
    # A Decimal is exact: long numbers that differ in the last digit stay apart.
    return number if number.is_finite() else re.sub(r"(?<![0-9])0+(?=[0-9])", "", text)
