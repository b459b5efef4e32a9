"""The look at a training's samples, on sets whose spread is known."""

from __future__ import annotations

import numpy as np
import pytest

from harness.training.schedule import watched
from harness.work.train.sample_monitor import SampleMonitor, spread


def test_spread_is_the_mean_distance_over_pairs() -> None:
    images = np.zeros((3, 1, 2, 2))
    images[1, 0, 0, 0] = 3.0
    images[2, 0, 1, 1] = 4.0
    assert spread(images) == pytest.approx((3 + 4 + 5) / 3)


def test_spread_equals_all_pairs_written_out() -> None:
    images = np.random.default_rng(0).normal(size=(9, 2, 5, 4))
    pairs = [np.linalg.norm(images[i] - images[j]) for i in range(9) for j in range(i)]
    assert spread(images) == pytest.approx(float(np.mean(pairs)))


def test_a_look_at_one_image_many_times_and_at_half_the_spread() -> None:
    real = np.random.default_rng(0).uniform(-1, 1, (32, 1, 8, 8))
    monitor = SampleMonitor.beside(real)
    assert monitor.measure(np.repeat(real[:1], 32, axis=0))["vs_real/diversity"] == pytest.approx(0)
    assert monitor.measure(real / 2)["vs_real/diversity"] == pytest.approx(0.5)
    assert monitor.measure(real)["train/mean_output"] == pytest.approx(real.mean())


def test_what_is_not_a_number_is_not_looked_at() -> None:
    monitor = SampleMonitor.beside(np.random.default_rng(0).normal(size=(4, 1, 2, 2)))
    assert monitor.measure(np.full((4, 1, 2, 2), np.nan)) == {}


def test_real_images_without_spread_give_no_ratio() -> None:
    found = SampleMonitor.beside(np.zeros((4, 1, 2, 2))).measure(np.ones((4, 1, 2, 2)))
    assert found == {"train/mean_output": 1.0}


def test_watched_epochs_begin_alike_whatever_the_length() -> None:
    found = [epoch for epoch in range(1, 501) if watched(epoch)]
    assert found[:33] == [*range(1, 32), 32, 34]
    assert [epoch for epoch in found if 64 <= epoch < 128] == list(range(64, 128, 4))
    assert len(found) < 100
