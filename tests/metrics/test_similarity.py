"""Similarity against scikit-image, torchmetrics and a scale-by-scale SSIM written with scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage
from skimage import metrics as skimage_metrics

from harness.base.errors import DataError
from harness.metrics.extractors.guard import guard_torchvision
from harness.metrics.images.similarity import (
    mae,
    ms_ssim_4,
    paired_similarity,
    psnr_db,
    ssim,
    ssim_diversity,
)


def smooth(n: int, size: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(n, size, size))
    field = ndimage.gaussian_filter(noise, (0, 3, 3))
    return (field - field.min()) / np.ptp(field)


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    a = smooth(3, 128, 0)
    return a, np.clip(a + 0.05 * np.random.default_rng(1).normal(size=a.shape), 0, 1)


def test_ssim_equals_the_inner_part_of_torchmetrics_map(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    import torch

    guard_torchvision()
    from torchmetrics.functional.image import structural_similarity_index_measure

    _, full = structural_similarity_index_measure(
        *(torch.from_numpy(side[:, None]) for side in pair),
        sigma=1.5,
        data_range=1.0,
        reduction="none",
        return_full_image=True,
    )
    oracle = full[:, 0, 5:-5, 5:-5].mean(dim=(1, 2)).numpy()
    assert ssim(*pair) == pytest.approx(oracle, abs=1e-9)


def test_scores_of_many_pairs_are_those_of_each() -> None:
    a, b = smooth(20, 100, 2), smooth(20, 100, 3)
    for score in (ssim, ms_ssim_4):
        whole = score(a, b)
        assert whole.shape == (20,)
        single = [score(a[[i]], b[[i]])[0] for i in (0, 7, 8, 19)]
        assert whole[[0, 7, 8, 19]] == pytest.approx(single, abs=1e-6)


def test_psnr_equals_scikit_image_and_torchmetrics(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    import torch

    guard_torchvision()
    from torchmetrics.functional.image import peak_signal_noise_ratio

    found = psnr_db(*pair)
    for value, a, b in zip(found, *pair, strict=True):
        oracle = skimage_metrics.peak_signal_noise_ratio(a, b, data_range=1.0)
        assert value == pytest.approx(oracle)
        tensors = torch.from_numpy(a), torch.from_numpy(b)
        assert value == pytest.approx(float(peak_signal_noise_ratio(*tensors, data_range=1.0)))


def contrast_and_ssim(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Contrast-structure away from the border, SSIM with a mirrored border (Wang et al.)."""

    def blur(image: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(image, 1.5, mode="mirror", truncate=3.5)

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    shared = blur(a * b) - mean_a * mean_b
    contrast = (2 * shared + 0.03**2) / (var_a + var_b + 0.03**2)
    light = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
    return float(contrast[5:-5, 5:-5].mean()), float((light * contrast).mean())


def test_ms_ssim_equals_four_scales_by_hand(pair: tuple[np.ndarray, np.ndarray]) -> None:
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363])
    weights /= weights.sum()
    expected = []
    for a, b in zip(*pair, strict=True):
        value = 1.0
        for scale, weight in enumerate(weights):
            contrast, full = contrast_and_ssim(a, b)
            value *= (full if scale == 3 else contrast) ** weight
            a, b = (
                x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).mean(axis=(1, 3)) for x in (a, b)
            )
        expected.append(value)
    assert ms_ssim_4(*pair) == pytest.approx(expected, abs=5e-5)


def test_mean_absolute_error_inside_a_region() -> None:
    a, b = np.zeros((2, 4, 4)), np.zeros((2, 4, 4))
    b[0, 0, 0], b[0, 0, 1] = 0.5, 0.25
    where = np.zeros((2, 4, 4), bool)
    where[0, 0, :2] = True
    assert mae(a, b) == pytest.approx([0.75 / 16, 0.0])
    found = mae(a, b, where)
    assert found[0] == pytest.approx(0.375)
    assert math.isnan(found[1])


def test_equal_images() -> None:
    a = smooth(2, 128, 4)
    same = paired_similarity(a, a)
    assert same.ssim == pytest.approx([1.0, 1.0])
    assert same.ms_ssim_4 == pytest.approx([1.0, 1.0])
    assert np.isinf(same.psnr_db).all()
    means = same.means()
    assert means["mae"].value == 0.0
    assert math.isnan(means["psnr_db"].value)
    assert means["psnr_db"].note == "some pairs are equal pixel for pixel: infinite"


def test_noise_lowers_every_similarity_steadily() -> None:
    a = smooth(4, 128, 5)
    noise = np.random.default_rng(6).normal(size=a.shape)
    levels = [paired_similarity(a, np.clip(a + s * noise, 0, 1)) for s in (0.01, 0.03, 0.1)]
    for name in ("ssim", "ms_ssim_4", "psnr_db"):
        values = [level.means()[name].value for level in levels]
        assert values == sorted(values, reverse=True)


def test_small_images_have_no_ms_ssim() -> None:
    a = smooth(2, 64, 7)
    found = paired_similarity(a, a[::-1]).means()
    assert math.isnan(found["ms_ssim_4"].value)
    assert found["ms_ssim_4"].note == "ms_ssim_4 needs edges of at least 99 px"
    assert math.isfinite(found["ssim"].value)
    edge = smooth(1, 99, 8)
    assert math.isfinite(ms_ssim_4(edge, edge)[0])


def test_other_ranges_and_shapes_are_refused() -> None:
    a = np.zeros((2, 32, 32))
    with pytest.raises(DataError, match=r"in \[0, 1\], but got values from -1 to -1"):
        ssim(a, a - 1)
    with pytest.raises(DataError, match="one shape"):
        ssim(a, a[:1])
    with pytest.raises(DataError, match="at least 11 px"):
        ssim(a[:, :10], a[:, :10])


def test_diversity() -> None:
    rng = np.random.default_rng(9)
    varied = smooth(12, 64, 10)
    copies = np.repeat(varied[:1], 12, axis=0)
    assert ssim_diversity(copies, 30, rng).value == pytest.approx(0.0, abs=1e-12)
    every = ssim_diversity(varied, 1000, rng)
    pairs = [(i, j) for i in range(12) for j in range(i)]
    by_hand = np.mean([1 - ssim(varied[[i]], varied[[j]])[0] for i, j in pairs])
    assert every.value == pytest.approx(by_hand)
    assert every.units == "66 pairs"
    modes = varied[np.arange(12) % 3]
    assert ssim_diversity(modes, 1000, rng).value < every.value
    some = [ssim_diversity(varied, 20, np.random.default_rng(1)).value for _ in range(2)]
    assert some[0] == some[1]
    assert ssim_diversity(varied[:1], 5, rng).note == "needs 2 images, but got 1"
