"""What a metric must see: the worse the images, the worse the score. Textures, no patients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from benchmarks.distorting import CHOOSING, PIXELS
from benchmarks.distortions import answer
from numpy.typing import NDArray
from scipy import ndimage

from harness.metrics.collapse.diversity import vendi_score
from harness.metrics.distances import distances, to_others
from harness.metrics.extractors.coarse_pixels import coarse_pixels
from harness.metrics.extractors.registry import make_extractor
from harness.metrics.fidelity.kid_fid import fid, kid
from harness.metrics.fidelity.prdc import prdc
from harness.metrics.images.mask_shape import checkerboard_energy
from harness.metrics.images.similarity import mae, ssim

N, EDGE = 48, 128
Images = NDArray[np.float32]


def textures(count: int, seed: int) -> Images:
    """A bright disc of varied size and place on smooth tissue."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:EDGE, :EDGE] / EDGE - 0.5
    made = []
    for _ in range(count):
        (row, column), radius = rng.normal(0, 0.08, 2), rng.uniform(0.1, 0.3)
        tissue = ndimage.gaussian_filter(rng.normal(size=(EDGE, EDGE)), 3)
        made.append(0.35 + 0.5 * tissue + 0.3 * (np.hypot(y - row, x - column) < radius))
    return np.clip(made, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def lite0() -> Callable[[Images], NDArray[np.float32]]:
    extractor = make_extractor("efficientnet-lite0")
    return lambda images: extractor(images[:, None])


def worse(name: str, images: Images) -> list[Images]:
    planted = PIXELS[name]
    levels = planted.levels[1::2]  # two, far apart
    return [planted.apply(images, level, np.random.default_rng(1)) for level in levels]


@pytest.mark.parametrize("name", ["noise", "blur"])
def test_fidelity_falls_with_noise_and_blur(
    name: str, lite0: Callable[[Images], NDArray[np.float32]]
) -> None:
    real, fresh = lite0(textures(N, 0)), textures(N, 1)
    sets = [lite0(images) for images in (fresh, *worse(name, fresh))]
    for score in (kid, fid):
        values = [score(real, made).value for made in sets]
        assert values[0] < values[1] < values[2]
    covered = [prdc(real, made)["coverage"].value for made in sets]
    assert covered[0] > covered[1] >= covered[2]


def test_variety_and_fidelity_fall_with_the_number_of_modes() -> None:
    real, fresh = coarse_pixels(textures(N, 0)), coarse_pixels(textures(N, 1))
    unit = float(np.median(to_others(distances(real, real)).min(axis=1)))
    rng, rows = np.random.default_rng(0), np.arange(N)
    drop = CHOOSING["few modes"].apply
    sets = [fresh, *(fresh[drop(rows, np.zeros(N), N, kept, rng)] for kept in (16, 4, 1))]
    variety = [vendi_score(distances(made, made), unit) for made in sets]
    assert (np.diff(variety) < 0).all()
    assert variety[-1] == pytest.approx(1)
    recalled = [prdc(real, made)["coverage"].value for made in sets]
    assert recalled[0] > recalled[1] > recalled[2] > recalled[3]
    far = [kid(real, made).value for made in sets]
    assert far[0] < far[2] < far[3]


def test_the_absolute_error_is_the_shift() -> None:
    images = textures(8, 0) * 0.7  # nothing is clipped
    planted = PIXELS["intensity shift"]
    for level in planted.levels:
        moved = planted.apply(images, level, np.random.default_rng(0))
        np.testing.assert_allclose(mae(images, moved), level, rtol=1e-4)


@pytest.mark.parametrize("name", ["noise", "blur", "elastic", "checkerboard", "gain"])
def test_likeness_to_the_original_falls_level_by_level(name: str) -> None:
    images = textures(6, 0)
    planted = PIXELS[name]
    made = [planted.apply(images, v, np.random.default_rng(1)) for v in planted.levels]
    assert (np.diff([1.0, *(ssim(images, m).mean() for m in made)]) < 0).all()
    assert (np.diff([0.0, *(mae(images, m).mean() for m in made)]) > 0).all()


def test_a_checkerboard_shows_in_its_energy() -> None:
    image = textures(1, 0)
    planted = PIXELS["checkerboard"]
    energies = [checkerboard_energy(image[0])]
    for level in planted.levels:
        energies.append(
            checkerboard_energy(planted.apply(image, level, np.random.default_rng())[0])
        )
    assert (np.diff(energies) > 0).all()


def test_chosen_sets_are_what_their_level_says() -> None:
    rng, rows = np.random.default_rng(0), np.arange(100, 300)
    places = np.linspace(0, 1, 200)
    modes = CHOOSING["few modes"].apply(rows, places, 60, 5, rng)
    assert (len(modes), len(np.unique(modes))) == (60, 5)
    low = CHOOSING["part of the structure"].apply(rows, places, 60, 0.35, rng)
    assert len(np.unique(low)) == 60
    assert low.max() < 100 + 0.36 * 200
    doubled = CHOOSING["copies"].apply(rows, places, 60, 0.2, rng)
    assert (len(doubled), len(np.unique(doubled))) == (60, 48)


def test_a_level_is_seen_from_where_it_stays_outside_the_floor() -> None:
    def words(*values: float) -> str:
        return answer(values, -1, 1).words()

    assert words(0, 0.5, 2, 3, 4, 5) == "+ 2"
    assert words(0, 2, 0, -2, -3, -4) == "- 3"
    assert words(0, 2, 3, 0, 3, 0) == "blind"
    assert words(0, 2, 9, 3, 4, 5) == "+ 1 (wavers)"
