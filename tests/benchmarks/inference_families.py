"""Several comparisons on one table, and settings chosen before it: how often a word is false.

Every arm has patient, replicate and residual parts of its own, of which a difference of two arms
gets its spread; comparisons that share the baseline's trainings are so correlated by a half.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from harness.base.rng import generator
from harness.inference.crossed_t import VarianceComponents
from harness.inference.simulation import Floats, from_mean_squares, summarise, words_of
from harness.inference.subgroups import group_difference

MARGIN = 0.01
OPENKBP = VarianceComponents(0.019, 0.006, 0.02)
PATIENTS, REPLICATES = (10, 20, 30, 50), (5, 8, 10)
WIDE = 3.0
"""How much wider than the others one candidate may spread."""

SECONDARY_SPREADS = (
    OPENKBP,
    VarianceComponents(0.02, 0.015, 0.02),
    VarianceComponents(0.02, 0.0, 0.02),
    VarianceComponents(0.01, 0.002, 0.01),
    VarianceComponents(0.006, 0.001, 0.006),
    VarianceComponents(0.01, 0.005, 0.01),
)
TUNED_SIZES = (20, 5), (30, 8), (30, 10)
VALIDATION = 10, 2
"""Patients and sweep seeds that settings are chosen by."""


def family_rate(
    spread: VarianceComponents,
    size: tuple[int, int],
    effects: Sequence[float],
    repeats: int,
    shared: bool = True,
    scales: Sequence[float] = (),
) -> float:
    """Share of families with a false word.

    Args:
        effects: true differences of the comparisons, in Dice.
        shared: whether they share the baseline's trainings; else each has a baseline of its own.
        scales: spread of each candidate beside the baseline's; all 1 by default.
    """
    rng = generator(0, "inference", "family", repr((spread, size, effects, shared, scales)))
    baseline = _arm(spread, size, repeats, rng)
    false = np.zeros(repeats, bool)
    for effect, scale in zip(effects, scales or [1.0] * len(effects), strict=True):
        tables = effect + scale * _arm(spread, size, repeats, rng) - baseline
        words = words_of(summarise(tables), MARGIN, among=len(effects))
        false |= _false(words, effect)
        if not shared:
            baseline = _arm(spread, size, repeats, rng)
    return float(false.mean())


def _arm(
    spread: VarianceComponents, size: tuple[int, int], repeats: int, rng: np.random.Generator
) -> Floats:
    patients, replicates = size
    values = spread.patient * rng.standard_normal((repeats, patients, 1))
    values = values + spread.replicate * rng.standard_normal((repeats, 1, replicates))
    values = values + spread.residual * rng.standard_normal((repeats, patients, replicates))
    return np.asarray(values / math.sqrt(2), np.float64)


def _false(words: NDArray[np.object_], effect: float) -> NDArray[np.bool_]:
    wrong = {"undecided": False}
    for word in set(words.tolist()):
        helps, harms = word.startswith("helps"), word.startswith("harms")
        small = word == "no useful effect" or word.endswith("by less than the margin")
        beyond = abs(effect) >= MARGIN - 1e-12
        wrong[word] = (helps and effect <= 0) or (harms and effect >= 0) or (small and beyond)
    return np.array([wrong[word] for word in words.tolist()])


def candidates_range(
    count: int, replicates: int, repeats: int, spreads: Sequence[VarianceComponents]
) -> tuple[float, float]:
    """Lowest and highest rate of any word where no candidate differs."""
    wide = [1.0] * (count - 1) + [WIDE]
    rates = [
        family_rate(spread, (patients, replicates), (0.0,) * count, repeats, scales=scales)
        for spread, patients, scales in product(spreads, PATIENTS, ((), wide))
    ]
    return min(rates), max(rates)


def secondaries_range(count: int, truth: str, repeats: int) -> tuple[float, float]:
    """Likewise of `count` secondaries, with and without a shared baseline.

    Args:
        truth: "all 0", "all M", "half" (0 and the margin by turns) or "both" (plus and minus it).
    """
    turns = {"all 0": (0.0, 0.0), "all M": (1.0, 1.0), "half": (0.0, 1.0), "both": (1.0, -1.0)}
    effects = [MARGIN * turns[truth][number % 2] for number in range(count)]
    rates = [
        family_rate(spread, size, effects, repeats, shared)
        for spread, size, shared in product(
            SECONDARY_SPREADS, product(PATIENTS, REPLICATES), (True, False)
        )
    ]
    return min(rates), max(rates)


def tuned_rate(tried: tuple[int, int], sd: float, repeats: int) -> float:
    """Share of "helps" where equally good arms choose the best of `tried` settings each by
    validation; mean over `TUNED_SIZES`.

    Args:
        tried: candidates of the baseline and of the candidate.
        sd: of the settings' true values within an arm, in Dice.
    """
    patients, seeds = VALIDATION
    noise = math.sqrt(
        OPENKBP.patient**2 / patients
        + OPENKBP.replicate**2 / seeds
        + OPENKBP.residual**2 / (patients * seeds)
    ) / math.sqrt(2)
    shares = []
    for size in TUNED_SIZES:
        rng = generator(0, "inference", "tuning", repr((tried, sd, size)))
        chosen = []
        for count in tried:
            true = sd * rng.standard_normal((repeats, count))
            best = (true + noise * rng.standard_normal((repeats, count))).argmax(axis=1)
            chosen.append(np.take_along_axis(true, best[:, None], axis=1)[:, 0])
        found = from_mean_squares(OPENKBP, *size, repeats, rng, chosen[1] - chosen[0])
        words = words_of(found, MARGIN).tolist()
        shares.append(sum(word.startswith("helps") for word in words) / repeats)
    return float(np.mean(shares))


def subgroup_rate(
    spread: VarianceComponents,
    sizes: tuple[int, int],
    replicates: int,
    interaction: float,
    repeats: int,
    wider: float = 1.0,
) -> float:
    """Share of tables on which two groups of patients that do not differ are said to.

    Args:
        sizes: patients of both groups.
        interaction: sd over replicates of what each group has of a replicate for itself.
        wider: spread over patients of the first group beside the second's.
    """
    keys = repr((spread, sizes, replicates, interaction, wider))
    rng = generator(0, "inference", "subgroups", keys)
    patients = sum(sizes)
    inside = np.arange(patients) < sizes[0]
    by_patient = spread.patient * np.where(inside, wider, 1.0)[:, None]
    found = 0
    for _ in range(repeats):
        d = by_patient * rng.standard_normal((patients, 1))
        d = d + spread.replicate * rng.standard_normal((1, replicates))
        d = d + spread.residual * rng.standard_normal((patients, replicates))
        own = interaction * rng.standard_normal((2, replicates))
        d = d + np.where(inside[:, None], own[0], own[1])
        p = group_difference(d[inside], d[~inside]).p
        found += p is not None and p < 0.05
    return found / repeats
