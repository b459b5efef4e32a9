"""The Gibbs sampler against the same posterior integrated on a grid, where no chain can err."""

from __future__ import annotations

import math

import numpy as np
import pytest
from factories.decide import vector
from scipy import stats

from harness.inference.companion import DF, SCALE, Companion, gain_probabilities

MARGIN = 0.01


def integrated(d: np.ndarray, nodes: int = 60) -> tuple[float, float, float]:
    """P(above the margin, within, below), by sums of squares and a grid of the three variances."""
    patients, replicates = d.shape
    mean, rows, columns = d.mean(), d.mean(axis=1), d.mean(axis=0)
    sums = (
        replicates * ((rows - mean) ** 2).sum(),
        patients * ((columns - mean) ** 2).sum(),
        ((d - rows[:, None] - columns + mean) ** 2).sum(),
    )
    scale = SCALE * MARGIN
    sds = np.exp(np.linspace(math.log(1e-4 * scale), math.log(20 * scale), nodes))
    of_rows, of_columns, rest = np.meshgrid(sds, sds, sds, indexing="ij")
    expected = (
        replicates * of_rows**2 + rest**2,
        patients * of_columns**2 + rest**2,
        rest**2,
    )
    df = patients - 1, replicates - 1, (patients - 1) * (replicates - 1)
    log = -sum(n * np.log(e) + s / e for n, e, s in zip(df, expected, sums, strict=True)) / 2
    for sd in (of_rows, of_columns, rest):
        log = log + stats.t.logpdf(sd / scale, DF) + np.log(sd)
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    error = np.sqrt((expected[0] + expected[1] - expected[2]) / d.size)
    above = float((weights * stats.norm.sf((MARGIN - mean) / error)).sum())
    below = float((weights * stats.norm.cdf((-MARGIN - mean) / error)).sum())
    return above, 1 - above - below, below


def drawn(seed: int, size: tuple[int, int], sds: tuple[float, float, float]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, columns = rng.normal(size=(size[0], 1)), rng.normal(size=(1, size[1]))
    return np.asarray(0.008 + sds[0] * rows + sds[1] * columns + sds[2] * rng.normal(size=size))


def known(d: np.ndarray, **further: bool) -> Companion:
    found = gain_probabilities(d, MARGIN, **further)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "d",
    [
        vector(),
        drawn(1, (20, 5), (0.019, 0.006, 0.02)),
        drawn(2, (12, 5), (0.01, 0.03, 0.01)),
        drawn(3, (10, 5), (0.02, 0.0, 0.02)),
    ],
)
def test_probabilities_are_those_of_the_integral(d: np.ndarray) -> None:
    """40,000 draws; chains that mixed badly would show as more than a per cent."""
    found = known(d)
    assert (found.better, found.within, found.worse) == pytest.approx(integrated(d), abs=0.012)
    assert found.rhat < 1.01
    assert found == known(d), "the same table gives the same numbers"


def test_where_lower_is_better_the_sides_change_places() -> None:
    up, down = known(vector()), known(vector(), lower_is_better=True)
    assert (up.better, up.worse, up.within) == (down.worse, down.better, down.within)


def test_a_cell_that_lacks_is_drawn_along() -> None:
    full = drawn(4, (12, 5), (0.01, 0.003, 0.002))
    holed = full.copy()
    holed[3, 2] = math.nan
    assert known(holed).mean == pytest.approx(known(full).mean, abs=5e-4)
    assert known(holed).better == pytest.approx(known(full).better, abs=0.03)


def test_a_table_without_an_interval_has_none() -> None:
    assert gain_probabilities(vector()[:4], MARGIN) is None
    assert gain_probabilities(vector()[:, :2], MARGIN) is None
