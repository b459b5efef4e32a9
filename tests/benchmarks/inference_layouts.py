"""Tables of unusual layouts, judged one by one by the shipped procedure: how often it is wrong.

Every rate is for the claim that the procedure makes: of one training, the patients; of folds, these
trainings; of these centres, their own mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from harness.base.rng import generator
from harness.inference.centres import other_centres, these_centres
from harness.inference.crossed_t import Inference, VarianceComponents, crossed_weighted_t
from harness.inference.holes import too_many_holes
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
OF_A_SET = (0.0, 0.005, 0.01)
"""Sd of what the training patients of a fold make, in Dice."""

Rng = np.random.Generator
Spreads = Sequence[VarianceComponents]
Range = tuple[float, float]


def _range(
    designs: Iterable[tuple[Any, ...]],
    draw: Callable[..., tuple[Inference, float]],
    repeats: int,
) -> Range:
    """Lowest and highest share, over designs, of intervals that miss the truth.

    Args:
        draw: a table judged, and the truth, from a design and a generator.
    """
    rates = []
    for design in designs:
        rng, wrong = generator(0, "inference", draw.__name__, repr(design)), 0
        for _ in range(repeats):
            found, truth = draw(*design, rng)
            assert found.interval_95 is not None
            wrong += not found.interval_95[0] <= truth <= found.interval_95[1]
        rates.append(wrong / repeats)
    return min(rates), max(rates)


def _table(spread: VarianceComponents, size: tuple[int, int], rng: Rng) -> Floats:
    rows = spread.patient * rng.standard_normal((size[0], 1))
    columns = spread.replicate * rng.standard_normal((1, size[1]))
    return np.asarray(rows + columns + spread.residual * rng.standard_normal(size), np.float64)


def holes_range(what: str, spread: VarianceComponents, repeats: int) -> Range:
    """Cells that lack at random, as a share, or "half" of one replicate's patients."""
    designs = ((what, spread, size) for size in product(PATIENTS, REPLICATES))
    return _range(designs, _holed, repeats)


def _holed(
    what: str, spread: VarianceComponents, size: tuple[int, int], rng: Rng
) -> tuple[Inference, float]:
    cells = _patterns(what, size)[rng.integers(PATTERNS)]
    return crossed_weighted_t(np.where(cells, np.nan, _table(spread, size, rng))), 0.0


@lru_cache
def _patterns(what: str, size: tuple[int, int]) -> list[Floats]:
    """Patterns of holes that give an interval."""
    rng, found = generator(0, "inference", "holes", what, repr(size)), []
    while len(found) < PATTERNS:
        cells = np.zeros(size, bool)
        if what == "half":
            cells[rng.permutation(size[0])[: size[0] // 2], 0] = True
        else:
            cells.flat[rng.permutation(cells.size)[: max(1, round(float(what) * cells.size))]] = 1
        if too_many_holes(np.where(cells, np.nan, 0.0)) is None:
            found.append(cells)
    return found


def these_range(spreads: Spreads, repeats: int) -> Range:
    """These centres; the truth is their mean in this mixture."""
    return _range(product(spreads, CENTRES, (5, 10)), _these, repeats)


def _these(
    spread: VarianceComponents, size: tuple[int, int], replicates: int, rng: Rng
) -> tuple[Inference, float]:
    labels = [place % size[1] for place in range(size[0])]
    cells, of_centre = _at_centres(spread, 0.3, labels, replicates, rng)
    return these_centres(cells, [str(c) for c in labels]), float(of_centre.mean())


def others_range(centres: int, spreads: Spreads, repeats: int) -> Range:
    """Other centres, from 30 patients, evenly spread or half of them in one."""
    return _range(product([centres], spreads, SHARES, (5, 8), (True, False)), _others, repeats)


def _others(
    centres: int, spread: VarianceComponents, share: float, replicates: int, even: bool, rng: Rng
) -> tuple[Inference, float]:
    labels = [place % centres for place in range(30)]
    if not even:
        labels = [0] * 15 + [1 + place % (centres - 1) for place in range(15)]
    cells, _ = _at_centres(spread, share, labels, replicates, rng)
    return other_centres(cells, [str(c) for c in labels]), 0.0


def _at_centres(
    spread: VarianceComponents, share: float, labels: Sequence[int], replicates: int, rng: Rng
) -> tuple[Floats, Floats]:
    """A table, and of each patient what its centre adds."""
    centres = spread.patient * math.sqrt(share) * rng.standard_normal(max(labels) + 1)
    own = VarianceComponents(
        spread.patient * math.sqrt(1 - share), spread.replicate, spread.residual
    )
    of_centre = centres[list(labels)]
    return _table(own, (len(labels), replicates), rng) + of_centre[:, None], of_centre


def folds_range(way: str, spreads: Spreads, repeats: int) -> Range:
    """One training of all ("single"), or of each fold: "these" trainings, or trainings "like"
    these, of the same training patients, whose effect of each fold is a part of the truth."""
    return _range(product([way], spreads, (5, 10), (20, 30, 50), OF_A_SET), _folded, repeats)


def _folded(
    way: str, spread: VarianceComponents, folds: int, patients: int, of_set: float, rng: Rng
) -> tuple[Inference, float]:
    number = 1 if way == "single" else folds
    sets = of_set * rng.standard_normal(number)
    effects = sets + spread.replicate * rng.standard_normal(number)
    of_patient = np.resize(effects, patients)
    own = VarianceComponents(spread.patient, 0.0, spread.residual)
    cells = _table(own, (patients, 1), rng) + of_patient[:, None]
    if way == "single":
        return single_run(cells), float(effects[0])
    found = folded(cells, [str(place % folds) for place in range(patients)])
    if way == "these":
        return found, float(of_patient.mean())
    return found.beside[0][1], float(sets.mean())


def unpaired_range(replicates: tuple[int, int], spreads: Spreads, repeats: int) -> Range:
    """Replicates of two arms that share nothing, equally noisy or one three times as noisy."""
    return _range(product([replicates], spreads, PATIENTS, (1.0, 3.0)), _unpaired, repeats)


def _unpaired(
    replicates: tuple[int, int], spread: VarianceComponents, patients: int, ratio: float, rng: Rng
) -> tuple[Inference, float]:
    arms = []
    for columns, wide in zip(replicates, (1.0, ratio), strict=True):
        sds = spread.patient, wide * spread.replicate, spread.residual
        of = VarianceComponents(*(sd / math.sqrt(2) for sd in sds))
        arms.append(_table(of, (patients, columns), rng))
    t = unpaired_t([arms[1], -arms[0]])
    return Inference("verdict", patients, min(replicates), t.mean).of(t), 0.0


def seeds_range(cohorts: int, seeds: int, spreads: Spreads, repeats: int) -> Range:
    """Several seeds of each cohort, averaged; cohorts have an effect of sd 0, 0.01 or 0.02."""
    designs = product([cohorts], [seeds], spreads, (10, 30), (0.0, 0.01, 0.02))
    return _range(designs, _of_cohorts, repeats)


def _of_cohorts(
    cohorts: int, seeds: int, spread: VarianceComponents, patients: int, sd: float, rng: Rng
) -> tuple[Inference, float]:
    cells = _table(spread, (patients, cohorts * seeds), rng)
    effects = sd * rng.standard_normal(cohorts)
    effects = effects + WITHIN * rng.standard_normal((patients, cohorts))
    cells = cells + np.repeat(effects, seeds, axis=1)
    return crossed_weighted_t(cells.reshape(patients, cohorts, seeds).mean(axis=2)), 0.0
