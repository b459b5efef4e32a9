"""What figures of a search show, by its numbers: best so far, places on axes, cells and ranges."""

from __future__ import annotations

import math
from typing import Any

import pytest

from harness.figures.axes import SearchAxis, value_words
from harness.figures.cells import make_cells, spans
from harness.figures.parallel import ABSENT, paths
from harness.figures.search import pareto_front
from harness.figures.trials import TrialDot, ValueAxis, best_so_far

RATE = "optimiser.learning_rate"
BATCH = SearchAxis.listed("batch_size", [64, 6, 12])
RATES = SearchAxis(RATE, (), 1e-5, 1e-2, log=True)


def trial(number: int, *values: float | None, **changes: Any) -> TrialDot:
    settings = {"batch_size": 12, "learning_rate": 2e-4, "epochs": 30}
    return TrialDot(number, seed_values=values, **{**settings, **changes})


def at(number: int, batch: Any, rate: Any, **changes: Any) -> TrialDot:
    params = {"batch_size": batch, RATE: rate}
    return trial(number, 0.1, params={k: v for k, v in params.items() if v is not None}, **changes)


# --- best so far ------------------------------------------------------------------------------


def test_the_best_so_far_steps_where_a_trial_improves_on_all_before_it() -> None:
    trials = [
        trial(0, 0.5, 0.7),
        trial(1, 0.1, failed=True),  # cannot be chosen, so it is not the best
        trial(2, 0.9),
        trial(3, 0.3),
        trial(4, None),
        trial(5, 0.2, checkpoint_of=3),
    ]
    found = best_so_far(trials, "minimize")
    assert found == [(0, pytest.approx(0.6)), (3, 0.3), (5, 0.2)]
    assert best_so_far(trials, "maximize") == [(0, pytest.approx(0.6)), (2, 0.9)]


def test_the_best_so_far_goes_by_number_whatever_the_order_given() -> None:
    trials = [trial(2, 0.1), trial(0, 0.3), trial(1, 0.2)]
    assert [number for number, _ in best_so_far(trials, "minimize")] == [0, 1, 2]


def test_without_a_sound_trial_there_is_no_best() -> None:
    assert best_so_far([trial(0, 0.1, failed=True), trial(1, None)], "minimize") == []


# --- the axis of the objective ----------------------------------------------------------------


def test_a_failed_trial_far_off_does_not_flatten_the_others() -> None:
    sound = [trial(n, value) for n, value in enumerate((1.0, 1.2, 1.4))]
    view = ValueAxis.of([*sound, trial(3, 50.0, failed=True)])
    assert not view.log
    # Sound values span 0.4: the axis goes that far beyond them, and a little room.
    assert view.high == pytest.approx(1.8 + 0.06 * 0.8)
    assert view.low == pytest.approx(1.0 - 0.06 * 0.8)
    assert view.place(50.0) == 1.0
    assert view.place(math.nan) == 1.0
    assert view.place(-3.0) == 0.0


def test_values_of_very_different_size_get_a_logarithmic_axis() -> None:
    view = ValueAxis.of([trial(n, value) for n, value in enumerate((0.01, 0.1, 1.0))])
    assert view.log
    assert view.place(0.1) == pytest.approx(0.5)


def test_an_axis_exists_without_any_number() -> None:
    view = ValueAxis.of([trial(0, None)])
    assert view.low < view.high


# --- axes of the space ------------------------------------------------------------------------


def test_listed_numbers_stand_evenly_by_size() -> None:
    assert [BATCH.place(v) for v in (6, 12, 64, 7)] == [0.0, 0.5, 1.0, None]
    assert [text for _, text in BATCH.ticks(5)] == ["6", "12", "64"]


def test_words_keep_their_order() -> None:
    axis = SearchAxis.listed("loss", ["hinge", "bce"])
    assert (axis.place("hinge"), axis.place("bce")) == (0.0, 1.0)


