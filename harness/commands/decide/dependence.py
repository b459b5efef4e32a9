"""Rows that are no cases of their own: values may show it where names do not.

Refused is what no honest table does by chance; the rest is asked beside the verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.text import first_of
from harness.commands.decide.equal_replicates import NEAR, spread_of
from harness.commands.decide.request import DecideRequest, compared_arms
from harness.inference.crossed_t import PATIENTS_FOR_VERDICT, REPLICATES_FOR_VERDICT
from harness.inference.decision import DecisionRule
from harness.inference.table import Table

Floats = NDArray[np.float64]

CODES = {-1.0, -9.0, -99.0, -999.0, -9999.0}
"""Numbers that programs write for "none"."""
FAR = -4.0
"""Standard errors from what is expected of neighbours: beyond it is 1 of 30,000 honest series."""
CLOSE = 0.03
"""Root mean square difference of two replicates, in standard deviations of the arm over patients;
those of published tables are a quarter apart and more."""


def check_cases(request: DecideRequest, rule: DecisionRule, table: Table) -> list[str]:
    """No patient stands there twice and no code as a value; questions about what may be wrong.

    Raises:
        DataError: one does.
    """
    arms = {arm: table.values(arm) for arm in compared_arms(table, rule)}
    cells = np.hstack(list(arms.values()))
    below = cells[cells < 0]
    if {*below.tolist()} & CODES and np.ptp(below) == 0:
        raise DataError(
            f"a value must be what was measured, but got {below[0]:g}, {len(below)} times and "
            f"nothing else below 0, in '{request.scores}'; if it is a code for none, score what "
            "failed as a failure"
        )
    near = NEAR * min((spread_of(of) for of in arms.values() if np.isfinite(of).any()), default=0)
    by_mean = np.ma.masked_invalid(cells).mean(axis=1).argsort()
    for one, other in (sorted(pair) for pair in pairwise(by_mean)):
        pair = cells[[one, other]][:, np.isfinite(cells[[one, other]]).all(axis=0)]
        # Few distinct values are the same by chance.
        if len({*pair[0]}) >= max(6, 0.7 * pair.shape[1]) and np.ptp(pair, axis=0).max() <= near:
            raise DataError(
                f"each patient must be another person, but got '{table.patients[one]}' and "
                f"'{table.patients[other]}' with the same values in all replicates and arms of "
                f"'{request.scores}'; is it one under two names? Remove one"
            )
    fixed = *request.deterministic, request.observer
    random = (item for item in arms.items() if item[0] not in fixed)
    notes = [note for arm, values in random for note in _on_arm(table, arm, values)]
    return notes + list(_on_pair(table, rule))


def _on_arm(table: Table, arm: str, values: Floats) -> Iterator[str]:
    full = values[np.isfinite(values).all(axis=1)]
    if len(full) < PATIENTS_FOR_VERDICT or full.shape[1] < REPLICATES_FOR_VERDICT:
        return
    for one, other in combinations(range(full.shape[1]), 2):
        if np.sqrt(np.mean((full[:, one] - full[:, other]) ** 2)) <= CLOSE * spread_of(full):
            yield (
                f"replicates '{table.replicates[one]}' and '{table.replicates[other]}' of '{arm}' "
                "are nearly equal: is each a training? One that is measured again counts once"
            )
            break
    rest = _parts(full)[0]
    if rest.std() > NEAR * spread_of(full) and _neighbours(rest) < FAR:
        yield (
            f"replicates of '{arm}' that follow each other are alike: is each a training? Epochs "
            "of one, or ensembles that share members, count once"
        )
    rest, rows = _parts(_ranks(full))  # of ranks: some that fail must not hide the others
    if (rows**2).sum() / (len(full) - 1) < 1.5 * (rest**2).sum() / (rest[1:, 1:].size):
        yield (
            f"no patient of '{arm}' is easier than another: is each id the same person in all "
            "replicates?"
        )


def _on_pair(table: Table, rule: DecisionRule) -> Iterator[str]:
    cells = np.array([table.values(arm) for arm in rule.primary])
    arms = cells[:, np.isfinite(cells).all(axis=(0, 2))]
    patients, replicates = arms.shape[1:]
    if patients < PATIENTS_FOR_VERDICT or replicates < REPLICATES_FOR_VERDICT:
        return
    ranks = _ranks((arms[1] - arms[0]).mean(axis=1)[:, None]).T
    if not table.layout.centre and _neighbours(ranks - ranks.mean()) < FAR:
        yield (
            "patients whose ids follow each other have like differences: are they parts of one "
            "person (--cluster), or of one centre (--centre)?"
        )
    order = _ranks(np.hstack([*arms]))
    if (order == order[:, :1]).all() and len({*arms[0, :, 0]}) > 0.7 * patients:
        yield "all replicates of both arms order the patients alike: was each sorted by its values?"
    steps = np.diff(arms.mean(axis=1), axis=1)
    if not table.layout.unpaired and ((steps > 0).all() or (steps < 0).all()):
        yield (
            "replicates of both arms are numbered in the order of their means: were they paired by "
            "what they gave?"
        )
    seeds = [name for name in table.replicates if isinstance(name, int)]
    lacking = [str(n) for n in range(seeds[0], seeds[-1]) if n not in seeds] if seeds else []
    if len(seeds) == replicates and 0 < len(lacking) <= replicates:
        yield f"no replicate {first_of(lacking, 5)}: one that was trained counts whatever it gave"


def _parts(values: Floats) -> tuple[Floats, Floats]:
    """What patients and replicates leave, and the patients' part of each cell."""
    rows = values.mean(axis=1, keepdims=True) - values.mean() + np.zeros_like(values)
    return values - values.mean(axis=0) - rows, rows


def _ranks(values: Floats) -> Floats:
    """Of the patients, in each column."""
    return values.argsort(axis=0, kind="stable").argsort(axis=0).astype(np.float64)


def _neighbours(series: Floats) -> float:
    """Von Neumann's ratio (1941, *Distribution of the ratio of the mean square successive
    difference to the variance*) of series in rows, each of mean 0, in standard errors from 2."""
    length, spread = series.shape[1], (series**2).sum(axis=1)
    ratio = (np.diff(series, axis=1) ** 2).sum() / max(spread.sum(), 1e-300)
    rows = spread.sum() ** 2 / max((spread**2).sum(), 1e-300)  # so many equal ones
    error = np.sqrt(4 * (length - 2) / (length**2 - 1) / max(rows, 1))
    return float((ratio - 2) / error) if spread.any() else 0.0
