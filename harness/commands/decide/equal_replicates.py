"""Replicates that are copies of each other: one training that is listed several times."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import ConfigError, DataError
from harness.base.text import first_of
from harness.commands.decide.request import DecideRequest, check_arm, compared_arms
from harness.inference.decision import DecisionRule
from harness.inference.table import Table

NEAR = 1e-3
"""Root mean square difference of copies, in standard deviations of the arm over patients."""
FEWEST = 3
"""Patients in common: fewer may agree by chance."""


def check_replicates(request: DecideRequest, rule: DecisionRule, table: Table) -> list[str]:
    """No training is counted twice; what is to be said of arms in which nothing is random.

    Raises:
        ConfigError, DataError: one is, or it must be said why an arm does not vary.
    """
    for arm in request.deterministic:
        check_arm(arm, table.arms, "--deterministic")
    found = {arm: _copies(table.values(arm)) for arm in compared_arms(table, rule)}
    trained = {arm: int(np.isfinite(table.values(arm)).any(axis=0).sum()) for arm in found}
    constant = [arm for arm, pairs in found.items() if len(pairs) == comb(trained[arm], 2) > 0]
    for arm in request.deterministic:
        if arm in found and arm not in constant and trained[arm] > 1:
            raise ConfigError(
                f"--deterministic must be an arm whose replicates are equal, but got '{arm}', "
                f"which varies in '{request.scores}'; leave it out"
            )
    for arm, pairs in found.items():
        if pairs and arm not in constant:
            one, other = (table.replicates[at] for at in pairs[0])
            raise DataError(
                f"each replicate must be a training of its own, but got '{one}' and '{other}' of "
                f"arm '{arm}' as copies of each other in '{request.scores}'; was one training "
                "listed twice? Remove the copies"
            )
    observer = rule.baseline if rule.observer else None  # who drew once
    random = [arm for arm in constant if arm not in (*request.deterministic, observer)]
    if len(constant) == len(found):
        raise DataError(
            "each replicate must be a training of its own, but got copies of one for each arm "
            f"({first_of(constant, 4)}) in '{request.scores}'; keep one replicate: a single run "
            "gets an interval over patients"
        )
    if random:
        raise ConfigError(
            f"each replicate must be a training of its own, but got an arm that was trained once: "
            f"all replicates of '{random[0]}' are copies in '{request.scores}'; keep one replicate "
            "(a single run gets an interval over patients), or say --deterministic "
            f"'{random[0]}' if nothing in it is random (an atlas, a threshold)"
        )
    return [f"the replicates of '{arm}' are equal: nothing in it is random, as "
            f"--{'observer' if arm == observer else 'deterministic'} says"
            for arm in constant]  # fmt: skip


def _copies(values: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs of replicates of an arm (patients, replicates) that are copies."""
    there = np.isfinite(values)
    if there.any(axis=1).sum() < FEWEST:
        return []
    spread = spread_of(values)
    found = []
    for one, other in combinations(range(values.shape[1]), 2):
        both = there[:, one] & there[:, other]
        apart = values[both, one] - values[both, other]
        if len(apart) >= FEWEST and np.sqrt(np.mean(apart**2)) <= NEAR * spread:
            found.append((one, other))
    return found


def spread_of(values: NDArray[np.float64]) -> float:
    """Standard deviation of an arm over patients; one who fails must not make the others alike."""
    means = np.array([row[np.isfinite(row)].mean() for row in values if np.isfinite(row).any()])
    return float(min(means.std(), 1.4826 * np.median(np.abs(means - np.median(means)))))
