"""Looks at some of the replicates: levels to ten digits, and what may be said when."""

from __future__ import annotations

import numpy as np
import pytest
from factories.decide import vector
from scipy.stats import norm

from harness.base.errors import DataError
from harness.inference.decision import DecisionRule, decide
from harness.inference.effect import Effect
from harness.inference.looks import look_at, look_levels
from harness.inference.table import Cell, Table

DECLARED = (5, 8, 10)


@pytest.mark.parametrize(
    ("looks", "levels"),
    [
        ((5, 8, 10), (0.0055745967, 0.0263219124, 0.0395584030)),
        ((5, 10), (0.0055745967, 0.0477809633)),
        ((8, 10), (0.0284296308, 0.0401742535)),
        (
            (5, 6, 7, 8, 9, 10),
            (0.0055745967, 0.0095127253, 0.0149046767, 0.0209748157, 0.0273839585, 0.0339051635),
        ),
    ],
)
def test_levels_to_ten_digits(looks: tuple[int, ...], levels: tuple[float, ...]) -> None:
    assert look_levels(looks) == pytest.approx(levels, abs=5e-11)


def test_levels_of_a_drawn_brownian_motion_spend_five_in_a_hundred() -> None:
    times = np.array(DECLARED) / 10
    steps = np.sqrt(np.diff(times, prepend=0.0))
    motion = np.cumsum(np.random.default_rng(0).normal(size=(200_000, 3)) * steps, axis=1)
    bounds = norm.isf(np.array(look_levels(DECLARED)) / 2) * np.sqrt(times)
    assert (np.abs(motion) > bounds).any(axis=1).mean() == pytest.approx(0.05, abs=0.0015)


def judge(differences: np.ndarray, looks: tuple[int, ...] = DECLARED) -> list[Effect]:
    rows, columns = differences.shape
    cells = [
        Cell(f"p{p}", r, arm, 0.7 + 0.01 * p + share * float(differences[p, r]))
        for p in range(rows)
        for r in range(columns)
        for arm, share in (("A", 0.0), ("B", 1.0), ("C", 3.0))
    ]
    return decide(Table(cells), DecisionRule("A", "B", 0.01, (("A", "C"),), looks=looks))


def test_the_first_look_to_every_digit() -> None:
    effect, further = judge(vector())
    found = effect.judged
    assert found.t is not None
    assert found.interval_95 is not None
    assert f"{found.t.critical_value(0.0055745967):.10g}" == "4.658767236"
    assert found.interval_95 == pytest.approx((-0.008592161442, 0.03403216144), abs=5e-11)
    assert effect.word == "undecided"
    assert 'undecided, which is not "no difference", train on to 8 replicates;' in effect.sentence
    assert "interval at the level of this look (99.44 %)" in effect.sentence
    assert effect.sentence.endswith("look 1 of 3, at 5 of 10 replicates).")
    assert further.word == ""
    assert "No verdict: only the last look judges further comparisons." in further.sentence


def test_an_early_stop_says_nothing_of_the_margin_and_that_it_is_overstated() -> None:
    strong = 0.008 + 0.05 * (vector() - vector().mean())
    effect, _ = judge(strong)
    assert effect.word == "helps"
    assert "helps, found early and so overstated;" in effect.sentence
    assert effect.judged.interval_90 is None
    ten = np.hstack([strong, strong[:, ::-1] + 1e-4])
    last, further = judge(ten)
    assert last.word == "helps, by less than the margin"
    assert "early" not in last.sentence
    assert further.word == "helps"


def test_no_equivalence_before_the_last_look() -> None:
    nothing = 0.02 * (vector() - vector().mean())
    assert judge(nothing)[0].word == "undecided"
    last = judge(np.hstack([nothing, nothing[:, ::-1]]))[0]
    assert last.word == "no useful effect"
    assert "interval at the level of this look (96.04 %)" in last.sentence


@pytest.mark.parametrize(
    ("replicates", "looks", "said"),
    [
        (
            6,
            (5, 8, 10),
            "a table is looked at when it has 5, 8, 10 replicates, as declared, but got 6; train "
            "on to the next look",
        ),
        (
            5,
            (3, 5),
            "looks must be two or more growing numbers of replicates from 5 on, but got 3, 5; name "
            "e.g. 5, 8, 10",
        ),
        (
            8,
            (8, 5),
            "looks must be two or more growing numbers of replicates from 5 on, but got 8, 5; name "
            "e.g. 5, 8, 10",
        ),
        (
            5,
            (5,),
            "looks must be two or more growing numbers of replicates from 5 on, but got 5; name "
            "e.g. 5, 8, 10",
        ),
    ],
)
def test_looks_that_were_not_declared_are_refused(
    replicates: int, looks: tuple[int, ...], said: str
) -> None:
    with pytest.raises(DataError) as caught:
        look_at(replicates, looks)
    assert str(caught.value) == said
