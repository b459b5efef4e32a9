"""Learning-rate factors and epoch ladders, worked by hand."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.stages import Pix2pixConfig
from harness.training.schedule import (
    cosine,
    picture_epochs,
    pix2pix_decay,
    scored_epochs,
)


@pytest.mark.parametrize(("total", "steady"), [(300, 200), (3, 2), (1, 1), (2, 1), (100, 67)])
def test_two_thirds_are_constant(total: int, steady: int) -> None:
    assert Pix2pixConfig().steady_epochs(total) == steady


def test_three_hundred_epochs_are_the_thesis_two_hundred_and_one_hundred() -> None:
    assert {pix2pix_decay(epoch, 300) for epoch in range(1, 201)} == {1.0}
    assert pix2pix_decay(201, 300) == pytest.approx(100 / 101)
    assert pix2pix_decay(250, 300) == pytest.approx(51 / 101)
    assert pix2pix_decay(300, 300) == pytest.approx(1 / 101)


def test_six_epochs_by_hand() -> None:
    factors = [pix2pix_decay(epoch, 6) for epoch in range(1, 7)]
    assert factors == pytest.approx([1, 1, 1, 1, 2 / 3, 1 / 3])


@given(st.integers(1, 2000))
def test_the_rate_never_rises_nor_reaches_zero(total: int) -> None:
    factors = [pix2pix_decay(epoch, total) for epoch in range(1, total + 1)]
    assert factors[0] <= 1
    assert all(a >= b > 0 for a, b in itertools.pairwise(factors))


def test_cosine_by_hand() -> None:
    assert [cosine(share) for share in (0, 1 / 3, 0.5, 2 / 3, 1)] == pytest.approx(
        [1, 0.75, 0.5, 0.25, 0]
    )
    assert cosine(1.5) == 0, "past the end it stays at zero"


def test_ten_scored_epochs_of_three_hundred() -> None:
    # 300^(k/9): 1, 1.88, 3.55, 6.69, 12.6, 23.8, 44.8, 84.4, 159.2, 300
    assert scored_epochs(300, 10) == (1, 2, 4, 7, 13, 24, 45, 84, 159, 300)


def test_short_trainings_have_fewer() -> None:
    assert scored_epochs(1, 10) == (1,)
    assert scored_epochs(3, 10) == (1, 2, 3)
    assert scored_epochs(300, 1) == (300,)


def test_named_epochs_are_scored_and_the_last_one() -> None:
    assert scored_epochs(290, (245, 9, 24, 290, 400)) == (9, 24, 245, 290)
    assert scored_epochs(5, (9,)) == (5,)


def test_every_checkpoint_is_pictured() -> None:
    assert picture_epochs((4,), 3) == {1, 2, 4}
    assert picture_epochs((30, 150), 2) == {1, 30, 150}


@given(st.integers(1, 100_000), st.integers(1, 50))
def test_a_ladder_ascends_to_the_last_epoch(total: int, about: int) -> None:
    ladder = scored_epochs(total, about)
    assert list(ladder) == sorted(set(ladder))
    assert ladder[0] >= 1
    assert ladder[-1] == total
    assert len(ladder) <= about
