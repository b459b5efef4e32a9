"""Tables of every layout against vectors computed independently, and what each may claim."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from factories.decide import unpaired_vectors, vector

from harness.inference.centres import at_centres, other_centres, these_centres
from harness.inference.crossed_t import (
    Inference,
    crossed_weighted_t,
    mean_squares,
    variance_and_weight,
)
from harness.inference.decision import DecisionRule, decide
from harness.inference.effect import Effect
from harness.inference.holes import filled, too_many_holes
from harness.inference.layout import CROSSED, Layout
from harness.inference.procedure import compared
from harness.inference.single_run import folded, single_run
from harness.inference.table import Cell, Table

HOLES = ((0, 1), (3, 4), (7, 0), (9, 2))


def ten(*values: float | None) -> list[str]:
    return [f"{value:.10g}" for value in values if value is not None]


def without(cells: Any, *places: tuple[int, int]) -> np.ndarray:
    found = np.array(cells, float)
    for place in places:
        found[place] = math.nan
    return found


def table(
    differences: Any, layout: Layout = CROSSED, others: Mapping[str, Any] | None = None
) -> Table:
    """Cells of A, of B = A + differences and of others likewise; NaN lacks in B alone."""
    arms = {"B": np.asarray(differences), **(others or {})}
    rows, columns = arms["B"].shape
    base = 0.7 + 0.01 * np.arange(rows)[:, None] - 0.002 * np.arange(columns)[None, :]
    values = {"A": base, **{name: base + d for name, d in arms.items()}}
    cells = [
        Cell(f"p{p}", r, arm, float(of[p, r]))
        for arm, of in values.items()
        for p in range(rows)
        for r in range(columns)
    ]
    return Table(cells, layout=layout)


def judge(differences: Any, layout: Layout = CROSSED, **further: Any) -> Effect:
    return decide(table(differences, layout), DecisionRule("A", "B", 0.01, **further))[0]


# --- holes ----------------------------------------------------------------------------------------


def test_four_cells_that_lack_to_every_digit() -> None:
    holed = without(vector(), *HOLES)
    full = filled(holed)
    squares, found = mean_squares(full, 4), crossed_weighted_t(holed)
    assert ten(*(full[place] for place in HOLES)) == [
        "0.003553113553",
        "0.01398168498",
        "0.0136959707",
        "0.00941025641",
    ]
    assert ten(found.mean, squares.patients, squares.replicates) == [
        "0.01271282051",
        "0.0004765482358",
        "0.0005778313516",
    ]
    assert ten(squares.residual, found.weight, found.standard_error) == [
        "1.019358974e-05",
        "0.4519702786",
        "0.00456987089",
    ]
    assert found.t is not None
    assert found.interval_95 is not None
    assert ten(found.t.critical_value(0.05), *found.interval_95, found.p) == [
        "2.544002241",
        "0.001087058729",
        "0.0243385823",
        "0.03746746761",
    ]
    assert (found.status, found.holes) == ("verdict", 4)
    assert "Yates" in found.method


def test_filled_cells_are_those_of_least_squares() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        d = rng.normal(size=(9, 5))
        d[rng.random(d.shape) < 0.15] = math.nan
        if too_many_holes(d):
            continue
        rows, columns = np.nonzero(np.isfinite(d))
        design = np.zeros((len(rows), 14))
        design[np.arange(len(rows)), rows] = 1
        design[np.arange(len(rows)), 9 + columns] = 1
        fit = np.linalg.lstsq(design, d[rows, columns], rcond=None)[0]
        expected = np.where(np.isfinite(d), d, fit[:9, None] + fit[9:])
        assert filled(d) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (
            [(p, 0) for p in range(6)],
            "an interval needs half of the patients in each replicate, but 6 of 50 lack and 1 "
            "replicate has fewer",
        ),
        (
            [(2, r) for r in range(4)],
            "an interval needs 2 cells of each patient, but 4 of 50 lack and 1 patient has fewer",
        ),
        (
            [(p, r) for p in range(4) for r in range(3)],
            "an interval needs 80 % of the cells, but 12 of 50 lack",
        ),
    ],
)
def test_what_lacks_too_often_gives_no_interval(places: list[tuple[int, int]], said: str) -> None:
    found = crossed_weighted_t(without(vector(), *places))
    assert (found.status, found.note, found.interval_95) == ("cells only", said, None)


def test_cells_that_tie_nothing_together_give_no_interval() -> None:
    """Two blocks that share neither a patient nor a replicate have no common scale."""
    d = np.random.default_rng(1).normal(size=(20, 20))
    d[:10, 10:] = d[10:, :10] = math.nan
    assert "80 %" in str(too_many_holes(d))
    d[:10, 10:] = 0.0
    assert "80 %" in str(too_many_holes(d))
    small = np.random.default_rng(1).normal(size=(5, 3))
    small[0, 0] = small[1, 1] = small[2, 2] = math.nan
    assert too_many_holes(small) is None


def test_the_word_if_what_lacks_were_the_worst() -> None:
    effect = judge(without(0.015 + 0.4 * (vector() - 0.01272), *HOLES))
    assert (effect.word, effect.filled_low) == ("helps", "helps")
    weak = vector()
    low = judge(without(weak, (0, 1), (1, 1), (2, 1), (3, 1)))
    assert low.word == "helps"
    assert low.filled_low == "undecided"
    assert low.sentence.endswith("in place of those that lack the word becomes 'undecided'.")
    assert judge(vector()).filled_low == "", "nothing lacks"


# --- centres --------------------------------------------------------------------------------------

THREE = tuple(f"c{p % 3}" for p in range(10))


def test_three_centres_to_every_digit() -> None:
    found = these_centres(vector(), THREE)
    assert found.t is not None
    assert found.interval_95 is not None
    assert found.mean == pytest.approx(0.01272, abs=1e-15)
    assert ten(found.weight, found.standard_error, found.t.critical_value(0.05)) == [
        "0.1228202641",
        "0.003685198192",
        "2.725865159",
    ]
    assert ten(*found.interval_95, found.p) == [
        "0.002674646644",
        "0.02276535336",
        "0.02414936775",
    ]
    assert found.status == "verdict"


def test_centre_means_to_every_digit() -> None:
    """Three are no ground for a claim on others, so the arithmetic is asked for alone."""
    means = np.array([vector()[[c == name for c in THREE]].mean(0) for name in ("c0", "c1", "c2")])
    squares = mean_squares(means)
    total, weight = variance_and_weight(squares)
    assert ten(means.mean(), squares.patients, squares.replicates, squares.residual) == [
        "0.01371111111",
        "0.000503562963",
        "0.0001801314815",
        "1.748148148e-06",
    ]
    assert ten(weight, math.sqrt(total / 15)) == ["0.7365321849", "0.00674263201"]
    alone = other_centres(vector(), THREE)
    assert (alone.status, alone.interval_95) == ("cells only", None)
    assert alone.note == (
        "an interval needs at least 5 centres and 3 replicates, but got 3 centres and 5 replicates"
    )


def test_the_claim_is_for_these_centres_below_ten_and_for_others_from_ten_on() -> None:
    layout = Layout(centre={f"p{p}": THREE[p] for p in range(10)})
    effect = judge(vector(), layout)
    assert effect.word == "helps"
    assert "for patients of these 3 centres in this mixture (other centres: not known)" in (
        effect.sentence
    )
    assert [name for name, _ in effect.inference.beside] == ["centre c0", "centre c1", "centre c2"]
    cells = np.random.default_rng(0).normal(0.02, 0.01, (30, 6))
    ten_centres = tuple(f"c{p % 10}" for p in range(30))
    wide = at_centres(cells, ten_centres)
    assert (wide.status, wide.replicates) == ("verdict", 6)
    assert wide.claim.startswith("for centres like these 10")
    by_hand = crossed_weighted_t(np.array([cells[c::10].mean(0) for c in range(10)]))
    assert wide.interval_95 == pytest.approx(by_hand.interval_95)
    assert at_centres(cells, ten_centres, others=False).claim.startswith("for patients of these 10")
    six = at_centres(cells, tuple(f"c{p % 6}" for p in range(30)))
    assert dict(six.beside)["other centres"].status == "pilot"
    at_centres_asked = at_centres(cells, tuple(f"c{p % 6}" for p in range(30)), others=True)
    assert at_centres_asked.status == "pilot"


def test_a_centre_of_one_patient_gives_no_interval() -> None:
    found = these_centres(vector(), ("lone", *THREE[1:]))
    assert found.note == (
        "an interval for these centres needs 2 patients of each, but got 1 of 'lone'"
    )
    few = these_centres(vector()[:8], THREE[:8])
    assert few.note == "an interval for these centres needs 10 patients, but got 8"


# --- one training, folds --------------------------------------------------------------------------


def numbers(found: Inference) -> list[str]:
    assert found.interval_95 is not None
    return ten(found.mean, found.standard_error, *found.interval_95)


def test_a_single_run_to_every_digit() -> None:
    first = vector()[:, :1]
    found = single_run(first)
    assert numbers(found) == ["0.0034", "0.003396730454", "-0.004283938127", "0.01108393813"]
    assert found.t is not None
    assert found.t.df == (9,)
    effect = judge(first)
    assert effect.word == ""
    assert "of these two trained networks, on patients like these" in effect.sentence
    assert "No verdict: a verdict needs at least 5 replicates, but got 1" in effect.sentence


def test_folds_to_every_digit() -> None:
    found = folded(vector()[:, :1], [str(p % 5) for p in range(10)])
    assert numbers(found)[1:] == ["0.003760319135", "-0.006266208066", "0.01306620807"]
    ((name, means),) = found.beside
    assert numbers(means)[1:] == ["0.002878367593", "-0.004591629614", "0.01139162961"]
    assert name == "of trainings like these on this cohort"
    assert found.t is not None
    assert means.t is not None
    assert (found.t.df, means.t.df) == ((5,), (4,))
    assert found.claim == "of these 5 trainings of each arm, on patients like these"


def test_folds_of_one_patient_and_repeats() -> None:
    one = vector()[:, :1]
    alone = folded(one, [f"fold {p}" for p in range(10)])
    assert alone.interval_95 == pytest.approx(single_run(one).interval_95)
    assert alone.claim == "of these 10 trainings of each arm, on patients like these"
    layout = Layout(fold={f"p{p}": str(p % 5) for p in range(10)})
    twice = compared(table(vector()[:, :2], layout), "A", "B")
    assert twice.claim == "of these 10 trainings of each arm, on patients like these"
    assert twice.status == "pilot"
    assert twice.beside == ()
    often = judge(vector(), layout)
    assert often.word == "helps"
    assert often.inference.interval_95 == pytest.approx(
        crossed_weighted_t(vector()).interval_95, abs=1e-12
    )
    assert "given this training cohort" in often.sentence


# --- unpaired, cohorts, several candidates --------------------------------------------------------


def test_unpaired_replicates_are_told_from_paired_ones() -> None:
    one, other = unpaired_vectors()
    cells = [
        Cell(f"p{row}", f"{prefix}{column}", arm, float(values[row, column]))
        for arm, prefix, values in (("A", "run", one), ("B", "seed ", other))
        for row in range(10)
        for column in range(values.shape[1])
    ]
    (effect,) = decide(Table(cells, layout=Layout(unpaired=True)), DecisionRule("A", "B", 0.01))
    found = effect.inference
    assert found.t is not None
    assert ten(found.mean, found.standard_error, found.t.critical_value(0.05)) == [
        "0.01030666667",
        "0.003837163304",
        "2.632571997",
    ]
    assert "10 test patients, 5 and 6 unpaired replicates" in effect.sentence
    # Numbered alike, the sixth replicate of B alone would leave holes.
    assert effect.word == "helps"


def test_seeds_of_a_cohort_are_averaged() -> None:
    layout = Layout(cohort={r: f"cohort {r // 2}" for r in range(10)})
    cells = np.random.default_rng(5).normal(0.02, 0.01, (12, 10))
    found = compared(table(cells, layout), "A", "B")
    by_hand = crossed_weighted_t(cells.reshape(12, 5, 2).mean(2))
    assert found.interval_95 == pytest.approx(by_hand.interval_95)
    assert found.status == "verdict"
    assert found.size == "12 test patients, 5 training cohorts of 2 replicates"
    uneven = compared(table(cells[:, :9], layout), "A", "B")
    assert uneven.note == (
        "an interval over cohorts needs as many replicates of each, but got 1 of 'cohort 4' and 2 "
        "of 'cohort 0'"
    )


@pytest.mark.parametrize(
    ("layout", "cells", "said"),
    [
        (
            Layout(
                centre={f"p{p}": THREE[p] for p in range(10)},
                fold={f"p{p}": str(p % 2) for p in range(10)},
            ),
            vector(),
            "an interval for centres needs a table without folds: the two were never tried "
            "together",
        ),
        (
            Layout(centre={f"p{p}": THREE[p] for p in range(10)}),
            without(vector(), (0, 1)),
            "an interval for centres needs a table without cells that lack (1 of 50): the two were "
            "never tried together",
        ),
        (
            Layout(centre={f"p{p}": THREE[p] for p in range(10)}),
            vector()[:, :1],
            "an interval for centres needs a table without one training: the two were never tried "
            "together",
        ),
        (
            Layout(unpaired=True),
            without(vector(), (0, 1)),
            "an interval for unpaired replicates needs a table without cells that lack (1): the "
            "two were never tried together",
        ),
    ],
)
def test_what_was_never_tried_together_is_refused(
    layout: Layout, cells: np.ndarray, said: str
) -> None:
    effect = judge(cells, layout)
    assert (effect.word, effect.inference.status, effect.inference.note) == ("", "cells only", said)


def test_several_candidates_are_one_family() -> None:
    d = vector()
    effects = decide(
        table(d, others={"C": 0.5 * d, "D": 0.3 * (d - 0.012)}),
        DecisionRule("A", "B", 0.01, further=("C", "D")),
    )
    assert [effect.primary for effect in effects] == [True] * 3
    assert [effect.word for effect in effects] == ["undecided", "undecided", "no useful effect"]
    assert ten(*(effect.p_adjusted for effect in effects)) == ["0.114723626", "0.114723626", "1"]
    looked = judge(d, looked_at=2)
    assert looked.judged.interval_95 == effects[0].judged.interval_95
    assert "95 % interval adjusted for 3 comparisons" in looked.sentence
    assert judge(d).word == "helps", "alone"
