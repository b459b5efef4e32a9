"""Dice, HD95 and surface scores agree with MONAI called by itself, with ITK, and with pencil."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (its own documentation calls it so)
import torch
from monai.metrics import (
    DiceMetric,
    HausdorffDistanceMetric,
    SurfaceDiceMetric,
    SurfaceDistanceMetric,
)
from scipy import ndimage

from harness.metrics.segmentation.measures import dice, hd95_mm, surface_dice, surface_distance_mm

# MONAI calls a deprecated argument of MONAI.
pytestmark = pytest.mark.filterwarnings("ignore:.*always_return_as_numpy.*:FutureWarning")

SHAPE = (14, 40, 36)
GRIDS = [(3.0, 0.94, 0.94), (2.5, 4.1, 4.1), (1.0, 1.0, 1.0), (5.0, 0.5, 0.7)]
Masks = tuple[np.ndarray, np.ndarray]


def blobs(seed: int) -> Masks:
    """Two overlapping blobs, as a structure and its prediction."""
    rng = np.random.default_rng(seed)
    shared = ndimage.gaussian_filter(rng.normal(size=SHAPE), (1.5, 4, 4))
    other = ndimage.gaussian_filter(rng.normal(size=SHAPE), (1.5, 4, 4))
    level = np.quantile(shared, 0.9)
    return shared > level, shared + 0.4 * other > level


def thin(seed: int) -> Masks:
    """A sheet of one slice and a slanted line: every voxel is surface."""
    rng = np.random.default_rng(seed)
    sheet, line = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    level, row, column = (int(v) for v in rng.integers(2, 8, 3))
    sheet[level, row : row + 20, column : column + 15] = True
    for step in range(10):
        line[step + 2, row + 2 * step, column + step] = True
    return sheet, line


def touching(seed: int) -> Masks:
    """Blobs that the volume cuts off on every side."""
    rng = np.random.default_rng(seed)
    a, b = (ndimage.gaussian_filter(rng.normal(size=SHAPE), (2, 5, 5)) > 0 for _ in range(2))
    assert a[0].any()
    assert a[:, -1].any()
    return a, b


SHAPES: list[Callable[[int], Masks]] = [blobs, thin, touching]
every_case = pytest.mark.parametrize("grid", GRIDS, ids=str)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda f: f.__name__)
every_seed = pytest.mark.parametrize("seed", range(3))


def ours(a: np.ndarray, b: np.ndarray, grid: tuple[float, float, float]) -> np.ndarray:
    tolerance = max(2.0, *grid)
    scores = (
        dice(a, b),
        hd95_mm(a, b, grid),
        surface_distance_mm(a, b, grid),
        surface_dice(a, b, grid, tolerance),
    )
    return np.array([score.value for score in scores])


def by_monai(a: np.ndarray, b: np.ndarray, grid: tuple[float, float, float]) -> np.ndarray:
    """MONAI's own metric objects on the whole volume with a margin."""
    one, other = (torch.from_numpy(np.pad(mask, 2))[None, None].float() for mask in (a, b))
    spaced = [
        HausdorffDistanceMetric(include_background=True, percentile=95),
        SurfaceDistanceMetric(include_background=True, symmetric=True),
        SurfaceDiceMetric([max(2.0, *grid)], include_background=True),
    ]
    found = [DiceMetric()(one, other), *(metric(one, other, spacing=grid) for metric in spaced)]
    return np.array([float(value) for value in found])


def itk_image(mask: np.ndarray, grid: tuple[float, float, float]) -> sitk.Image:
    image = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
    image.SetSpacing(grid[::-1])
    return image


def directed(one: sitk.Image, other: sitk.Image) -> np.ndarray:
    """Distances from the contour of one to the contour of the other, by ITK's filters."""
    contour = sitk.GetArrayFromImage(sitk.LabelContour(one, fullyConnected=False)) > 0
    field = sitk.SignedMaurerDistanceMap(
        sitk.LabelContour(other, fullyConnected=False),
        squaredDistance=False,
        useImageSpacing=True,
    )
    return np.abs(sitk.GetArrayFromImage(field)[contour]).astype(np.float64)


