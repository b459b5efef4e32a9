"""Effects by subgroup: the test beside Welch's and the paired t, its error, Holm, sides."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.inference_families import OPENKBP, subgroup_rate
from scipy import stats

from harness.inference.crossed_t import Inference, VarianceComponents, crossed_weighted_t
from harness.inference.simulation import monte_carlo_error
from harness.inference.subgroups import Factor, group_difference, subgroup_effects
from harness.inference.table import Cell, Table

INSIDE = np.arange(30) < 8


def parted(d: np.ndarray, inside: np.ndarray) -> Inference:
    return group_difference(d[inside], d[~inside])


def test_replicates_that_agree_leave_welchs_test_over_patients() -> None:
    values = np.random.default_rng(2).normal(0, 0.02, 30) + 0.01 * INSIDE
    found = parted(np.repeat(values[:, None], 5, axis=1), INSIDE)
    expected = stats.ttest_ind(values[INSIDE], values[~INSIDE], equal_var=False)
    assert found.mean == pytest.approx(values[:8].mean() - values[8:].mean())
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    ends = expected.confidence_interval(0.95)
    assert found.interval_95 == pytest.approx((ends.low, ends.high))


def test_patients_that_agree_leave_the_paired_test_over_replicates() -> None:
    one, two = np.random.default_rng(3).normal(0.01, 0.01, (2, 5))
    found = parted(np.where(INSIDE[:, None], one, two), INSIDE)
    assert found.p == pytest.approx(stats.ttest_rel(one, two).pvalue, abs=1e-9)


def test_what_replicates_share_moves_nothing() -> None:
    rng = np.random.default_rng(4)
    d, shared = rng.normal(0, 0.02, (30, 5)), rng.normal(0, 1.0, (1, 5))
    one, two = parted(d, INSIDE), parted(d + shared, INSIDE)
    assert two.p == pytest.approx(one.p, abs=1e-6)
    assert parted(np.full((30, 5), 0.1), INSIDE).p is None


@pytest.mark.parametrize("interaction", [0.0, 0.006, 0.02])
@pytest.mark.parametrize("spread", [OPENKBP, VarianceComponents(0.006, 0.001, 0.006)])
def test_groups_that_do_not_differ_are_said_to_in_five_percent(
    spread: VarianceComponents, interaction: float
) -> None:
    """8 against 22 patients; the first ones spread twice as far in every other case."""
    repeats, wider = 1500, 2.0 if interaction else 1.0
    rate = subgroup_rate(spread, (8, 22), 5, interaction, repeats, wider)
    assert rate <= 0.05 + 3 * monte_carlo_error(0.05, repeats)
    assert rate >= 0.05 - 5 * monte_carlo_error(0.05, repeats)  # conservative, and not asleep


# --- from a rule and a table to factors -----------------------------------------------------------

PATIENTS = tuple(f"p{n:02d}" for n in range(30))
NAMES = {f"digest of {name}": name for name in PATIENTS}
DIGESTS = list(NAMES)


def table(gain: np.ndarray, replicates: int = 5, seed: int = 1) -> Table:
    """Candidate minus baseline is `gain` of the patient, with noise."""
    rng = np.random.default_rng(seed)
    cells = []
    for p, name in enumerate(PATIENTS):
        for r in range(replicates):
            cells.append(Cell(name, r, "base", 0.7))
            cells.append(Cell(name, r, "new", 0.7 + gain[p] + rng.normal(0, 0.01)))
    return Table(cells)


def effects(of: Table, declared: dict[str, dict[str, object]], **more: object) -> list[Factor]:
    structures = more.pop("structures", {})
    return list(
        subgroup_effects(of, ("base", "new"), declared, NAMES, structures, **more)  # type: ignore
    )


def halves(cut: int, *names: str) -> dict[str, object]:
    one, two = names or ("metal", "no metal")
    return {"words": "w", "groups": {one: DIGESTS[:cut], two: DIGESTS[cut:]}}


def test_a_planted_difference_is_found_and_adjusted_over_factors() -> None:
    of = table(np.where(INSIDE, 0.05, 0.0))
    d = of.difference("base", "new")
    found = effects(
        of,
        {
            "metal": halves(8),
            "other": {"words": "w", "groups": {"a": DIGESTS[::2], "b": DIGESTS[1::2]}},
        },
    )
    metal, other = found
    assert [g.inference.patients for g in metal.groups] == [8, 22]
    assert metal.groups[0].inference == crossed_weighted_t(d[:8])
    raw = [parted(d, INSIDE).p, parted(d, np.arange(30) % 2 == 0).p]
    assert [metal.p, other.p] == raw
    assert metal.p_adjusted == pytest.approx(2 * raw[0])  # the smallest of two
    assert other.p_adjusted == pytest.approx(max(raw[1], 2 * raw[0]))
    assert metal.p_adjusted < 0.001
    assert metal.difference is not None
    assert metal.difference.mean == pytest.approx(d[:8].mean() - d[8:].mean())
    assert metal.sentence(4).startswith("subgroups by metal: metal +0.05")
    assert "; metal minus no metal: +0.0" in metal.sentence(4)
    assert metal.sentence(4).endswith("; p < 0.001, adjusted < 0.001")


def test_of_three_groups_each_is_held_against_the_others() -> None:
    of = table(np.zeros(30))
    d = of.difference("base", "new")
    groups = {"a": DIGESTS[:10], "b": DIGESTS[10:20], "c": DIGESTS[20:]}
    (centre,) = effects(of, {"centre": {"words": "w", "groups": groups}})
    each = [parted(d, np.arange(30) // 10 == n).p for n in range(3)]
    assert centre.p == min(1.0, 3 * min(p for p in each if p is not None))
    assert centre.difference is None


def test_a_group_of_four_has_numbers_and_no_test() -> None:
    of = table(np.zeros(30))
    (metal,) = effects(of, {"metal": halves(4)})
    four = metal.groups[0].inference
    assert four.mean == pytest.approx(of.difference("base", "new")[:4].mean())
    assert metal.difference is not None
    assert (four.interval_95, metal.difference.interval_95) == (None, None)
    assert (metal.p, metal.p_adjusted) == (None, None)
    assert metal.note.startswith("it needs 5 patients in each group and 5 replicates")
    assert metal.note.endswith("but got 4 and 5")
    assert metal.sentence(4).endswith("; no test: " + metal.note)


def test_three_replicates_and_an_extension_have_no_test() -> None:
    (few,) = effects(table(np.zeros(30), replicates=3), {"metal": halves(8)})
    assert few.difference is not None
    assert few.difference.interval_95 is not None
    assert (few.p, few.note.endswith("but got 8 and 3")) == (None, True)
    (late,) = effects(table(np.zeros(30)), {"metal": halves(8)}, extended=True)
    assert (late.p, late.p_adjusted) == (None, None)
    assert late.note == "the test had been opened before under another rule"


def test_sides_are_compared_within_the_patients_that_have_both() -> None:
    left, right = table(np.full(30, 0.03), seed=1), table(np.zeros(30), seed=2)
    fewer = Table(cell for cell in right.cells if cell.patient not in ("p00", "p01"))
    groups = {"left": ["x_left"], "right": ["x_right"]}
    declared = {"side": {"words": "w", "groups": groups}}
    (side,) = effects(left, declared, structures={"x_left": left, "x_right": fewer})
    d = left.difference("base", "new")[2:] - right.difference("base", "new")[2:]
    expected = crossed_weighted_t(d)
    assert side.p == pytest.approx(expected.p)
    assert side.difference is not None
    assert side.difference.interval_95 == pytest.approx(expected.interval_95)
    assert [(g.name, g.inference.patients) for g in side.groups] == [("left", 28), ("right", 28)]


def test_a_factor_that_was_left_out_says_why() -> None:
    declared = {"side": {"words": "sides", "left_out": "no sides"}, "metal": halves(8)}
    side, metal = effects(table(np.zeros(30)), declared)
    assert (side.groups, side.p, side.note) == ((), None, "no sides")
    assert side.sentence(4) == "subgroups by side: left out: no sides"
    assert metal.p_adjusted == metal.p
