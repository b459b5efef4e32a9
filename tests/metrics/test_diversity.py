"""Diversity on sets whose numbers are known, and its properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from harness.metrics.collapse.diversity import mean_distance, non_duplicates, vendi_score


def apart(x: np.ndarray) -> np.ndarray:
    return squareform(pdist(x))


def groups_far_apart(groups: int, each: int, d: int = 12) -> np.ndarray:
    return np.repeat(1000.0 * np.eye(d)[:groups], each, axis=0)


@pytest.mark.parametrize(("groups", "each"), [(1, 7), (4, 5), (9, 1), (10, 3)])
def test_vendi_of_equal_groups_is_their_number(groups: int, each: int) -> None:
    found = vendi_score(apart(groups_far_apart(groups, each)), 1.0)
    assert found == pytest.approx(groups)


def test_vendi_of_two_images_by_hand() -> None:
    # Kernel exp(-2) off the diagonal: eigenvalues of K / 2 are (1 +- exp(-2)) / 2.
    found = vendi_score(np.array([[0.0, 6.0], [6.0, 0.0]]), 3.0)
    p = (1 + math.exp(-2)) / 2
    assert found == pytest.approx(math.exp(-p * math.log(p) - (1 - p) * math.log(1 - p)))


def test_vendi_of_unequal_groups_is_exp_of_their_entropy() -> None:
    x = np.concatenate([groups_far_apart(2, 1)] + [groups_far_apart(1, 1)] * 2)
    assert vendi_score(apart(x), 1.0) == pytest.approx((4 / 3) ** 0.75 * 4**0.25)


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
    found = vendi_score(apart(x), bandwidth)
    assert 1 <= found <= n
    assert vendi_score(apart(x), 2 * bandwidth) <= found + 1e-9
    # n copies of everything change no share.
    twice = apart(np.repeat(x, 2, axis=0))
    assert vendi_score(twice, bandwidth) == pytest.approx(found, rel=1e-6)


def test_the_cosine_would_call_positive_features_with_a_shared_mean_alike() -> None:
    rng = np.random.default_rng(1)
    x = 5 + np.abs(rng.normal(size=(60, 200)))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    shares = np.linalg.eigvalsh(unit @ unit.T / 60)
    shares = shares[shares > 0]
    assert np.exp(-(shares * np.log(shares)).sum()) < 1.2
    nearest = np.where(np.eye(60, dtype=bool), np.inf, apart(x)).min(axis=1)
    assert vendi_score(apart(x), float(np.median(nearest)) / 2) > 30


def test_mean_distance() -> None:
    found = mean_distance(apart(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 4.0]])))
    assert found == pytest.approx((5 + 4 + 3) / 3)
    assert mean_distance(apart(np.ones((4, 3)))) == 0.0


def test_non_duplicates_join_chains() -> None:
    x = apart(np.array([[0.0], [0.9], [1.8], [5.0], [5.0], [9.0]]))
    assert non_duplicates(x, 1.0) == 3
    assert non_duplicates(x, 0.5) == 5
    # Strictly nearer than the radius.
    assert non_duplicates(apart(np.array([[0.0], [1.0]])), 1.0) == 2
    assert non_duplicates(apart(groups_far_apart(6, 4)), 5.0) == 6


@given(st.integers(1, 30), st.floats(0.01, 10), st.integers(0, 2**32 - 1))
def test_non_duplicates_lie_between_1_and_n_and_fall_with_the_radius(
    n: int, radius: float, seed: int
) -> None:
    x = apart(np.random.default_rng(seed).normal(size=(n, 3)))
    found = non_duplicates(x, radius)
    assert 1 <= found <= n
    assert non_duplicates(x, 2 * radius) <= found