def by_itk(a: np.ndarray, b: np.ndarray, grid: tuple[float, float, float]) -> np.ndarray:
    one, other = itk_image(a, grid), itk_image(b, grid)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(one, other)
    there, back = directed(one, other), directed(other, one)
    everything = np.concatenate([there, back])
    return np.array(
        [
            overlap.GetDiceCoefficient(),
            max(np.percentile(there, 95), np.percentile(back, 95)),
            everything.mean(),
            # ITK's distances are float32: 3.0000002 counts as within 3.
            (everything <= max(2.0, *grid) + 1e-4).mean(),
        ]
    )


@every_case
@every_shape
@every_seed
def test_agreement_with_monai(
    shape: Callable[[int], Masks], grid: tuple[float, float, float], seed: int
) -> None:
    a, b = shape(seed)
    np.testing.assert_allclose(ours(a, b, grid), by_monai(a, b, grid), rtol=1e-6)


@every_case
@every_shape
@every_seed
def test_agreement_with_itk(
    shape: Callable[[int], Masks], grid: tuple[float, float, float], seed: int
) -> None:
    a, b = shape(seed)
    np.testing.assert_allclose(ours(a, b, grid), by_itk(a, b, grid), rtol=1e-5)


def test_the_largest_distance_is_itks_hausdorff_distance() -> None:
    """ITK's own Hausdorff filter, where 95 % and 100 % are the same: one voxel against one."""
    a, b = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    a[3, 10, 8], b[7, 13, 20] = True, True
    grid = (3.0, 0.94, 0.94)
    found = sitk.HausdorffDistanceImageFilter()
    found.Execute(itk_image(a, grid), itk_image(b, grid))
    assert hd95_mm(a, b, grid).value == pytest.approx(found.GetHausdorffDistance(), rel=1e-6)


# Cubes of 4 x 4 x 4 voxels of 3 x 1 x 1 mm, 56 of whose 64 voxels are surface: two faces of 16 at
# the ends of the shifted axis and two rings of 12 between. From the first cube's surface:
#   slices + 1   near face 16 x 3 mm, rings on rings; of the far face the inner 4 lie 1 mm off
#   slices + 2   16 x 6, then a ring 12 x 3, a ring on the near face, 4 x 1
#   columns + 1  16 x 1, rings 0, 4 x 1
#   columns + 3  16 x 3, 12 x 2, 12 x 1, face on face
#   columns + 4  16 x 4, 12 x 3, 12 x 2, 16 x 1: nothing in common
SHIFTS = [
    ((1, 0, 0), 0.75, 3.0, 52 / 56, 1.0),
    ((2, 0, 0), 0.5, 6.0, 136 / 56, 40 / 56),
    ((0, 0, 1), 0.75, 1.0, 20 / 56, 1.0),
    ((0, 1, 0), 0.75, 1.0, 20 / 56, 1.0),
    ((0, 0, 3), 0.25, 3.0, 84 / 56, 1.0),
    ((0, 0, 4), 0.0, 4.0, 140 / 56, 40 / 56),
]


@pytest.mark.parametrize(("shift", "overlap", "far", "apart", "within"), SHIFTS)
def test_shifted_boxes_by_pencil(
    shift: tuple[int, int, int], overlap: float, far: float, apart: float, within: float
) -> None:
    box = np.zeros((8, 10, 10), bool)
    box[1:5, 1:5, 1:5] = True
    moved = np.roll(box, shift, (0, 1, 2))
    found = ours(moved, box, (3.0, 1.0, 1.0))
    np.testing.assert_allclose(found, [overlap, far, apart, within], rtol=1e-6)
    np.testing.assert_allclose(found, by_itk(moved, box, (3.0, 1.0, 1.0)), rtol=1e-5)
