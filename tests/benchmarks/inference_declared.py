"""Rules declared before the test is opened: measures that are primary together, and looks.

Tables are judged one by one, by the functions that judge a user's. The reference counts its designs
and does not name them all: here they are the five cases and OpenKBP's spread, for two measures with
the 12 sizes of candidates (72), for looks with 4 numbers of patients (24). Its 2,000 to 6,000
tables of looks are 2,000 here. It does not say at which of them it asked for power, and names the
effect once: here it is all of them, at that effect.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import product

import numpy as np

from harness.base.rng import generator
from harness.inference.co_primaries import common_word
from harness.inference.crossed_t import Inference, VarianceComponents, crossed_weighted_t
from harness.inference.effect import Effect
from harness.inference.looks import look_at
from harness.inference.power import smallest_detectable_effect
from harness.inference.simulation import Floats
from harness.inference.verdict_text import verdict

from .inference_families import MARGIN, PATIENTS, REPLICATES
from .inference_layouts import Spreads
from .simulated_tables import draw

POWER_OF_ONE, POWER_AT_LAST = 0.84, 0.85
"""Nominal, of the effect at which power is asked for. With the first .83 comes out, and .70 for two
that are independent: the reference's, which does not name the effect."""
HUGE = 1.0
"""In Dice: never missed."""
FOUND = "helps", "harms"


def co_primaries_range(name: str, spreads: Spreads, repeats: int) -> tuple[float, float]:
    """Lowest and highest share, over designs, of pairs of measures with a word; or twice the mean.

    Args:
        name: whose word ("all" of them in common, "any" as one of two, or that of the first
            "alone"); the truth ("null" of both, where "helps" and "harms" count, "one null" beside
            a huge effect, or "power", where "helps" counts); "mean" for that over the designs; and
            the measures' correlation, the same in all three parts.
    """
    whose, *truth, correlation = name.split()
    what = " ".join(truth).removesuffix(" mean")
    shares = [
        _together(what, float(correlation), spread, size, repeats)[whose]
        for spread, size in product(spreads, product(PATIENTS, REPLICATES))
    ]
    mean = float(np.mean(shares))
    return (mean, mean) if "mean" in truth else (min(shares), max(shares))


@cache
def _together(
    truth: str, correlation: float, spread: VarianceComponents, size: tuple[int, int], repeats: int
) -> dict[str, float]:
    """Share with a word, of all measures, of any and of the first alone."""
    rng = generator(0, "inference", "co-primaries", repr((truth, correlation, spread, size)))
    first, own = (draw("normal", spread, *size, repeats, rng) for _ in range(2))
    second = correlation * first + math.sqrt(1 - correlation**2) * own
    at = smallest_detectable_effect(spread, *size, POWER_OF_ONE)
    effects = {"null": (0.0, 0.0), "one null": (0.0, HUGE), "power": (at, at)}[truth]
    counted = FOUND if truth == "null" else FOUND[:1]
    found = {"all": 0, "any": 0, "alone": 0}
    for tables in zip(first + effects[0], second + effects[1], strict=True):
        judged = [crossed_weighted_t(table) for table in tables]
        each = {str(place): _effect(inference) for place, inference in enumerate(judged)}
        found["all"] += str(common_word(each)).startswith(counted)
        found["any"] += any(_effect(i.among(2)).word.startswith(counted) for i in judged)
        found["alone"] += each["0"].word.startswith(counted)
    return {whose: count / repeats for whose, count in found.items()}


def _effect(inference: Inference) -> Effect:
    word = verdict(inference, MARGIN) or ""
    return Effect("A", "B", True, inference, None, MARGIN, "", None, None, word, "")


def looks_range(name: str, spreads: Spreads, repeats: int) -> tuple[float, float]:
    """Lowest and highest, over spreads and numbers of patients, of what looking gives.

    Args:
        name: what ("null": share with a word at any look; "power": likewise at an effect that is
            found with `POWER_AT_LAST` by all replicates; there also "replicates": mean number at
            the stop, as a share of all, and "overstated": by how much, as a share of the effect,
            the mean estimate exceeds it where the first look stops), and the looks, at the levels
            that are spent, or at 5 % each where there is one or they are "naive".
    """
    what, looks = name.split(maxsplit=1)
    found = []
    for spread, patients in product(spreads, PATIENTS):
        replicates, word, ratio = _stops(what != "null", looks, spread, patients, repeats).T
        if what == "replicates":
            word = replicates / replicates.max()
        elif what == "overstated":
            word = ratio[replicates == replicates.min()] - 1
        found.append(float(word.mean()))
    return min(found), max(found)


@cache
def _stops(
    differ: bool, looks: str, spread: VarianceComponents, patients: int, repeats: int
) -> Floats:
    """Of each table: replicates at the stop, whether there was a word, estimate / true effect."""
    rng = generator(0, "inference", "looks", repr((differ, looks, spread, patients)))
    declared = tuple(int(word) for word in looks.split() if word != "naive")
    spending = len(declared) > 1 and "naive" not in looks
    size = patients, declared[-1]
    effect = smallest_detectable_effect(spread, *size, POWER_AT_LAST) if differ else 0.0
    tables = draw("normal", spread, *size, repeats, rng, effect)
    return np.array([_stop(table, declared, spending, effect) for table in tables])


def _stop(
    table: Floats, declared: tuple[int, ...], spending: bool, effect: float
) -> tuple[float, float, float]:
    for replicates in declared:
        found = crossed_weighted_t(table[:, :replicates])
        if spending:
            look = look_at(replicates, declared)
            found = found.among(1, look.level, look.final)
        word = verdict(found, MARGIN) or ""
        if word.startswith(FOUND):
            break
    return replicates, word.startswith(FOUND), found.mean / (effect or math.nan)
