"""How probable is a gain, given the table? A Bayesian companion beside the verdict, never instead.

The model is that of `harness.inference.crossed_t`: d[p, r] = effect + patient + replicate +
residual, all normal. The effect has a flat prior. Each standard deviation has a half-t prior with 3
degrees of freedom, wide beside what differences of a measure are: `SCALE` margins (Gelman 2006,
*Prior distributions for variance parameters in hierarchical models*). Sampled by Gibbs, the half-t
as a mixture of inverse gammas (Huang and Wand 2013); cells that lack are drawn along.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.text import probability
from harness.inference.crossed_t import table_status
from harness.inference.effect import Effect
from harness.inference.layout import CROSSED
from harness.inference.table import Table

Floats = NDArray[np.float64]

ASIDE = "Bayesian companion, no part of the verdict"
SCALE = 5.0
"""Margins; the median of each standard deviation's prior is about three quarters of it."""
DF = 3.0
WARM_UP, KEPT = 300, 200
MOST_CHAINS, CELLS_AT_ONCE = 200, 200_000
MOST_CELLS = 10_000
"""Beyond, no prior matters and nobody waits."""


@dataclass(frozen=True)
class Companion:
    """Posterior of the effect, candidate - baseline.

    Attributes:
        better: probability of an effect beyond the margin on the better side.
        within: probability of one within the margin.
        worse: probability of one beyond it on the worse side.
        mean: posterior mean.
        interval_95: central, credible.
        rhat: potential scale reduction of the effect; above 1.01 the chains have not mixed.
    """

    better: float
    within: float
    worse: float
    mean: float
    interval_95: tuple[float, float]
    rhat: float

    @property
    def words(self) -> str:
        """The three probabilities."""
        shown = (probability(share) for share in (self.better, self.within, self.worse))
        return "better by more {}, within {}, worse by more {}".format(*shown)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "words": self.words}


def companion_of(table: Table, effect: Effect) -> Companion | None:
    """Of a comparison in a table; None where patients and replicates are not crossed, cohorts
    share patients, or there is no interval."""
    crossed = table.layout == CROSSED and not table.cohorts.overlap
    if not crossed or effect.inference.interval_95 is None:
        return None
    cells = table.difference(effect.baseline, effect.candidate)
    return gain_probabilities(cells, effect.margin, effect.measured.lower_is_better)


def gain_probabilities(
    table: NDArray[Any], margin: float, lower_is_better: bool = False
) -> Companion | None:
    """The posterior of a table of differences; None where the table allows no interval, or
    is very large.

    Args:
        table: patients x replicates; NaN lacks.
        margin: above 0, in the unit of the cells; the priors scale with it.
        lower_is_better: whether a negative effect is the better one.
    """
    d = np.asarray(table, np.float64)
    if table_status(d)[0] == "cells only" or d.size > MOST_CELLS:
        return None
    effects = posterior(d, SCALE * margin)
    flat = effects.ravel()
    above, below = float((flat > margin).mean()), float((flat < -margin).mean())
    better, worse = (below, above) if lower_is_better else (above, below)
    low, high = (float(end) for end in np.quantile(flat, (0.025, 0.975)))
    between = float(effects.mean(axis=0).var(ddof=1))
    within = float(effects.var(axis=0, ddof=1).mean())
    rhat = float(np.sqrt(1 + between / within)) if within else 1.0
    return Companion(better, 1 - above - below, worse, float(flat.mean()), (low, high), rhat)


def posterior(d: Floats, scale: float) -> Floats:
    """Draws of the effect (kept draws x chains), always the same of the same table."""
    return _draws(d.tobytes(), d.shape, scale)


@lru_cache(maxsize=2)
def _draws(cells: bytes, shape: tuple[int, int], scale: float) -> Floats:
    """Of a table in float64; console and page of one command ask for the same."""
    d = np.frombuffer(cells).reshape(shape)
    patients, replicates = shape
    chains = min(MOST_CHAINS, CELLS_AT_ONCE // d.size)
    rng = np.random.default_rng(d.shape)
    there = np.isfinite(d)
    holes = np.argwhere(~there)
    full = np.broadcast_to(np.where(there, d, np.nanmean(d)), (chains, *d.shape)).copy()
    spread = max(float(np.nanstd(d)), 1e-3 * scale)
    variances = np.full((3, chains), spread**2) * np.exp(rng.normal(size=(3, chains)))
    mixing = np.full((3, chains), scale**2)
    rows, columns = np.zeros((chains, patients)), np.zeros((chains, replicates))
    kept = np.empty((KEPT, chains))
    for step in range(WARM_UP + KEPT):
        by_row, by_column, rest = variances
        mean = full.mean(axis=(1, 2)) - rows.mean(axis=1) - columns.mean(axis=1)
        noise = np.sqrt(rest / (patients * replicates))
        effect = mean + noise * rng.standard_normal(chains)
        # Effect and parts may shift together with no cell the wiser; alone they would mix slowly.
        for parts, variance in ((rows, by_row), (columns, by_column)):
            step_sd = np.sqrt(variance / parts.shape[1])
            shift = parts.mean(axis=1) + step_sd * rng.standard_normal(chains)
            effect += shift
            parts -= shift[:, None]
        about = full - effect[:, None, None]
        rows = _parts((about - columns[:, None, :]).mean(axis=2), by_row, rest / replicates, rng)
        columns = _parts((about - rows[:, :, None]).mean(axis=1), by_column, rest / patients, rng)
        left = about - rows[:, :, None] - columns[:, None, :]
        for place, values in enumerate((rows, columns, left.reshape(chains, -1))):
            shape = (DF + values.shape[1]) / 2
            rate = DF / mixing[place] + (values**2).sum(axis=1) / 2
            variances[place] = rate / rng.standard_gamma(shape, chains)
            # The auxiliary of the half-t: inverse gamma again.
            rate = 1 / scale**2 + DF / variances[place]
            mixing[place] = rate / rng.standard_gamma((DF + 1) / 2, chains)
        for p, r in holes:
            noise = np.sqrt(variances[2]) * rng.standard_normal(chains)
            full[:, p, r] = effect + rows[:, p] + columns[:, r] + noise
        if step >= WARM_UP:
            kept[step - WARM_UP] = effect
    return kept


def _parts(means: Floats, prior: Floats, noise: Floats, rng: np.random.Generator) -> Floats:
    """Parts of rows (chains x rows) from the means of what is left: normal, shrunk to 0."""
    share = (prior / (prior + noise))[:, None]
    sd = np.sqrt(share * noise[:, None])
    return np.asarray(share * means + sd * rng.standard_normal(means.shape), np.float64)
