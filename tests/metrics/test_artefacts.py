"""Planted bands and broken edges are found; sharpness and anatomy are neither."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from harness.metrics.images.artefacts import bands_db, checkerboard_db, edge_error

EDGE = 128


def slices(count: int, seed: int) -> NDArray[np.float32]:
    """Bodies of soft tissue with organs, bone and noise, as smooth as CT, in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:EDGE, :EDGE] - EDGE / 2
    made = []
    for _ in range(count):
        image = 0.5 * (np.hypot(y / rng.uniform(40, 60), x / rng.uniform(40, 60)) < 1)
        for _ in range(6):
            (cy, cx), radius = rng.uniform(-30, 30, 2), rng.uniform(3, 14)
            image += rng.uniform(-0.3, 0.4) * (np.hypot(y - cy, x - cx) < radius)
        image = ndimage.gaussian_filter(image, 0.8) + rng.normal(0, 0.02, image.shape)
        made.append(np.clip(image, 0, 1))
    return np.array(made, np.float32)


REAL = slices(120, 1)


def banded(images: NDArray[np.float32], period: float, height: float, axis: int = 2) -> NDArray:
    """Bands at the same places of every image, as a network leaves them."""
    wave = height * np.sin(2 * np.pi * np.arange(EDGE) / period)
    return images + (wave if axis == 2 else wave[:, None])


def test_halves_of_real_images_have_no_bands() -> None:
    found = [bands_db(slices(60, seed), slices(60, seed + 100)).value for seed in range(4)]
    assert max(found) < 2


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("period", [4, 8, 16])
def test_planted_bands_stand_out_along_either_axis(period: float, axis: int) -> None:
    generated = banded(slices(60, 2), period, 0.04, axis)
    assert bands_db(generated, REAL).value > 4
    assert bands_db(banded(slices(60, 2), period, 0.08, axis), REAL).value > 7


def test_sharpness_and_noise_are_no_bands() -> None:
    other = slices(60, 3)
    for changed in (
        ndimage.gaussian_filter(other, (0, 1.5, 1.5)),
        other + np.random.default_rng(1).normal(0, 0.05, other.shape),
        1.2 * other - 0.1,
    ):
        assert bands_db(changed, REAL).value < 2.5


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_a_planted_checkerboard_is_found(stride: int) -> None:
    smooth = ndimage.zoom(slices(40, 5), (1, 0.5, 0.5), order=1)
    assert checkerboard_db(smooth).value < 2
    y, x = np.mgrid[:64, :64] * 2 // stride
    board = np.where((y + x) % 2, 0.04, -0.04)
    assert checkerboard_db(smooth + board).value > 4
    assert checkerboard_db(smooth > 0.4).value < 2


def test_a_broken_edge_is_found() -> None:
    pairs = slices(20, 4)
    generated = pairs + np.random.default_rng(2).normal(0, 0.05, pairs.shape)
    assert edge_error(generated, pairs).value == pytest.approx(1, abs=0.02)
    generated[:, -8:] += 0.5
    assert edge_error(generated, pairs).value > 3
    assert edge_error(pairs, pairs).note == "no error in the middle"


def test_frames_that_are_all_border_have_no_number() -> None:
    few = np.ones((3, 16, 16), np.float32)
    assert np.isnan(edge_error(few, few).value)
    assert np.isnan(bands_db(few, few).value)
