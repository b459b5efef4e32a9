"""Looking at replicates as they come, at levels that add up to 5 %.

Alpha spending (Lan and DeMets 1983, *Discrete sequential boundaries for clinical trials*) with the
O'Brien-Fleming-like function S(t) = 2 - 2 Phi(z[.975] / sqrt(t)) at t = replicates / all
replicates. Patients are the same at every look, so looks correlate more than the levels assume, and
the levels are conservative unless replicates dominate. Looks are declared before the test is
opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from harness.base.errors import DataError
from harness.config.decision import looks_problem

_NODES, _FAR, _ALPHA = 400, 9.0, 0.05


@dataclass(frozen=True)
class Look:
    """One of the looks that were declared.

    Attributes:
        number: from 1 on.
        looks: replicates at each.
        level: two-sided, of this one.
    """

    number: int
    looks: tuple[int, ...]
    level: float

    @property
    def final(self) -> bool:
        return self.number == len(self.looks)

    @property
    def words(self) -> str:
        """Which one it is."""
        here, all_of = self.looks[self.number - 1], self.looks[-1]
        return f"look {self.number} of {len(self.looks)}, at {here} of {all_of} replicates"


def look_at(replicates: int, looks: Sequence[int]) -> Look:
    """The look that a table of so many replicates is.

    Raises:
        DataError: the looks do not grow, the first is below what a verdict needs, or none of them
            has so many replicates.
    """
    declared = tuple(looks)
    if problem := looks_problem(declared):
        raise DataError(f"looks {problem}")
    if replicates not in declared:
        raise DataError(
            f"a table is looked at when it has {', '.join(map(str, declared))} replicates, as "
            f"declared, but got {replicates}; train on to the next look"
        )
    number = declared.index(replicates) + 1
    return Look(number, declared, look_levels(declared)[number - 1])


@lru_cache
def look_levels(looks: tuple[int, ...]) -> tuple[float, ...]:
    """Two-sided level of each look; together they reject a true null in at most 5 %.

    By Gauss-Legendre integration of the density of a Brownian motion that was not stopped before
    (Armitage, McPherson and Rowe 1969).
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    times = np.array(looks, float) / looks[-1]
    spent = 2 - 2 * norm.cdf(norm.ppf(1 - _ALPHA / 2) / np.sqrt(times))
    points, weights = np.polynomial.legendre.leggauss(_NODES)
    levels, before = [], 0.0
    # Where the motion was at the look before, as if all of it stood at 0 at time 0.
    at, mass, time = np.zeros(1), np.ones(1), 0.0
    for until, total in zip(times, spent, strict=True):
        step = float(np.sqrt(until - time))

        def crossed(
            bound: float,
            at: np.ndarray = at,
            mass: np.ndarray = mass,
            step: float = step,
        ) -> float:
            beyond = norm.sf((bound - at) / step) + norm.cdf((-bound - at) / step)
            return float(mass @ beyond)

        bound = brentq(
            lambda b, due=total - before, crossed=crossed: crossed(b) - due, 0.0, _FAR, xtol=1e-14
        )
        levels.append(float(2 * norm.sf(bound / np.sqrt(until))))
        place = bound * points
        density = norm.pdf((place[:, None] - at[None, :]) / step) / step
        at, mass, time, before = place, bound * weights * (density @ mass), float(until), total
    return tuple(levels)
