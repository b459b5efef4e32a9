"""Scores of pairs against hand-worked jackknives, textbook intervals and SSIM written in scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, stats
from skimage.metrics import structural_similarity

from harness.metrics.images.paired import (
    dice_of_pairs,
    label_gain,
    label_sentence,
    paired_scores,
    patient_mean,
    ssim_inside,
)
from harness.metrics.images.similarity import ssim

N, SIZE, WINDOW_HU = 6, 104, 500.0
OWNERS = list("aabbcc")


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    field = ndimage.gaussian_filter(rng.normal(size=(N, SIZE, SIZE)), (0, 3, 3))
    real = 0.2 + 0.6 * (field - field.min()) / np.ptp(field)
    return real, np.clip(real + 0.05 * rng.normal(size=real.shape), 0, 1)


@pytest.fixture(scope="module")
def structure() -> np.ndarray:
    where = np.zeros((N, SIZE, SIZE), bool)
    where[:, 30:50, 40:70] = True
    return where


def test_a_jackknife_worked_by_hand() -> None:
    # Means without a, b, c: 4, 7/3, 3; their squared deviations from 28/9 add up to 114/81, and
    # 2/3 of that is 76/81. The t quantile of 2 degrees of freedom is from a printed table.
    found = patient_mean(np.array([1.0, 3.0, 5.0, 3.0]), list("aabc"))
    half = 4.30265 * math.sqrt(76 / 81)
    assert found.value == 3.0
    assert found.interval == pytest.approx((3 - half, 3 + half), abs=1e-4)
    assert (found.n, found.units, found.note) == (4, "3 patients", None)


def test_of_equal_patients_it_is_the_interval_of_their_means() -> None:
    x = np.random.default_rng(1).normal(size=(7, 5))
    found = patient_mean(x.ravel(), np.repeat(list("gfedcba"), 5))
    expected = stats.ttest_1samp(x.mean(axis=1), 0).confidence_interval(0.95)
    assert found.interval == pytest.approx((expected.low, expected.high))


def test_of_independent_images_it_is_the_textbook_interval() -> None:
    x = np.random.default_rng(2).normal(size=20)
    found = patient_mean(x, None)
    expected = stats.ttest_1samp(x, 0).confidence_interval(0.95)
    assert found.interval == pytest.approx((expected.low, expected.high))
    assert (found.n, found.units) == (20, "20 blocks")
    # 60 images in 20 blocks: image i is in block i mod 20.
    y = np.random.default_rng(3).normal(size=(3, 20))
    blocks = stats.ttest_1samp(y.mean(axis=0), 0).confidence_interval(0.95)
    assert patient_mean(y.ravel(), None).interval == pytest.approx((blocks.low, blocks.high))


def test_slices_that_are_alike_do_not_narrow_the_interval() -> None:
    x = np.random.default_rng(4).normal(size=8)
    once = patient_mean(x, range(8))
    copied = patient_mean(np.repeat(x, 50), np.repeat(range(8), 50))
    assert copied.interval == pytest.approx(once.interval)
    assert copied.n == 400


@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.integers(0, 5)), min_size=1, max_size=30),
    st.randoms(use_true_random=False),
)
def test_it_is_the_plain_mean_whatever_the_order_and_the_names(
    rows: list[tuple[float, int]], random: object
) -> None:
    values, owners = (np.array(column) for column in zip(*rows, strict=True))
    found = patient_mean(values, owners)
    assert found.value == pytest.approx(values.mean(), abs=1e-9)
    assert patient_mean(values, None).value == pytest.approx(values.mean(), abs=1e-9)
    if found.interval is not None:
        assert found.interval[0] <= found.value <= found.interval[1]
        back = patient_mean(values[::-1], [f"p{9 - owner}" for owner in owners[::-1]])
        assert back.interval == pytest.approx(found.interval, rel=1e-6, abs=1e-6)


def test_images_without_a_value_are_left_out_and_counted() -> None:
    x = np.array([1.0, math.nan, 3.0, 5.0, math.inf, 3.0])
    found = patient_mean(x, list("aaabbc"))
    full = patient_mean(np.array([1.0, 3.0, 5.0, 3.0]), list("aabc"))
    assert (found.value, found.interval, found.units) == (full.value, full.interval, full.units)
    assert (found.n, found.note) == (4, "2 images without a value left out")
    # A patient with no number at all is no patient.
    fewer = patient_mean(np.array([1.0, 3.0, math.nan]), list("abc"))
    assert (fewer.value, fewer.interval, fewer.units) == (2.0, None, "2 patients")
    assert fewer.note == (
        "1 images without a value left out; fewer than 3 groups on a side: no interval"
    )


def test_no_number_and_no_spread_are_said() -> None:
    none = patient_mean(np.full(3, math.nan), list("abc"))
    assert math.isnan(none.value)
    assert (none.n, none.units, none.note) == (0, "0 patients", "no image has a finite value")
    same = patient_mean(np.ones(4), list("abcd"))
    assert (same.value, same.interval) == (1.0, None)
    assert same.note == "no deletion changes the value: no interval"


def test_errors_are_in_hounsfield_units(structure: np.ndarray) -> None:
    real = np.full((N, SIZE, SIZE), 0.4)
    synthetic = real.copy()
    # 0.02 of 500 HU inside the structure, twice that in the last patient's; nothing outside.
    synthetic[structure] += 0.02
    synthetic[4:][structure[4:]] += 0.02
    found = paired_scores(real, synthetic, structure, OWNERS, WINDOW_HU)
    area = 20 * 30 / SIZE**2
    assert found["mae_hu_structure"].value == pytest.approx((10 + 10 + 20) / 3)
    assert found["mae_hu"].value == pytest.approx(area * 40 / 3)
    # 10 log10 of 1 / mean squared error.
    errors = np.array([0.02, 0.02, 0.04]) ** 2 * area
    assert found["psnr_db"].value == pytest.approx((-10 * np.log10(errors)).mean())
    # Patients' means 10, 10, 20: standard error 10/3.
    half = 4.30265 * 10 / 3
    assert found["mae_hu_structure"].interval == pytest.approx(
        (40 / 3 - half, 40 / 3 + half), abs=1e-3
    )
    wider = paired_scores(real, synthetic, structure, OWNERS, 2 * WINDOW_HU)
    for name, score in found.items():
        factor = 2 if name.startswith("mae_hu") else 1
        assert wider[name].value == pytest.approx(factor * score.value)


def test_scores_of_pairs_see_where_the_images_differ(
    pair: tuple[np.ndarray, np.ndarray], structure: np.ndarray
) -> None:
    real, noisy = pair
    outside = np.where(structure, real, noisy)
    found = paired_scores(real, outside, structure, OWNERS, WINDOW_HU)
    assert set(found) == {
        "ssim", "ssim_structure", "ms_ssim_4", "psnr_db", "mae_hu", "mae_hu_structure",
    }  # fmt: skip
    assert found["mae_hu_structure"].value == 0.0
    assert found["mae_hu"].value > 5
    assert found["ssim_structure"].value > found["ssim"].value
    assert all((score.n, score.units) == (N, "3 patients") for score in found.values())


def test_an_image_without_gland_has_no_score_inside_it(
    pair: tuple[np.ndarray, np.ndarray], structure: np.ndarray
) -> None:
    partly = structure.copy()
    partly[1] = False
    found = paired_scores(*pair, partly, OWNERS, WINDOW_HU)
    assert (found["ssim"].n, found["mae_hu"].n) == (N, N)
    for name in ("ssim_structure", "mae_hu_structure"):
        assert (found[name].n, found[name].note) == (N - 1, "1 images without a value left out")
    same = paired_scores(pair[0], pair[0], structure, OWNERS, WINDOW_HU)
    assert same["ssim_structure"].value == pytest.approx(1.0)
    assert same["psnr_db"].note == "no image has a finite value"


def ssim_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Wang et al. 2004: Gaussian window of 11 pixels, standard deviation 1.5."""

    def blur(image: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(image, 1.5, radius=5)

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    shared = blur(a * b) - mean_a * mean_b
    found: np.ndarray = (
        (2 * mean_a * mean_b + 0.01**2)
        * (2 * shared + 0.03**2)
        / ((mean_a**2 + mean_b**2 + 0.01**2) * (var_a + var_b + 0.03**2))
    )
    return found


def test_ssim_inside_is_the_mean_of_the_map_there(pair: tuple[np.ndarray, np.ndarray]) -> None:
    where = np.zeros((N, SIZE, SIZE), bool)
    where[0, 40, 50] = True
    where[1, 30:33, 60:64] = True
    where[2, ::7, 3::5] = True
    where[4] = True
    found = ssim_inside(*pair, where)
    for i in (0, 1, 2, 4):
        expected = ssim_map(pair[0][i], pair[1][i])[where[i]].mean()
        assert found[i] == pytest.approx(expected, abs=1e-9)
        _, image = structural_similarity(
            pair[0][i], pair[1][i], win_size=11, data_range=1.0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, full=True,
        )  # fmt: skip
        assert found[i] == pytest.approx(image[where[i]].mean(), abs=1e-9)
    assert np.isnan(found[[3, 5]]).all()


def test_ssim_inside_the_frame_is_ssim(pair: tuple[np.ndarray, np.ndarray]) -> None:
    where = np.zeros((N, SIZE, SIZE), bool)
    where[:, 5:-5, 5:-5] = True
    assert ssim_inside(*pair, where) == pytest.approx(ssim(*pair), abs=1e-6)


def test_dice_by_hand() -> None:
    a, b = np.zeros((6, 3, 4), bool), np.zeros((6, 3, 4), bool)
    a[0, 0], b[0, 0] = True, True  # equal
    a[1, 0], b[1, 1] = True, True  # apart
    a[2, 0], b[2, 0, 2:], b[2, 1, :2] = True, True, True  # 2 of 4 and 4: 2 x 2 / 8
    a[3, 0, 0] = True  # one of them empty
    a[4], b[4, 0, 0] = True, True  # 1 of 12 and 1: 2 / 13
    found = dice_of_pairs(a, b)
    assert found[:5] == pytest.approx([1, 0, 0.5, 0, 2 / 13])
    assert math.isnan(found[5])
    assert dice_of_pairs(b, a) == pytest.approx(found, nan_ok=True)


def test_labels_fit_or_not_or_cannot_be_judged() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((60, 16, 16), bool)
    for label, (row, column) in zip(labels, rng.integers(0, 8, (60, 2)), strict=True):
        label[row : row + 8, column : column + 8] = True
    fitting, shuffled = label_gain(labels, labels), label_gain(labels, labels[rng.permutation(60)])
    assert fitting.value > 0.4
    assert label_sentence(fitting, fitting).startswith("The labels fit: ")
    assert label_sentence(shuffled, fitting).startswith("The labels do not fit: ")
    assert label_sentence(fitting, shuffled) == (
        "Undecided whether the labels fit: the segmenter cannot tell real labels apart either."
    )
