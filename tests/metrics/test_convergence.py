"""Convergence failure on the losses of trainings whose outcome is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.base.errors import DataError
from harness.metrics.collapse.convergence import (
    convergence_failure,
    falling_diversity,
    frozen_output,
)


def losses(d: float, g: float, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return d * np.exp(0.3 * rng.normal(size=n)), g + 0.2 * rng.normal(size=n)


@pytest.mark.parametrize(("d", "g"), [(0.001, 8.9), (0.00008, 9.9), (0.0013, 8.7)])
def test_known_failures(d: float, g: float) -> None:
    healthy_d, healthy_g = losses(0.28, 3.5, 20)
    failed_d, failed_g = losses(d, g, 30, 1)
    found = convergence_failure(
        range(1, 51), np.r_[healthy_d, failed_d], np.r_[healthy_g, failed_g]
    )
    assert found is not None
    assert "the discriminator wins" in found.reason
    assert found.onset_epoch == 21


def test_failed_from_the_start() -> None:
    found = convergence_failure(range(1, 8), *losses(0.001, 9.0, 7))
    assert found is not None
    assert found.onset_epoch == 1


@pytest.mark.parametrize(
    ("d", "g"), [(0.28, 3.5), (1.38, 0.69), (0.001, 3.5), (0.28, 9.0), (0.05, 5.0)]
)
def test_healthy_trainings_and_single_signs_pass(d: float, g: float) -> None:
    assert convergence_failure(range(1, 41), *losses(d, g, 40)) is None


def test_a_training_that_recovered_passes_and_a_good_epoch_is_no_recovery() -> None:
    bad, good = losses(0.001, 9.0, 20), losses(0.3, 3.0, 20)
    d, g = np.r_[bad[0], good[0]], np.r_[bad[1], good[1]]
    assert convergence_failure(range(1, 41), d, g) is None
    d, g = bad[0].copy(), bad[1].copy()
    d[-2], g[-2] = 0.3, 3.0
    assert convergence_failure(range(1, 21), d, g) is not None


def test_epochs_are_named_as_given() -> None:
    found = convergence_failure([10, 20, 30, 40, 50, 60], *losses(0.001, 9.0, 6))
    assert found is not None
    assert found.onset_epoch == 10


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_fails_at_once(bad: float) -> None:
    d, g = losses(0.28, 3.5, 10)
    g[3] = bad
    found = convergence_failure(range(1, 11), d, g)
    assert found is not None
    assert (found.reason, found.onset_epoch) == ("a loss is not finite", 4)


def test_too_few_epochs_say_nothing() -> None:
    assert convergence_failure([], [], []) is None
    assert convergence_failure(range(4), *losses(0.001, 9.0, 4)) is None
    with pytest.raises(DataError, match="2 epochs, 3 and 3 losses"):
        convergence_failure([1, 2], [1, 2, 3], [1, 2, 3])


def test_samples_that_become_alike_have_an_onset() -> None:
    values = [0.1, 0.3, 0.7, 0.9, 0.8, 0.4, 0.2, 0.1, 0.1]
    found = falling_diversity(range(10, 100, 10), values)
    assert found is not None
    assert found.onset_epoch == 60
    assert "0.1 times the spread of real images" in found.reason


@pytest.mark.parametrize(
    "values", [[], [0.1, 0.1, 0.1], [0.1] * 6 + [0.8], [0.9, 0.3, 0.3, 0.3], [1.2] * 9]
)
def test_varied_recovering_and_hardly_watched_trainings_pass(values: list[float]) -> None:
    assert falling_diversity(range(len(values)), values) is None


def test_an_output_that_stands_still_has_an_onset() -> None:
    found = frozen_output(range(1, 9), [-0.1, -0.3, -0.5, -0.8, -0.8, -0.8, -0.8, -0.8])
    assert found is not None
    assert found.onset_epoch == 4
    assert "5 looks in a row" in found.reason


@pytest.mark.parametrize(
    "values",
    [[], [-0.8], [-0.8] * 3, [-0.8, -0.8, -0.8, -0.8, -0.79], [0.1 + 1e-5 * k for k in range(20)]],
)
def test_an_output_that_moves_is_not_frozen(values: list[float]) -> None:
    assert frozen_output(range(len(values)), values) is None
