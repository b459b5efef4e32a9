"""3D segmentation scores: hand-worked cases and brute force with scipy on anisotropic volumes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from harness.base.errors import DataError
from harness.metrics.segmentation.measures import (
    Value,
    dice,
    hd95_mm,
    patient_value,
    surface_dice,
    surface_distance_mm,
)

SPACING = (3.0, 1.0, 1.5)


def box(*sides: tuple[int, int]) -> np.ndarray:
    volume = np.zeros((12, 20, 20), bool)
    volume[tuple(slice(*side) for side in sides)] = True
    return volume


def blob(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(12, 24, 20))
    return ndimage.gaussian_filter(noise, (1.5, 3, 3)) > 0.02


def surface_mm(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1)
    edge = padded & ~ndimage.binary_erosion(padded)
    return np.argwhere(edge) * np.array(SPACING)


def both_ways(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    gaps = cdist(surface_mm(a), surface_mm(b))
    return gaps.min(axis=1), gaps.min(axis=0)


def test_dice_by_hand() -> None:
    truth = box((0, 4), (0, 4), (0, 4))
    assert dice(truth, truth) == Value(1.0)
    # 64 and 64 voxels share 2 x 4 x 4 = 32.
    assert dice(box((2, 6), (0, 4), (0, 4)), truth).value == pytest.approx(0.5)
    # One slice of 16 inside 64: 2 x 16 / 80.
    assert dice(box((0, 1), (0, 4), (0, 4)), truth).value == pytest.approx(0.4)
    assert dice(box((6, 8), (0, 4), (0, 4)), truth).value == 0.0


def test_dice_of_blobs_by_counting() -> None:
    a, b = blob(0), blob(1)
    expected = 2 * int((a & b).sum()) / (int(a.sum()) + int(b.sum()))
    assert dice(a, b).value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_surface_scores_by_brute_force(seed: int) -> None:
    a, b = blob(seed), ndimage.binary_dilation(blob(seed), iterations=2) ^ (blob(seed + 9))
    there, back = both_ways(a, b)
    everything = np.concatenate([there, back])
    expected = max(np.percentile(there, 95), np.percentile(back, 95))
    assert hd95_mm(a, b, SPACING).value == pytest.approx(expected, rel=1e-5)
    assert surface_distance_mm(a, b, SPACING).value == pytest.approx(everything.mean(), rel=1e-5)
    within = surface_dice(a, b, SPACING, 3.0).value
    assert within == pytest.approx((everything <= 3.0).mean(), abs=1e-6)


def test_a_shift_by_one_slice_is_its_spacing() -> None:
    one, other = box((4, 5), (5, 6), (5, 6)), box((5, 6), (5, 6), (5, 6))
    assert hd95_mm(one, other, SPACING).value == pytest.approx(3.0)
    assert surface_distance_mm(one, other, SPACING).value == pytest.approx(3.0)
    assert surface_dice(one, other, SPACING, 3.0).value == pytest.approx(1.0)
    far = box((9, 10), (5, 6), (5, 6))
    assert surface_dice(one, far, SPACING, 3.0).value == pytest.approx(0.0)
    assert hd95_mm(one, far, SPACING).value == pytest.approx(15.0)


def test_masks_at_the_volumes_edge_have_a_surface_there() -> None:
    full = np.ones((4, 5, 6), bool)
    less = full.copy()
    less[0] = False
    there, back = both_ways(full, less)
    expected = np.concatenate([there, back]).mean()
    assert surface_distance_mm(full, less, SPACING).value == pytest.approx(expected, rel=1e-5)


EMPTY, SOME = box((0, 0), (0, 0), (0, 0)), box((2, 5), (3, 9), (4, 8))
DIAGONAL = math.sqrt((12 * 3.0) ** 2 + 20.0**2 + (20 * 1.5) ** 2)


@pytest.mark.parametrize(
    ("score", "worst"),
    [
        (dice, 0.0),
        (lambda a, b: hd95_mm(a, b, SPACING), DIAGONAL),
        (lambda a, b: surface_distance_mm(a, b, SPACING), DIAGONAL),
        (lambda a, b: surface_dice(a, b, SPACING, 3.0), 0.0),
    ],
)
def test_empty_masks(score: Any, worst: float) -> None:
    both = score(EMPTY, EMPTY)
    assert math.isnan(both.value)
    assert both.note == "the structure is absent in truth and prediction"
    missed, invented = score(EMPTY, SOME), score(SOME, EMPTY)
    assert missed.value == pytest.approx(worst)
    assert missed.note == "nothing was predicted"
    assert invented.value == pytest.approx(worst)
    assert invented.note == "predicted where the structure is absent"
    assert score(SOME, SOME).note is None


def test_patient_value() -> None:
    assert patient_value({"left": Value(0.8), "right": Value(0.6)}) == Value(pytest.approx(0.7))
    one = patient_value({"left": Value(math.nan, "not contoured"), "right": Value(0.6)})
    assert one.value == 0.6
    assert one.note == "left: not contoured"
    # A missed side is scored, not left out.
    missed = patient_value({"left": dice(EMPTY, SOME), "right": Value(0.6)})
    assert missed.value == pytest.approx(0.3)
    none = patient_value({"left": Value(math.nan, "not contoured")})
    assert math.isnan(none.value)
    assert none.note == "left: not contoured"
    assert patient_value({}).note == "no structure was scored"


def test_refusals() -> None:
    with pytest.raises(DataError, match="two bool volumes of one shape"):
        dice(SOME, SOME[:5])
    with pytest.raises(DataError, match="two bool volumes of one shape"):
        dice(SOME.astype(float), SOME)
    with pytest.raises(DataError, match=r"not be below the voxel, but got 1 mm"):
        surface_dice(SOME, SOME, SPACING, 1.0)
