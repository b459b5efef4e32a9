"""What every feature extractor keeps; a third party's joins by one more entry of EXTRACTORS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from factories.extractor import (
    grey_images,
    small_net,
    write_random_inception,
    write_script,
)
from factories.tiny import CPU
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.files import sha256_file
from harness.metrics.extractors.networks import CHUNK, InceptionV3
from harness.metrics.extractors.registry import Extractor, ExtractorFiles, make_extractor
from harness.training.precision import Precision
from harness.work.evaluate.features import SegmenterFeatures
from harness.work.train.unet import Unet


def lite0(folder: Path) -> Extractor:
    return make_extractor("efficientnet-lite0")


def inception(folder: Path) -> Extractor:
    path = write_random_inception(folder)
    return InceptionV3(path, sha256=sha256_file(path))


def torchscript(folder: Path) -> Extractor:
    path = write_script(folder / "own.pt", small_net(3).eval())
    return make_extractor("torchscript", ExtractorFiles(torchscript=path))


def segmenter(folder: Path) -> Extractor:
    unet = Unet({"channels": [4, 8, 16], "residual_units": 1}, 2, 64, Precision.of(CPU))
    return SegmenterFeatures(unet.features, "0f" * 32)


EXTRACTORS: dict[str, tuple[Callable[[Path], Extractor], int]] = {
    "efficientnet-lite0": (lite0, 1280),
    "inception-v3": (inception, 2048),
    "torchscript:own": (torchscript, 8),
    "segmenter": (segmenter, 16),
}
"""Name -> how it is made in an empty folder, and its number of features."""


@dataclass
class Case:
    name: str
    extractor: Extractor
    width: int
    images: NDArray[np.float32]
    features: NDArray[np.float32]


@pytest.fixture(scope="module", params=EXTRACTORS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The extractor with its features of one full chunk and two more images.

    Tests call it as little as they can: a pass through Inception takes seconds.
    """
    make, width = EXTRACTORS[request.param]
    extractor = make(tmp_path_factory.mktemp("extractor"))
    images = grey_images(CHUNK + 2)
    given = images.copy()
    features = extractor(given)
    np.testing.assert_array_equal(given, images, "the images are left as they were")
    return Case(request.param, extractor, width, images, features)


def test_features_are_finite_float32_rows(case: Case) -> None:
    assert case.features.shape == (CHUNK + 2, case.width)
    assert case.features.dtype == np.float32
    assert np.isfinite(case.features).all()
    assert len(np.unique(case.features, axis=0)) == CHUNK + 2, "other images, other features"


def test_it_names_itself_its_weights_and_what_it_does_to_images(case: Case) -> None:
    assert case.extractor.name == case.name
    assert len(case.extractor.weights_digest) == 64
    assert set(case.extractor.weights_digest) <= set("0123456789abcdef")
    assert case.extractor.preprocessing


def test_an_image_has_the_same_features_in_any_company_and_place(case: Case) -> None:
    order = [CHUNK + 1, CHUNK - 1, 5, 0]
    np.testing.assert_array_equal(case.extractor(case.images[order]), case.features[order])
    np.testing.assert_array_equal(case.extractor(case.images[3:4]), case.features[3:4])


def test_other_sizes_have_as_many_features(case: Case) -> None:
    assert case.extractor(grey_images(1, 48)).shape == (1, case.width)


def test_what_it_refuses(case: Case) -> None:
    with pytest.raises(DataError, match=r"N x 1 x H x W with N >= 1, but got \(2, 64, 64\)"):
        case.extractor(case.images[:2, 0])
    with pytest.raises(DataError, match=r"N x 1 x H x W with N >= 1, but got \(0, 1, 64, 64\)"):
        case.extractor(case.images[:0])
    with pytest.raises(DataError, match=r"in \[0, 1\], but got values from"):
        case.extractor(case.images[:2] * 2 - 1)
    with pytest.raises(DataError, match=r"in \[0, 1\]"):
        case.extractor(np.full((2, 1, 64, 64), np.nan, np.float32))