def test_a_log_range_is_even_in_factors() -> None:
    assert RATES.place(1e-5) == 0.0
    assert RATES.place(1e-4) == pytest.approx(1 / 3)
    assert RATES.place(1e-2) == pytest.approx(1.0)
    assert RATES.place(0.1) is None
    ticks = RATES.ticks(4)
    assert [text for _, text in ticks] == ["1e-5", "1e-4", "0.001", "0.01"]
    assert [place for place, _ in ticks] == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_a_narrow_log_range_still_has_two_ticks() -> None:
    assert len(SearchAxis("x", (), 2.1e-4, 2.9e-4, log=True).ticks(5)) == 2


@pytest.mark.parametrize(
    ("value", "words"),
    [(12, "12"), (2e-4, "2e-4"), (2.34e-4, "2.3e-4"), (0.00494, "0.00494"), (True, "True"),
     (0.0, "0"), ("hinge", "hinge"), (-1.5, "-1.5")],
)  # fmt: skip
def test_a_setting_is_short(value: Any, words: str) -> None:
    assert value_words(value) == words


# --- parallel coordinates ---------------------------------------------------------------------


def test_a_line_goes_through_its_settings_to_its_objective() -> None:
    trials = [at(0, 6, 1e-4), at(1, 64, None)]
    view = ValueAxis(0.0, 0.2, False)
    first, second = paths(trials, [BATCH, RATES], view)
    assert first[0] == pytest.approx(0.0, abs=0.05)
    assert first[1:] == pytest.approx([1 / 3, 0.5])
    assert second[0] == pytest.approx(1.0, abs=0.05)
    assert second[1] == ABSENT


def test_lines_through_one_listed_value_stand_apart() -> None:
    trials = [at(n, 12, 1e-4) for n in range(30)]
    heights = [path[0] for path in paths(trials, [BATCH, RATES], ValueAxis(0.0, 1.0, False))]
    assert len(set(heights)) == 30
    assert max(heights) - min(heights) < 0.06


# --- cells ------------------------------------------------------------------------------------


def test_few_values_have_a_column_each() -> None:
    found = spans(BATCH, [12, 6, 12, None])
    assert [span.value for span in found] == [6, 12]
    assert [span.words for span in found] == ["6", "12"]


def test_many_rates_share_ranges_of_equal_factors() -> None:
    rates = [1e-5, 2e-5, 5e-5, 2e-4, 5e-4, 1e-3, 1e-2]
    found = spans(RATES, rates, most=3)
    assert [(s.low, s.high) for s in found] == [
        (pytest.approx(1e-5), pytest.approx(1e-4)),
        (pytest.approx(1e-4), pytest.approx(1e-3)),
        (pytest.approx(1e-3), pytest.approx(1e-2)),
    ]
    assert found[0].words == "1e-5 to 1e-4"
    # The middle of 1e-5 to 1e-4 is 10 ** -4.5.
    assert found[0].off_middle(10**-4.5) == pytest.approx(0.0)
    assert found[0].off_middle(1e-5) == pytest.approx(0.5)


def test_many_words_keep_the_most_frequent_ones() -> None:
    axis = SearchAxis.listed("kind", list("abcdefgh"))
    found = spans(axis, list("abcdefgh") + list("fgh"), most=3)
    assert [span.value for span in found] == ["f", "g", "h"]


def test_cells_are_batch_size_by_learning_rate() -> None:
    epochs = SearchAxis.listed("schedule.epochs", [8, 16])
    trials = [
        trial(0, 0.1, params={"batch_size": 6, RATE: 1e-4, "schedule.epochs": 8}),
        trial(1, 0.2, params={"batch_size": 12, RATE: 1e-3, "schedule.epochs": 16}),
    ]
    cells = make_cells(trials, [epochs, RATES, BATCH])
    assert cells is not None
    assert (cells.across.path, cells.down and cells.down.path) == ("batch_size", RATE)
    assert {cell: dot.number for cell, dot in cells.shown.items()} == {(0, 0): 0, (1, 1): 1}


