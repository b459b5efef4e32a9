"""Planted failures on shapes whose change can be measured: they must be what they claim."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist, pdist

from harness.metrics.calibration.planted import (
    COLLAPSING,
    SUBTLE,
    blank,
    checkerboard,
    draw,
    jittered,
    mirrored,
    modes,
    shrunken,
    signed_distance,
)
from harness.metrics.extractors.coarse_pixels import coarse_pixels

SIZE = 48
SHIFTS = [(row, column) for row in range(-2, 3) for column in range(-2, 3)]


def discs(radii: np.ndarray, row: float = 24, column: float = 24) -> np.ndarray:
    rows, columns = np.indices((SIZE, SIZE))
    return np.hypot(rows - row, columns - column) < np.asarray(radii, float)[:, None, None]


def noise_images(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 0.9, (n, SIZE, SIZE))


def sources(made: np.ndarray, pool: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which image of the pool, shifted by up to 2 pixels, is nearest; and its mean difference."""
    flat = made.reshape(len(made), -1).astype(float)
    found = [
        cdist(flat, np.roll(pool, shift, (1, 2)).reshape(len(pool), -1).astype(float), "cityblock")
        for shift in SHIFTS
    ]
    nearest = np.min(found, axis=0) / flat.shape[1]
    return nearest.argmin(axis=1), nearest.min(axis=1)


def radii_of(masks: np.ndarray) -> np.ndarray:
    return np.sqrt(masks.sum(axis=(1, 2)) / np.pi)


@pytest.mark.parametrize("k", [1, 4, 10, 50])
def test_modes_are_jittered_images_of_k_sources(k: int) -> None:
    pool = noise_images(12, 0)
    made = modes(pool, 80, np.random.default_rng(1), k)
    who, difference = sources(made, pool)
    # Noise of 0.02 has a mean size of 0.016; two images of the pool differ by 0.27.
    assert difference.max() < 0.02
    assert len(np.unique(who)) == min(k, 12)
    # No two are pixel for pixel the same.
    assert pdist(made.reshape(80, -1)).min() > 0


@pytest.mark.parametrize("share", [0.3, 0.7, 0.9])
def test_the_spread_of_shrunken_grey_images_is_the_share(share: float) -> None:
    pool = noise_images(30, 2)
    made = shrunken(pool, 30, np.random.default_rng(3), share)
    before, after = (np.sort(pdist(side.reshape(30, -1))) for side in (pool, made))
    assert after == pytest.approx(share * before)
    assert made.mean(axis=0) == pytest.approx(pool.mean(axis=0))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_shrunken_discs_have_radii_nearer_to_the_mean_one(share: float) -> None:
    # The mean of the discs' signed distances is that of a disc with their mean radius.
    radii = np.linspace(6, 20, 40)
    made = np.sort(radii_of(shrunken(discs(radii), 40, np.random.default_rng(4), share)))
    assert made == pytest.approx(13 + share * (radii - 13), abs=0.5)


def test_shares_of_1_and_0_are_the_images_and_their_mean() -> None:
    masks, grey = discs(np.linspace(5, 15, 12)), noise_images(12, 5)
    for pool in (masks, grey):
        same = shrunken(pool, 12, np.random.default_rng(6), 1.0)
        _, difference = sources(same, pool)
        assert difference.max() < 1e-12
        one = shrunken(pool, 12, np.random.default_rng(6), 0.0)
        assert np.ptp(one.astype(float), axis=0).max() < 1e-12


def test_blank_is_the_lowest_grey() -> None:
    for pool in (discs(np.array([5.0])), noise_images(1, 7)):
        assert not blank(pool, 4, np.random.default_rng(8)).any()


def test_a_checkerboard_is_far_from_every_image() -> None:
    rng = np.random.default_rng(9)
    masks = np.concatenate(
        [discs(np.array([radius]), *rng.uniform(15, 33, 2)) for radius in rng.uniform(6, 14, 30)]
    )
    grey = ndimage.gaussian_filter(masks.astype(float), (0, 2, 2))
    for pool in (masks, grey):
        made = checkerboard(pool, 30, rng).astype(float)
        # Whatever lies beneath, neighbours in a row go up and down in turn.
        steps = np.sign(np.diff(made, axis=2))
        inside = np.abs(np.diff(pool.astype(float), axis=2)) < 0.5
        assert (steps[:, :, 1:] * steps[:, :, :-1])[:, :, inside.all(axis=0)[0, 1:]].max() <= 0
        _, difference = sources(made, pool)
        assert difference.min() > 0.2
        real, fake = coarse_pixels(pool), coarse_pixels(made)
        assert cdist(fake, real).min() > np.median(np.sort(cdist(real, real), axis=1)[:, 1])


