"""Diversity on sets whose numbers are known, and its properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.base.errors import DataError
from harness.metrics.collapse.diversity import (
    mean_distance,
    non_duplicates,
    typical_distance,
    vendi,
)


def groups_far_apart(groups: int, each: int, d: int = 12) -> np.ndarray:
    return np.repeat(1000.0 * np.eye(d)[:groups], each, axis=0)


@pytest.mark.parametrize(("groups", "each"), [(1, 7), (4, 5), (9, 1), (10, 3)])
def test_vendi_of_equal_groups_is_their_number(groups: int, each: int) -> None:
    assert vendi(groups_far_apart(groups, each), 1.0).value == pytest.approx(groups)


def test_vendi_of_two_images_by_hand() -> None:
    # Kernel exp(-2) off the diagonal: eigenvalues of K / 2 are (1 +- exp(-2)) / 2.
    found = vendi(np.array([[0.0, 0.0], [0.0, 6.0]]), 3.0)
    p = (1 + math.exp(-2)) / 2
    assert found.value == pytest.approx(math.exp(-p * math.log(p) - (1 - p) * math.log(1 - p)))


def test_vendi_of_unequal_groups_is_exp_of_their_entropy() -> None:
    x = np.concatenate([groups_far_apart(2, 1)] + [groups_far_apart(1, 1)] * 2)
    assert vendi(x, 1.0).value == pytest.approx((4 / 3) ** 0.75 * 4**0.25)


@given(
    st.integers(1, 25),
    st.integers(1, 40),
    st.floats(0.05, 50),
    st.integers(0, 2**32 - 1),
)
def test_vendi_lies_between_1_and_n_and_falls_with_the_bandwidth(
    n: int, d: int, bandwidth: float, seed: int
) -> None:
    x = np.random.default_rng(seed).normal(size=(n, d))
    found = vendi(x, bandwidth).value
    assert 1 <= found <= n
    assert vendi(x, 2 * bandwidth).value <= found + 1e-9
    # The kernel sees distances only, and n copies of everything change no share.
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(d, d)))[0]
    assert vendi(x @ turned + 3, bandwidth).value == pytest.approx(found, rel=1e-6)
    assert vendi(np.repeat(x, 2, axis=0), bandwidth).value == pytest.approx(found, rel=1e-6)


def test_the_cosine_would_call_positive_features_with_a_shared_mean_alike() -> None:
    rng = np.random.default_rng(1)
    x = 5 + np.abs(rng.normal(size=(60, 200)))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    shares = np.linalg.eigvalsh(unit @ unit.T / 60)
    shares = shares[shares > 0]
    assert np.exp(-(shares * np.log(shares)).sum()) < 1.2
    assert vendi(x, typical_distance(x, range(60)).value / 2).value > 30


def test_typical_distance_looks_at_other_patients() -> None:
    x = np.array([[0.0], [0.1], [3.0], [3.1], [8.0]])
    # Nearest of another patient: 3, 2.9, 2.9, 3 and 4.9.
    found = typical_distance(x, ["a", "a", "b", "b", "c"])
    assert found.value == pytest.approx(3.0)
    assert (found.n, found.units) == (5, "3 patients")
    one = typical_distance(x, ["a"] * 5)
    assert math.isnan(one.value)
    assert one.note == "needs 2 patients, but got 1"
    with pytest.raises(DataError, match="but got 1 labels for 5 images"):
        typical_distance(x, ["a"])


def test_mean_distance() -> None:
    found = mean_distance(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 4.0]]))
    assert found.value == pytest.approx((5 + 4 + 3) / 3)
    assert found.units == "3 pairs"
    assert mean_distance(np.ones((4, 3))).value == 0.0
    assert mean_distance(np.ones((1, 3))).note == "needs 2 images, but got 1"


def test_distinct_count_joins_chains() -> None:
    x = np.array([[0.0], [0.9], [1.8], [5.0], [5.0], [9.0]])
    assert non_duplicates(x, 1.0).value == 3
    assert non_duplicates(x, 0.5).value == 5
    # Strictly nearer than the radius.
    assert non_duplicates(np.array([[0.0], [1.0]]), 1.0).value == 2
    assert non_duplicates(groups_far_apart(6, 4), 5.0).value == 6


@given(st.integers(1, 30), st.floats(0.01, 10), st.integers(0, 2**32 - 1))
def test_distinct_count_lies_between_1_and_n_and_falls_with_the_radius(
    n: int, radius: float, seed: int
) -> None:
    x = np.random.default_rng(seed).normal(size=(n, 3))
    found = non_duplicates(x, radius).value
    assert 1 <= found <= n
    assert non_duplicates(x, 2 * radius).value <= found


def test_nothing_and_nonsense() -> None:
    none = np.empty((0, 3))
    assert vendi(none, 1.0).note == "needs 1 image, but got 0"
    assert non_duplicates(none, 1.0).note == "needs 1 image, but got 0"
    assert vendi(np.full((3, 2), np.inf), 1.0).note == "features are not finite"
    for bandwidth in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(DataError, match="bandwidth must be a finite number above 0, but got"):
            vendi(np.ones((3, 2)), bandwidth)
    with pytest.raises(DataError, match="radius must be"):
        non_duplicates(np.ones((3, 2)), 0.0)
    with pytest.raises(DataError, match=r"n x d, but got shape \(3,\)"):
        mean_distance(np.ones(3))
