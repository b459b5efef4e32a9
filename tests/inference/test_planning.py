"""The cheapest design: against every other one, against simulated power, within every limit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from benchmarks.inference import CASES
from scipy import stats

from harness.compare.cohorts import deal_cohorts
from harness.config.experiment import ReplicatesConfig
from harness.inference.cohorts import Cohorts, balanced_overlap, mean_overlap
from harness.inference.crossed_t import VarianceComponents
from harness.inference.planning import Limits, cheapest, sharpest
from harness.inference.simulation import (
    bounded,
    count,
    excludes_zero,
    from_mean_squares,
    monte_carlo_error,
    summarise,
)

SPREADS = {**CASES, "OpenKBP": VarianceComponents(0.019, 0.006, 0.02)}
REPEATS = 20_000
NOBODY = VarianceComponents(0.0, 0.0, 0.0)


def seen_by(spread: VarianceComponents, p: int, r: int, rho: float = 0.0) -> float:
    """docs/statistics.md, What a design can see, with k MSR in the place of MSR."""
    ep = r * spread.patient**2 + spread.residual**2
    er = (p * spread.replicate**2 + spread.residual**2) * (1 + r * rho / (1 - rho))
    t = ep + er - spread.residual**2
    w = ep / (ep + er)
    df = t**2 / (ep**2 / (p - 1) + er**2 / (r - 1))
    df = min(max(df, min(p, r) - 1), (p - 1) * (r - 1))
    c = w * stats.t.ppf(0.975, p - 1) + (1 - w) * stats.t.ppf(0.975, r - 1)
    return float((c + stats.t.ppf(0.8, df)) * math.sqrt(t / (p * r)))


@pytest.mark.parametrize("margin", [0.01, 0.02, 0.04])
@pytest.mark.parametrize("name", SPREADS)
def test_no_cheaper_design_sees_the_margin(name: str, margin: float) -> None:
    """Every design up to 40 patients and 16 replicates, by fewest replicates, then patients."""
    limits = Limits(40, 320, Cohorts("disjoint", 20))
    assert limits.replicates == 16
    every = [
        (r, p)
        for r in range(5, 17)
        for p in range(10, 41)
        if seen_by(SPREADS[name], p, r) <= margin
    ]
    found = cheapest(SPREADS[name], margin, limits)
    assert (found and (found.replicates, found.patients)) == min(every, default=None)
    assert found is None or found.detectable == pytest.approx(
        seen_by(SPREADS[name], found.patients, found.replicates)
    )


@pytest.mark.parametrize("name", SPREADS)
def test_the_chosen_design_has_the_power_that_is_meant(name: str) -> None:
    """0.77 to 0.81 where 0.80 is meant; 0.75 where a residual dominates few patients."""
    found = cheapest(SPREADS[name], 0.02, Limits(100, 100))
    assert found is not None
    rng = np.random.default_rng(3)
    drawn = from_mean_squares(
        SPREADS[name], found.patients, found.replicates, REPEATS, rng, 0.02, found.overlap
    )
    power = count(drawn, 0.02).rejected
    assert power >= 0.77 - 3 * monte_carlo_error(0.77, REPEATS)
    assert power < 0.95 or found.patients == 10  # and it is not far larger than it must be


def test_the_floors_of_a_verdict_hold_where_less_would_see_the_margin() -> None:
    found = cheapest(VarianceComponents(0.001, 0.001, 0.001), 0.05, Limits(30, 100))
    assert found is not None
    assert (found.patients, found.replicates) == (10, 5)
    free = cheapest(NOBODY, 0.01, Limits(30, 100))
    assert free is not None
    assert (free.patients, free.replicates, free.detectable) == (10, 5, 0)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(1, 500),
        Limits(9, 500),
        Limits(100, 99, Cohorts("disjoint", 20)),  # four cohorts
    ],
)
def test_without_enough_for_a_verdict_there_is_no_design(limits: Limits) -> None:
    assert not limits.verdict
    assert cheapest(CASES["mixed"], 1.0, limits) is None
    assert sharpest(CASES["mixed"], limits, 500) is None


def test_hours_that_allow_less_give_the_sharpest_that_they_allow() -> None:
    limits = Limits(30, 100)
    found = sharpest(CASES["mixed"], limits, 8)
    assert found is not None
    assert (found.patients, found.replicates) == (30, 8)
    assert found.detectable == pytest.approx(seen_by(CASES["mixed"], 30, 8))
    assert sharpest(CASES["mixed"], limits, 4) is None


# --- cohorts --------------------------------------------------------------------------------


@pytest.mark.parametrize(("pool", "size"), [(100, 20), (60, 20), (30, 20), (23, 7), (21, 20)])
@pytest.mark.parametrize("replicates", [2, 5, 6, 11])
def test_the_overlap_of_drawn_cohorts_is_known_ahead(pool: int, size: int, replicates: int) -> None:
    config = ReplicatesConfig(count=replicates, cohorts="drawn", cohort_size=size)
    dealt = deal_cohorts([f"p{n}" for n in range(pool)], config, 3)
    assert balanced_overlap(pool, size, replicates) == pytest.approx(mean_overlap(dealt))


def test_published_factors_of_balanced_draws() -> None:
    """k at R = 5, n = 20 and N = 30, 40, 60, 100: 8.5, 4.3, 2.25, 1."""
    factors = [
        Cohorts("drawn", 20, balanced_overlap(pool, 20, 5)).factor(5) for pool in (30, 40, 60, 100)
    ]
    assert factors == pytest.approx([8.5, 4.3, 2.25, 1], abs=0.05)
    assert balanced_overlap(30, 20, 1) == 0


def test_more_drawn_cohorts_may_see_less() -> None:
    """Five cohorts of 20 share nobody of 100, six do: fewer than allowed can be the sharpest."""
    limits, spread = Limits(30, 100, Cohorts("drawn", 20)), CASES["replicate-dominated"]
    every = {r: seen_by(spread, 30, r, limits.overlap(r)) for r in range(5, 9)}
    assert every[6] > every[5]
    found = sharpest(spread, limits, 8)
    assert found is not None
    assert found.detectable == pytest.approx(min(every.values()))
    assert found.replicates == min(every, key=lambda r: every[r])


@pytest.mark.parametrize("seeds_alone", [True, False])
def test_power_under_overlap_is_no_less_than_meant(seeds_alone: bool) -> None:
    """Twenty of 60 training patients a cohort. The replicates' spread is of seeds alone, or of
    members whose effects are averaged: whole tables, each with cohorts dealt anew."""
    spread, (patients, replicates, repeats) = VarianceComponents(0.019, 0.006, 0.02), (30, 8, 3_000)
    limits = Limits(patients, 60, Cohorts("drawn", 20))
    design = sharpest(spread, limits, replicates)
    assert design is not None
    rng, tables = np.random.default_rng(2), []
    config = ReplicatesConfig(count=design.replicates, cohorts="drawn", cohort_size=20)
    pool = [f"{n:02}" for n in range(60)]
    among = spread.replicate / math.sqrt(1 - design.overlap)  # that the replicates differ by it
    for repeat in range(repeats):
        if seeds_alone:
            effects = spread.replicate * rng.standard_normal(design.replicates)
        else:
            members = among * math.sqrt(20) * rng.standard_normal(60)
            dealt = deal_cohorts(pool, config, repeat)
            effects = np.array([members[[int(name) for name in one]].mean() for one in dealt])
        d = design.detectable + spread.patient * rng.standard_normal((patients, 1)) + effects
        tables.append(d + spread.residual * rng.standard_normal((patients, design.replicates)))
    found = excludes_zero(summarise(np.array(tables), design.overlap)).mean()
    assert found >= 0.77 - 3 * monte_carlo_error(0.77, repeats)


def test_what_overlapping_cohorts_share_widens_the_mean_as_if_all_were_of_cohorts() -> None:
    """Var of the mean: sp2/P + k sr2/R + se2/(P R); the corrected mean square: k (P sr2 + se2)."""
    spread, rho = VarianceComponents(0.01, 0.02, 0.01), 0.25
    k = 1 + 6 * rho / (1 - rho)
    found = from_mean_squares(spread, 20, 6, 200_000, np.random.default_rng(1), 0.0, rho)
    assert found.mean.var() == pytest.approx(
        0.01**2 / 20 + k * 0.02**2 / 6 + 0.01**2 / 120, rel=0.02
    )
    assert found.by_replicate.mean() == pytest.approx(k * (20 * 0.02**2 + 0.01**2), rel=0.02)
    # Bounded differences spread less everywhere alike: by how much more with overlap is the same.
    shared, alone = (
        bounded(spread, (20_000, 20, 6), np.random.default_rng(1), 0.5, overlap)
        for overlap in (rho, 0.0)
    )
    plain = 0.01**2 / 20 + 0.02**2 / 6 + 0.01**2 / 120
    more = shared.mean(axis=(1, 2)).var() / alone.mean(axis=(1, 2)).var()
    assert more == pytest.approx(found.mean.var() / plain, rel=0.05)
