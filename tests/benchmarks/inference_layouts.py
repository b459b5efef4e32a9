"""Tables of unusual layouts, judged one by one by the shipped procedure: how often it is wrong.

Every rate is for the claim that the procedure makes: of one training, the patients; of folds, these
trainings; of these centres, their own mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np

from harness.base.rng import generator
from harness.inference.centres import other_centres, these_centres
from harness.inference.crossed_t import Inference, VarianceComponents, crossed_weighted_t
from harness.inference.simulation import Floats
from harness.inference.single_run import folded, single_run
from harness.inference.unpaired import unpaired_t

PATIENTS, REPLICATES = (10, 20, 30, 50), (5, 8, 10)
PATTERNS = 20
CENTRES = (10, 2), (10, 3), (10, 5), (12, 4), (20, 5), (30, 3)
"""Patients and centres of the designs for these centres."""
SHARES = (0.1, 0.3, 0.5)
"""Of the patients' variance, that centres have."""
WITHIN = 0.01
"""Sd of a cohort's effect on a single patient, in Dice."""

Draw = Callable[[], tuple[Inference, float]]


def _rate(draw: Draw, repeats: int) -> float:
    """Share of intervals that miss the truth."""
    wrong = 0
    for _ in range(repeats):
        found, truth = draw()
        assert found.interval_95 is not None
        wrong += not found.interval_95[0] <= truth <= found.interval_95[1]
    return wrong / repeats


def _table(spread: VarianceComponents, size: tuple[int, int], rng: np.random.Generator) -> Floats:
    rows = spread.patient * rng.standard_normal((size[0], 1))
    columns = spread.replicate * rng.standard_normal((1, size[1]))
    return np.asarray(rows + columns + spread.residual * rng.standard_normal(size), np.float64)