def test_grey_jitter_shifts_by_up_to_2_pixels_and_adds_a_little_noise() -> None:
    dot = np.full((400, SIZE, SIZE), 0.5)
    dot[:, 20, 30] = 1.0
    made = jittered(dot, np.random.default_rng(10))
    places = np.stack(np.unravel_index(made.reshape(400, -1).argmax(axis=1), (SIZE, SIZE)), axis=1)
    assert {tuple(place - (20, 30)) for place in places} == set(SHIFTS)
    assert np.std(made[:, :10] - 0.5) == pytest.approx(0.02, rel=0.02)
    black_and_white = np.repeat([[[0.0, 1.0]]], SIZE, axis=1).repeat(SIZE // 2, axis=2)
    made = jittered(black_and_white, np.random.default_rng(0))
    assert (made.min(), made.max()) == (0, 1)


def test_a_jittered_mask_is_close_to_the_mask() -> None:
    mask = np.repeat(discs(np.array([12.0])), 60, axis=0)
    made = jittered(mask, np.random.default_rng(11))
    centres = np.array([ndimage.center_of_mass(image) for image in made])
    assert 1.5 < np.abs(centres - 24).max() < 3
    # Shifted back by at most 2 pixels, what is left differs less than by a ring of one pixel.
    _, difference = sources(made, mask[:1])
    assert difference.max() < 2 * np.pi * 12 / SIZE**2
    assert radii_of(made) == pytest.approx(np.full(60, 12.0), abs=1)
    assert len(np.unique(made.reshape(60, -1), axis=0)) == 60


def test_mirrored_twice_is_the_image_itself() -> None:
    for pool in (discs(np.array([5.0]), 20, 10), noise_images(2, 12)):
        once = mirrored(pool)
        assert (once[:, :, 0] == pool[:, :, -1]).all()
        assert not (once == pool).all()
        assert (mirrored(once) == pool).all()


def test_drawn_images_are_the_pools_own_and_none_twice_while_there_are_enough() -> None:
    pool = noise_images(10, 13)
    for count, different in ((6, 6), (10, 10), (25, None)):
        made = draw(pool, count, np.random.default_rng(14))
        names = {image.tobytes() for image in made}
        assert len(made) == count
        assert names <= {image.tobytes() for image in pool}
        assert different is None or len(names) == different


@pytest.mark.parametrize("name", [*COLLAPSING, *SUBTLE])
def test_kind_number_and_seed_are_kept(name: str) -> None:
    generator = (COLLAPSING | SUBTLE)[name]
    masks = discs(np.linspace(4, 15, 15))
    grey = ndimage.gaussian_filter(masks.astype(float), (0, 2, 2))
    for pool in (masks, grey, grey.astype(np.float32)):
        before = pool.copy()
        for count in (7, 40):
            one, other = (generator(pool, count, np.random.default_rng(15)) for _ in range(2))
            assert one.shape == (count, SIZE, SIZE)
            assert one.dtype == pool.dtype
            assert one.min() >= 0
            assert one.max() <= 1
            assert (one == other).all()
        assert (pool == before).all()


def test_empty_masks_survive() -> None:
    empty = np.zeros((5, SIZE, SIZE), bool)
    assert not jittered(empty, np.random.default_rng(16)).any()
    assert not modes(empty, 9, np.random.default_rng(17), 4).any()
    assert not shrunken(empty, 9, np.random.default_rng(18), 0.5).any()
    # Among others, an empty mask stays empty under jitter.
    made = modes(np.concatenate([empty, discs(np.full(5, 9.0))]), 60, np.random.default_rng(19), 10)
    sizes = made.sum(axis=(1, 2))
    assert set(sizes[sizes < 100]) == {0}
    assert (sizes > 100).any()


def test_signed_distance_of_a_half_plane_and_of_nothing() -> None:
    half = np.zeros((3, 20, 30), bool)
    half[0, :, 12:] = True
    half[1] = ~half[0]
    found = signed_distance(half)
    # Pixel centres lie half a pixel from the edge between columns 11 and 12.
    expected = np.arange(30) - 11.5
    assert found[0] == pytest.approx(np.tile(expected, (20, 1)))
    assert found[1] == pytest.approx(-found[0])
    assert (found[2] <= -30).all()
    assert ((found > 0) == half).all()