def test_without_both_the_first_two_axes_that_vary_are_taken() -> None:
    width, beta = SearchAxis.listed("width", [16, 32]), SearchAxis("beta", (), 0, 1)
    fixed = SearchAxis.listed("noise", ["normal", "uniform"])
    trials = [
        trial(n, 0.1, params={"noise": "normal", "width": w, "beta": b})
        for n, (w, b) in enumerate([(16, 0.1), (32, 0.9)])
    ]
    cells = make_cells(trials, [fixed, width, beta])
    assert cells is not None
    assert (cells.across.path, cells.down and cells.down.path) == ("width", "beta")
    one = make_cells(trials, [width])
    assert one is not None
    assert (one.down, len(one.rows), len(one.columns)) == (None, 1, 2)
    assert make_cells(trials, [fixed]) is None


def test_the_trial_nearest_to_the_middle_stands_for_a_range() -> None:
    # Two batch sizes of seven trials: four rows from 1e-5 to 1e-1, a decade each.
    axis = SearchAxis(RATE, (), 1e-5, 1e-1, log=True)
    rates = [1e-5, 3e-5, 9e-5, 2e-4, 2e-3, 2e-2, 1e-1]
    trials = [at(n, 6, rate) for n, rate in enumerate(rates)] + [at(7, 12, 1e-3)]
    cells = make_cells(trials, [BATCH, axis])
    assert cells is not None
    assert len(cells.rows) == 4
    assert cells.counts[0, 0] == 3
    assert cells.shown[0, 0].number == 1
    assert cells.counts[3, 0] == 2  # the last range holds its upper end
    assert (0, 1) not in cells.shown


def test_the_chosen_trial_stands_for_its_cell_then_the_longest_then_the_newest() -> None:
    mates = [at(0, 6, 1e-4, epochs=8), at(1, 6, 1e-4, epochs=16), at(2, 6, 1e-4, epochs=16)]
    other = at(9, 12, 1e-3)
    cells = make_cells([*mates, other], [BATCH, RATES])
    assert cells is not None
    assert cells.shown[0, 0].number == 2
    chosen = at(3, 6, 1e-4, epochs=8, chosen=True)
    cells = make_cells([*mates, chosen, other], [BATCH, RATES])
    assert cells is not None
    assert cells.shown[0, 0].number == 3


def test_a_trial_without_an_axis_is_counted_as_left_out() -> None:
    cells = make_cells([at(0, 6, 1e-4), at(1, 12, 1e-3), at(2, 6, None)], [BATCH, RATES])
    assert cells is not None
    assert cells.left_out == 1
    assert sum(cells.counts.values()) == 2


def test_a_front_shows_every_trial_where_its_objectives_are() -> None:
    values = [0.3, 0.25, 0.1, 0.5]
    dots = [
        TrialDot(number, 6, 1e-4, 50, [value], failed=number == 3, chosen=number == 2)
        for number, value in enumerate(values)
    ]
    further = {"epochs": {0: 50.0, 1: 100.0, 2: 300.0, 3: 30.0}, "diversity": {0: 0.6, 2: 0.7}}
    figure = pareto_front(dots, further, [1, 2], "KID")
    first, second = figure.axes
    drawn = [(line.get_xdata()[0], line.get_ydata()[0], line.get_marker()) for line in first.lines]
    assert drawn == [
        (50.0, 0.3, "o"), (100.0, 0.25, "o"), (300.0, 0.1, "o"), (300.0, 0.1, "o"),
        (30.0, 0.5, "x"),
    ]  # fmt: skip
    filled = [line.get_markerfacecolor() != "none" for line in first.lines]
    assert filled == [False, True, True, False, True]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in second.lines] == [
        (0.6, 0.3), (0.7, 0.1), (0.7, 0.1),
    ]  # fmt: skip
    assert (first.get_xlabel(), second.get_xlabel(), first.get_ylabel()) == (
        "epochs",
        "diversity",
        "KID",
    )