def holes_range(what: str, spread: VarianceComponents, repeats: int) -> tuple[float, float]:
    """Cells that lack at random, as a share, or "half" of one replicate's patients."""
    rates = []
    for size in product(PATIENTS, REPLICATES):
        rng = generator(0, "inference", "holes", what, repr(spread), repr(size))
        patterns = []
        while len(patterns) < PATTERNS:
            cells = np.zeros(size, bool)
            if what == "half":
                cells[rng.permutation(size[0])[: size[0] // 2], 0] = True
            else:
                number = max(1, round(float(what) * cells.size))
                cells.flat[rng.permutation(cells.size)[:number]] = True
            patterns.append(cells)
        turn = iter(range(repeats))

        def draw(
            size: tuple[int, int] = size,
            rng: np.random.Generator = rng,
            patterns: Sequence[Floats] = patterns,
            turn: Iterator[int] = turn,
        ) -> tuple[Inference, float]:
            place = next(turn)
            while True:
                cells = patterns[place % PATTERNS]
                found = crossed_weighted_t(np.where(cells, np.nan, _table(spread, size, rng)))
                if found.interval_95 is not None:
                    return found, 0.0
                place += 1  # a pattern that gives no interval

        rates.append(_rate(draw, repeats))
    return min(rates), max(rates)


def _centre_effects(
    labels: Sequence[int], share: float, spread: VarianceComponents, rng: np.random.Generator
) -> Floats:
    """Of each patient: its centre's, and its own beside it."""
    centres = spread.patient * math.sqrt(share) * rng.standard_normal(max(labels) + 1)
    own = spread.patient * math.sqrt(1 - share) * rng.standard_normal(len(labels))
    return np.stack([centres[list(labels)], own])


def these_range(spreads: Sequence[VarianceComponents], repeats: int) -> tuple[float, float]:
    """These centres; the truth is their mean in this mixture."""
    rates = []
    for spread, (patients, centres), replicates in product(spreads, CENTRES, (5, 10)):
        rng = generator(0, "inference", "these", repr((spread, patients, centres, replicates)))
        labels = [place % centres for place in range(patients)]

        def draw(
            spread: VarianceComponents = spread,
            labels: Sequence[int] = labels,
            replicates: int = replicates,
            rng: np.random.Generator = rng,
        ) -> tuple[Inference, float]:
            of_centre, own = _centre_effects(labels, 0.3, spread, rng)
            rest = VarianceComponents(0.0, spread.replicate, spread.residual)
            cells = _table(rest, (len(labels), replicates), rng) + (of_centre + own)[:, None]
            return these_centres(cells, [str(c) for c in labels]), float(of_centre.mean())

        rates.append(_rate(draw, repeats))
    return min(rates), max(rates)


def others_range(
    centres: int, spreads: Sequence[VarianceComponents], repeats: int
) -> tuple[float, float]:
    """Other centres, from 30 patients, evenly spread or half of them in one."""
    rates = []
    for spread, share, replicates, even in product(spreads, SHARES, (5, 8), (True, False)):
        key = repr((centres, spread, share, replicates, even))
        rng = generator(0, "inference", "others", key)
        labels = [place % centres for place in range(30)]
        if not even:
            labels = [0] * 15 + [1 + place % (centres - 1) for place in range(15)]

        def draw(
            spread: VarianceComponents = spread,
            share: float = share,
            labels: Sequence[int] = labels,
            replicates: int = replicates,
            rng: np.random.Generator = rng,
        ) -> tuple[Inference, float]:
            rest = VarianceComponents(0.0, spread.replicate, spread.residual)
            effects = _centre_effects(labels, share, spread, rng).sum(axis=0)
            cells = _table(rest, (len(labels), replicates), rng) + effects[:, None]
            return other_centres(cells, [str(c) for c in labels]), 0.0

        rates.append(_rate(draw, repeats))
    return min(rates), max(rates)


def folds_range(
    way: str, spreads: Sequence[VarianceComponents], repeats: int
) -> tuple[float, float]:
    """One training of all ("single"), or of each fold: "these" trainings, or trainings "like"
    these."""
    rates = []
    for spread, folds, patients in product(spreads, (5, 10), (20, 30, 50)):
        rng = generator(0, "inference", "folds", way, repr((spread, folds, patients)))
        labels = [str(place % folds) for place in range(patients)]

        def draw(
            spread: VarianceComponents = spread,
            folds: int = folds,
            labels: Sequence[str] = labels,
            rng: np.random.Generator = rng,
        ) -> tuple[Inference, float]:
            own = VarianceComponents(spread.patient, 0.0, spread.residual)
            effects = spread.replicate * rng.standard_normal(1 if way == "single" else folds)
            of_patient = np.resize(effects, len(labels))
            cells = _table(own, (len(labels), 1), rng) + of_patient[:, None]
            if way == "single":
                return single_run(cells), float(effects[0])
            found = folded(cells, labels)
            if way == "these":
                return found, float(of_patient.mean())
            return found.beside[0][1], 0.0

        rates.append(_rate(draw, repeats))
    return min(rates), max(rates)


def unpaired_range(
    replicates: tuple[int, int], spreads: Sequence[VarianceComponents], repeats: int
) -> tuple[float, float]:
    """Replicates of two arms that share nothing, equally noisy or one three times as noisy."""
    rates = []
    for spread, patients, ratio in product(spreads, PATIENTS, (1.0, 3.0)):
        rng = generator(0, "inference", "unpaired", repr((spread, patients, ratio, replicates)))

        def draw(
            spread: VarianceComponents = spread,
            patients: int = patients,
            ratio: float = ratio,
            rng: np.random.Generator = rng,
        ) -> tuple[Inference, float]:
            arms = []
            for columns, wide in zip(replicates, (1.0, ratio), strict=True):
                of = VarianceComponents(
                    spread.patient / math.sqrt(2),
                    wide * spread.replicate / math.sqrt(2),
                    spread.residual / math.sqrt(2),
                )
                arms.append(_table(of, (patients, columns), rng))
            t = unpaired_t([arms[1], -arms[0]])
            return Inference("verdict", patients, min(replicates), t.mean).of(t), 0.0

        rates.append(_rate(draw, repeats))
    return min(rates), max(rates)


def seeds_range(
    cohorts: int, seeds: int, spreads: Sequence[VarianceComponents], repeats: int
) -> tuple[float, float]:
    """Several seeds of each cohort, averaged; cohorts have an effect of sd 0, 0.01 or 0.02."""
    rates = []
    for spread, patients, sd in product(spreads, (10, 30), (0.0, 0.01, 0.02)):
        key = repr((cohorts, seeds, spread, patients, sd))
        rng = generator(0, "inference", "seeds", key)

        def draw(
            spread: VarianceComponents = spread,
            patients: int = patients,
            sd: float = sd,
            rng: np.random.Generator = rng,
        ) -> tuple[Inference, float]:
            cells = _table(spread, (patients, cohorts * seeds), rng)
            of_cohort = sd * rng.standard_normal(cohorts)
            of_cohort = of_cohort + WITHIN * rng.standard_normal((patients, cohorts))
            cells = cells + np.repeat(of_cohort, seeds, axis=1)
            means = cells.reshape(patients, cohorts, seeds).mean(axis=2)
            return crossed_weighted_t(means), 0.0

        rates.append(_rate(draw, repeats))
    return min(rates), max(rates)
