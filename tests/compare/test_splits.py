"""The A/A check: how replicates of one arm are halved, and what a planted half does to it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from benchmarks.splits import (
    Values,
    arm_table,
    at_random,
    in_order,
    judged,
    main,
    pooled_t_rejects,
    splits,
    wilcoxon_rejects,
)

from harness.base.errors import ConfigError, DataError
from harness.inference.decision import DecisionRule, decide
from harness.inference.table import Cell, Table

MARGIN = 0.01


def planted() -> Values:
    """Ten patients of their own levels; five of ten replicates are 0.1 higher; a chequered rest."""
    patient, replicate = np.mgrid[:10, :10]
    shifted = np.isin(replicate, (0, 2, 3, 7, 9))
    return np.asarray(0.5 + 0.01 * patient + 0.1 * shifted + 1e-4 * (-1.0) ** (patient + replicate))


def noise(seed: int = 0) -> Values:
    """Ten patients, ten replicates: patient, replicate and rest."""
    rng = np.random.default_rng(seed)
    parts = (
        rng.normal(0, 0.05, (10, 1)),
        rng.normal(0, 0.01, (1, 10)),
        rng.normal(0, 0.02, (10, 10)),
    )
    return np.asarray(0.7 + sum(parts))


def write(path: Path, values: Values, arm: str = "A", more: str = "") -> Path:
    cells = [Cell(f"p{p}", 1000 + r, arm, float(v)) for (p, r), v in np.ndenumerate(values)]
    path.write_text(Table(cells).to_csv() + more)
    return path


@pytest.mark.parametrize(("replicates", "count"), [(6, 10), (8, 35), (10, 126)])
def test_every_way_to_halve_comes_once(replicates: int, count: int) -> None:
    found = list(splits(replicates))
    assert len(found) == count
    assert len({frozenset((frozenset(one), frozenset(other))) for one, other in found}) == count
    for one, other in found:
        assert len(one) == len(other)
        assert sorted(one + other) == list(range(replicates))
        assert all(a < b for half in (one, other) for a, b in pairwise(half))


@pytest.mark.parametrize("replicates", [0, 4, 9, 16])
def test_what_has_no_fit_halves_is_refused(replicates: int) -> None:
    with pytest.raises(DataError, match=f"even number .* but got {replicates};"):
        list(splits(replicates))


def test_only_the_split_that_separates_a_shifted_half_rejects() -> None:
    # Separated, every difference is about 0.1. Four shifted against one: the differences of the
    # pairs are (1, 1, 1, 0, 0) or (1, 1, 1, 1, -1) tenths: t = 2.4 or 1.5 where 4 df need 2.78.
    # Three against two: (1, 0, 0, 0, 0) or more spread, t = 1 or less.
    found = judged(in_order(planted()), MARGIN)
    rejecting = [split for split, hit in zip(splits(10), found.rejected, strict=True) if hit]
    assert rejecting == [([0, 2, 3, 7, 9], [1, 4, 5, 6, 8])]
    assert found.words == {"harms": 1, "undecided": 125}
    assert found.largest == pytest.approx(0.1, abs=3e-4)
    # So it is whoever is paired with whom.
    drawn = judged(at_random(planted(), 20, 0), MARGIN)
    assert drawn.rejected == [hit for hit in found.rejected for _ in range(20)]


def test_estimates_of_a_planted_half_are_fifths_of_it() -> None:
    # 1 split is 5 against 0 shifted, 25 are 4 against 1, 100 are 3 against 2.
    sizes = [round(50 * abs(one.mean)) for one in judged(in_order(planted()), MARGIN).found]
    assert [sizes.count(fifths) for fifths in (1, 3, 5)] == [100, 25, 1]


def test_naive_tests_see_the_planted_half_in_many_places() -> None:
    # 5 x 5 pairs of replicates differ by about 0.1 in all ten patients (p = 0.002); the rest does
    # not, its chequers being 0 or as often up as down.
    assert sum(wilcoxon_rejects(planted())) == 25
    assert sum(pooled_t_rejects(planted())) >= 1 + 25


def test_names_and_order_of_patients_and_halves_do_not_matter() -> None:
    values = noise()
    found = judged(in_order(values), MARGIN)
    # Backwards, the same replicates are paired; what changes is which half is the baseline.
    for other in (values[::-1], values[:, ::-1], values + 0.1, 1 - values):
        again = judged(in_order(other), MARGIN)
        assert sum(again.rejected) == sum(found.rejected)
        assert sorted(again.half_widths) == pytest.approx(sorted(found.half_widths))
        assert again.words["undecided"] == found.words["undecided"]
        assert again.largest == pytest.approx(found.largest)


def test_a_new_order_of_replicates_or_pairing_leaves_the_estimates() -> None:
    values = noise(1)
    shuffled = values[:, np.random.default_rng(2).permutation(10)]
    sizes = [
        sorted(abs(one.mean) for one in judged(in_order(table), MARGIN).found)
        for table in (values, shuffled)
    ]
    assert sizes[0] == pytest.approx(sizes[1])
    drawn = judged(at_random(values, 3, 0), MARGIN).found
    ordered = judged(in_order(values), MARGIN).found
    assert [one.mean for one in drawn] == pytest.approx(
        [one.mean for one in ordered for _ in range(3)]
    )
    assert len({round(one.p or 0, 12) for one in drawn}) > len(ordered)


def test_a_split_is_judged_as_harness_decide_judges_it() -> None:
    values = noise(3)
    one, other = list(splits(10))[17]
    halves = {"one": values[:, one], "other": values[:, other]}
    cells = [
        Cell(f"p{p}", r, arm, float(v))
        for arm, half in halves.items()
        for (p, r), v in np.ndenumerate(half)
    ]
    (effect,) = decide(Table(cells), DecisionRule("one", "other", MARGIN))
    found = judged(in_order(values), MARGIN).found[17]
    assert effect.inference.interval_95 == pytest.approx(found.interval_95)
    assert effect.p == pytest.approx(found.p)


def test_the_answer_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = "p0,1000,B,0.1\np77,99,B,0.1\n"
    path = write(tmp_path / "scores.csv", planted(), more=other)
    assert main([str(path), "--arm", "A", "--pairings", "2"]) == 0
    answer = capsys.readouterr().out
    assert "1 of 126 (0.8 %)" in answer
    assert "2 of 252 (0.8 %)" in answer
    assert "25 of 45 (55.6 %)" in answer
    assert "no binomial sample" in answer


def test_the_answer_is_seeded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "scores.csv", noise()[:, :6])
    answers = []
    for seed in ("0", "0", "1"):
        assert main([str(path), "--arm", "A", "--pairings", "2", "--seed", seed]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1] != answers[2]


def test_equal_replicates_have_no_interval_and_reject_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "scores.csv", np.full((10, 6), 0.8))
    assert main([str(path), "--arm", "A"]) == 0
    out = capsys.readouterr().out
    assert "half width" not in out
    assert "10 of 10 (100.0 %)" in next(row for row in out.splitlines() if "no verdict" in row)


def test_wrong_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "scores.csv", noise())
    with pytest.raises(ConfigError, match="one of the arms A, but got 'b'"):
        arm_table(path, "b")
    holed = noise()
    holed[3, 4] = np.nan
    with pytest.raises(DataError, match="1 missing of arm 'A'"):
        arm_table(write(tmp_path / "holed.csv", holed), "A")
    for values, said in ((noise()[:4], "at least 5 patients"), (noise()[:, :9], "even number")):
        assert main([str(write(tmp_path / "few.csv", values)), "--arm", "A"]) == 2
        assert said in capsys.readouterr().err
