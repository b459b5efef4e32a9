"""Augmentation measured on drawn shapes: an angle in degrees, a factor, a shift in pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from harness.config.stages import MaskAugmentation, SegmentationAugmentation
from harness.training.augmentation import (
    augment_masks,
    augment_pairs,
    sampling_matrix,
    seen_through,
    smooth_field,
)

SIZE = 64
COUNT = 200

STILL: dict[str, Any] = {"rotation_deg": 0.0, "flip": False, "zoom": (1.0, 1.0), "probability": 1.0}
"""Every transform of masks is drawn for every image, and none does anything."""

QUIET: dict[str, Any] = {
    "magnitude": 1.0,
    "probability": 1.0,
    "rotation_deg": 0.0,
    "flip": False,
    "scale": 0.0,
    "shear_deg": 0.0,
    "shift_px": 0.0,
    "elastic_px": 0.0,
    "noise": 0.0,
    "intensity": 0.0,
    "contrast": 0.0,
    "gamma": 0.0,
    "blur_px": 0.0,
    "low_resolution": 0.0,
}
"""The same for pairs of CT and masks."""


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def places() -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each pixel from the centre."""
    rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    return rows, columns


def bar(degrees: float, length: float = 24, width: float = 4) -> np.ndarray:
    """A bar through the centre; degrees from the horizontal, anticlockwise as seen."""
    rows, columns = places()
    turn = math.radians(degrees)
    along = columns * math.cos(turn) - rows * math.sin(turn)
    across = columns * math.sin(turn) + rows * math.cos(turn)
    return (abs(along) <= length) & (abs(across) <= width)


def disc(radius: float, row: float = 0, column: float = 0) -> np.ndarray:
    rows, columns = places()
    return np.hypot(rows - row, columns - column) <= radius


def angle_of(mask: np.ndarray) -> float:
    """Direction of the longest axis in degrees, anticlockwise, in (-90, 90]."""
    rows, columns = np.nonzero(mask)
    (xx, xy), (_, yy) = np.cov(columns, -rows)
    return math.degrees(0.5 * math.atan2(2 * xy, xx - yy))


def centre_of(mask: np.ndarray) -> tuple[float, float]:
    rows, columns = ndimage.center_of_mass(mask)
    return rows - (SIZE - 1) / 2, columns - (SIZE - 1) / 2


def as_masks(shape: np.ndarray, count: int = COUNT) -> Tensor:
    """Copies of a mask in [-1, 1]."""
    image = torch.from_numpy(np.where(shape, 1.0, -1.0).astype(np.float32))
    return image.expand(count, 1, SIZE, SIZE).clone()


def moved_masks(shape: np.ndarray, **changed: Any) -> np.ndarray:
    """What `augment_masks` makes of copies of a mask, as bool (N, S, S)."""
    config = MaskAugmentation(**{**STILL, **changed})
    return augment_masks(as_masks(shape), config, stream())[:, 0].numpy() > 0


def moved_pairs(shape: np.ndarray, **changed: Any) -> tuple[np.ndarray, np.ndarray]:
    """CT (N, S, S) in [-1, 1] and masks (N, S, S) bool that `augment_pairs` makes of copies; the
    CT is 0.8 in the shape and -0.8 around it."""
    config = SegmentationAugmentation(**{**QUIET, **changed})
    ct, masks = as_masks(shape) * 0.8, (as_masks(shape) + 1) / 2
    ct, masks = augment_pairs(ct, masks, config, stream())
    return ct[:, 0].numpy(), masks[:, 0].numpy() > 0.5


# --- nothing --------------------------------------------------------------------------------------


def test_still_settings_change_nothing() -> None:
    np.testing.assert_array_equal(moved_masks(bar(20)), np.stack([bar(20)] * COUNT))
    ct, masks = moved_pairs(bar(20))
    np.testing.assert_array_equal(masks, np.stack([bar(20)] * COUNT))
    np.testing.assert_allclose(ct, np.stack([np.where(bar(20), 0.8, -0.8)] * COUNT), atol=1e-5)


def test_probability_zero_changes_nothing() -> None:
    config = MaskAugmentation(probability=0.0)
    masks = as_masks(bar(20))
    assert torch.equal(augment_masks(masks, config, stream()), masks)
    ct = torch.rand(COUNT, 1, SIZE, SIZE, generator=stream(3)) * 2 - 1
    still = augment_masks(ct, config, stream(), binary=False)
    np.testing.assert_allclose(still.numpy(), ct.numpy(), atol=1e-5)


def test_strength_zero_is_the_identity_bit_for_bit() -> None:
    ct = torch.rand(8, 1, SIZE, SIZE, generator=stream(3)) * 2 - 1
    masks = (torch.rand(8, 2, SIZE, SIZE, generator=stream(4)) > 0.5).float()
    config = SegmentationAugmentation(magnitude=0, flip=True, probability=1.0)
    same_ct, same_masks = augment_pairs(ct, masks, config, stream())
    assert torch.equal(same_ct, ct)
    assert torch.equal(same_masks, masks)


# --- rotation -------------------------------------------------------------------------------------


def test_a_positive_angle_turns_anticlockwise() -> None:
    matrix = sampling_matrix(
        torch.tensor([math.radians(90.0)]), *torch.tensor([[1.0], [0.0], [0.0]])
    )
    # What is seen at the top (column 0, row -1) was at the right (1, 0) before.
    np.testing.assert_allclose(matrix[0] @ torch.tensor([0.0, -1.0]), [1, 0], atol=1e-6)


def test_the_measure_of_an_angle_is_right() -> None:
    assert angle_of(bar(15)) == pytest.approx(15, abs=0.6)
    assert angle_of(bar(-37)) == pytest.approx(-37, abs=0.6)


@pytest.mark.parametrize("move", ["masks", "pairs"])
def test_fifteen_degrees_are_fifteen_degrees(move: str) -> None:
    if move == "masks":
        turned = moved_masks(bar(0), rotation_deg=15.0)
    else:
        turned = moved_pairs(bar(0), rotation_deg=15.0)[1]
    angles = np.array([angle_of(mask) for mask in turned])
    assert abs(angles).max() < 15.7
    # Uniform on [-15, 15]: the largest of 200 lies near the end, the mean near 0, sd 15/sqrt(3).
    assert angles.max() > 13.5
    assert angles.min() < -13.5
    assert abs(angles.mean()) < 3 * 8.66 / math.sqrt(COUNT)
    assert angles.std() == pytest.approx(8.66, rel=0.15)


def test_legacy_rotation_turns_by_anything() -> None:
    # 15 radians are more than two turns: every direction is as likely.
    angles = np.array(
        [angle_of(m) for m in moved_masks(bar(0), rotation_deg=15.0, legacy_rotation=True)]
    )
    shares = np.histogram(angles, bins=6, range=(-90, 90))[0] / COUNT
    assert shares.min() > 0.08
    assert shares.max() < 0.27


def test_a_turned_mask_is_the_one_drawn_at_that_angle() -> None:
    for turned in moved_masks(bar(0), rotation_deg=15.0)[:20]:
        drawn = bar(angle_of(turned))
        assert (turned & drawn).sum() * 2 / (turned.sum() + drawn.sum()) > 0.96


# --- flip and zoom --------------------------------------------------------------------------------


@pytest.mark.parametrize("move", ["masks", "pairs"])
def test_a_flip_is_top_to_bottom_and_for_half_of_the_images(move: str) -> None:
    shape = disc(6, row=-14, column=9)
    config: dict[str, Any] = {"flip": True, "probability": 0.5}
    moved = moved_masks(shape, **config) if move == "masks" else moved_pairs(shape, **config)[1]
    upside = [bool((mask == shape[::-1]).all()) for mask in moved]
    still = [bool((mask == shape).all()) for mask in moved]
    assert all(a or b for a, b in zip(upside, still, strict=True))
    assert sum(upside) == pytest.approx(COUNT / 2, abs=3 * math.sqrt(COUNT) / 2)


def test_zoom_is_a_factor_of_lengths() -> None:
    zoomed = moved_masks(disc(14), zoom=(1.3, 1.3))
    radius = np.sqrt(zoomed.sum((1, 2)) / math.pi)
    assert radius == pytest.approx(14 * 1.3, rel=0.02)


def test_zoom_is_uniform_between_its_ends() -> None:
    factors = np.sqrt(moved_masks(disc(14), zoom=(0.8, 1.4)).sum((1, 2)) / disc(14).sum())
    assert factors.min() == pytest.approx(0.8, abs=0.03)
    assert factors.max() == pytest.approx(1.4, abs=0.03)
    assert factors.mean() == pytest.approx(1.1, abs=3 * 0.173 / math.sqrt(COUNT))


def test_zoom_moves_what_lies_off_the_centre_outwards() -> None:
    moved = moved_masks(disc(5, row=-10, column=6), zoom=(1.5, 1.5))[0]
    assert centre_of(moved) == pytest.approx((-15, 9), abs=0.3)


def test_scale_of_pairs_is_symmetric_about_one() -> None:
    factors = np.sqrt(moved_pairs(disc(14), scale=0.2)[1].sum((1, 2)) / disc(14).sum())
    assert factors.min() == pytest.approx(0.8, abs=0.03)
    assert factors.max() == pytest.approx(1.2, abs=0.03)


# --- shear, shift, elastic ------------------------------------------------------------------------


def test_shear_moves_columns_with_rows() -> None:
    sheared = moved_pairs(bar(90), shear_deg=10.0)[1]
    # An upright bar leans; horizontal lines stay: a flat bar's direction does not change.
    lean = np.array([90 - abs(angle_of(mask)) for mask in sheared])
    assert lean.max() == pytest.approx(10, abs=1.2)
    flat = [angle_of(mask) for mask in moved_pairs(bar(0, width=2), shear_deg=10.0)[1]]
    assert np.abs(flat).max() < 0.8


def test_a_shift_is_in_pixels_on_both_axes() -> None:
    centres = np.array([centre_of(m) for m in moved_pairs(disc(6), shift_px=6.0)[1]])
    assert np.abs(centres).max() < 6.3
    assert (centres.max(0) > 5.2).all()
    assert (centres.min(0) < -5.2).all()
    assert abs(np.corrcoef(centres.T)[0, 1]) < 0.25, "the axes are drawn apart"


def test_the_elastic_field_peaks_at_its_pixels() -> None:
    knots = torch.randn(30, 2, 5, 5, generator=stream())
    field = smooth_field(knots, SIZE).numpy()
    longest = np.hypot(field[:, 0], field[:, 1]).max((1, 2))
    np.testing.assert_allclose(longest, 1.0, atol=1e-5)
    # Smooth: neighbours differ by a small part of the peak.
    assert np.abs(np.diff(field, axis=-1)).max() < 0.2
    # Bicubic enlargement passes through the corners' control points, up to the common factor.
    factor = field[:, :, 0, 0] / knots[:, :, 0, 0].numpy()
    np.testing.assert_allclose(factor[:, 0], factor[:, 1], rtol=1e-3)


def test_elastic_moves_no_edge_further_than_it_says() -> None:
    shape = disc(16)
    distance = ndimage.distance_transform_edt(~shape) - ndimage.distance_transform_edt(shape)
    crossed = moved_pairs(shape, elastic_px=3.0)[1] != shape
    assert crossed.any()
    assert np.abs(distance[None].repeat(COUNT, 0)[crossed]).max() <= 3.0 + 1.0


# --- CT and masks together ------------------------------------------------------------------------


def test_ct_and_masks_move_together() -> None:
    ct, masks = moved_pairs(
        bar(30) | disc(9, row=12, column=-15),
        rotation_deg=15.0,
        flip=True,
        scale=0.15,
        shear_deg=8.0,
        shift_px=6.0,
        elastic_px=3.0,
    )
    bright = ct > 0
    frame = ct > -0.99  # what came from outside is air in the CT and nothing in the mask
    assert (bright == masks)[frame].mean() > 0.999
    assert not masks[~frame].any()
    outside = (ct < -0.999).mean()
    assert outside > 0.005


def test_a_mask_that_leaves_the_frame_is_gone_and_air_comes_in() -> None:
    ct, masks = moved_pairs(disc(3, row=0, column=-28), shift_px=31.0)
    gone = ~masks.any((1, 2))
    assert gone.any()
    assert (ct[gone].max((1, 2)) < 0).all()
    assert ct.min() == -1.0


def test_each_channel_moves_as_the_others() -> None:
    config = SegmentationAugmentation(**{**QUIET, "rotation_deg": 15.0, "shift_px": 5.0})
    one = torch.from_numpy(np.stack([bar(0), disc(8)]).astype(np.float32))
    masks = one[None].repeat(COUNT, 1, 1, 1)
    ct = torch.zeros(COUNT, 1, SIZE, SIZE)
    both = augment_pairs(ct, masks, config, stream())[1]
    for channel in (0, 1):
        alone = augment_pairs(ct, masks[:, channel : channel + 1], config, stream())[1]
        assert torch.equal(alone[:, 0], both[:, channel])


# --- tones ----------------------------------------------------------------------------------------


def test_noise_has_its_standard_deviation() -> None:
    ct, masks = moved_pairs(disc(10), noise=0.05)
    residual = ct - np.where(disc(10), 0.8, -0.8)
    assert residual.std() == pytest.approx(0.05, rel=0.02)
    np.testing.assert_array_equal(masks[0], disc(10))
    assert abs(np.corrcoef(residual[0].ravel(), residual[1].ravel())[0, 1]) < 0.1


def test_intensity_is_a_gain_and_a_shift() -> None:
    ct, _ = moved_pairs(disc(10), intensity=0.1)
    inside, around = ct[:, disc(10)].mean(1), ct[:, ~disc(10)].mean(1)
    gain, shift = (inside - around) / 1.6, (inside + around) / 2
    for values, middle in ((gain, 1.0), (shift, 0.0)):
        assert values.min() == pytest.approx(middle - 0.1, abs=0.012)
        assert values.max() == pytest.approx(middle + 0.1, abs=0.012)
    assert abs(np.corrcoef(gain, shift)[0, 1]) < 0.25


def test_contrast_is_a_factor_about_the_mean() -> None:
    ct, _ = moved_pairs(disc(10), contrast=0.2)
    mean = np.where(disc(10), 0.8, -0.8).mean()
    factor = (ct[:, ~disc(10)].mean(1) - mean) / (-0.8 - mean)
    assert factor.min() == pytest.approx(0.8, abs=0.01)
    assert factor.max() == pytest.approx(1.2, abs=0.01)
    uncut = factor < 1.1
    np.testing.assert_allclose(ct[uncut].mean((1, 2)), mean, atol=1e-5)


def test_gamma_is_an_exponent_of_the_unit_scale() -> None:
    ct, _ = moved_pairs(disc(10), gamma=0.3)
    exponents = np.log((ct[:, disc(10)].mean(1) + 1) / 2) / np.log(0.9)
    np.testing.assert_allclose(
        np.log((ct[:, ~disc(10)].mean(1) + 1) / 2) / np.log(0.1), exponents, rtol=1e-3
    )
    assert np.log(exponents).min() == pytest.approx(-0.3, abs=0.02)
    assert np.log(exponents).max() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("sd", [0.3, 0.7, 1.0, 2.0])
def test_blur_is_scipys_gaussian(sd: float) -> None:
    image = np.random.default_rng(0).normal(size=(SIZE, SIZE)).astype(np.float32)
    ones = torch.ones(1)
    blurred = seen(image, sd * ones, ones)
    oracle = ndimage.gaussian_filter(image.astype(float), sd, truncate=8)
    inside = slice(12, -12)  # at its edge scipy mirrors, we keep to what is there
    np.testing.assert_allclose(blurred[inside, inside], oracle[inside, inside], atol=1e-5)


def seen(image: np.ndarray, blur: Tensor, share: Tensor) -> np.ndarray:
    matrix = seen_through(blur, share, SIZE)[0]
    return (matrix @ torch.from_numpy(image) @ matrix.T).numpy()


def test_half_the_resolution_takes_every_second_pixel_and_joins_them_linearly() -> None:
    image = np.random.default_rng(0).normal(size=(SIZE, SIZE)).astype(np.float32)
    drawn = seen(image, torch.zeros(1), torch.tensor([0.5]))
    # Samples at pixel 0.5, 2.5, 4.5 ... take the even pixel beside them (torch rounds to even).
    kept = image[np.ix_(*(np.round(np.arange(0.5, SIZE, 2)).astype(int),) * 2)]
    at = np.clip((np.arange(SIZE) + 0.5) / 2 - 0.5, 0, len(kept) - 1)
    oracle = ndimage.map_coordinates(kept, np.meshgrid(at, at, indexing="ij"), order=1)
    np.testing.assert_allclose(drawn, oracle, atol=1e-5)


@pytest.mark.parametrize("share", [0.1, 0.37, 0.5, 0.83, 1.0])
def test_resolution_keeps_what_is_constant_and_all_of_it_is_identity(share: float) -> None:
    flat = np.full((SIZE, SIZE), 0.3, np.float32)
    np.testing.assert_allclose(seen(flat, torch.ones(1), torch.tensor([share])), 0.3, atol=1e-6)
    noise = np.random.default_rng(1).normal(size=(SIZE, SIZE)).astype(np.float32)
    drawn = seen(noise, torch.zeros(1), torch.tensor([share]))
    assert np.array_equal(drawn, noise) == (share == 1)
    assert drawn.std() <= noise.std() * 1.05


def test_what_a_scanner_does_leaves_the_masks_alone() -> None:
    ct, masks = moved_pairs(disc(10), blur_px=1.5, low_resolution=0.6, gamma=0.3, contrast=0.3)
    np.testing.assert_array_equal(masks, np.broadcast_to(disc(10), masks.shape))
    assert len({image.tobytes() for image in ct}) > 0.9 * COUNT, "most have one of the four"


def test_strength_multiplies_every_range() -> None:
    half = moved_pairs(bar(0), rotation_deg=30.0, magnitude=0.5)[1]
    full = moved_pairs(bar(0), rotation_deg=15.0, magnitude=1.0)[1]
    np.testing.assert_array_equal(half, full)


# --- draws ----------------------------------------------------------------------------------------


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    st.floats(0, 2),
    st.floats(0, 1),
    st.booleans(),
    st.floats(0, 30),
    st.integers(0, 2**31),
)
def test_settings_change_neither_number_nor_order_of_draws(
    magnitude: float, probability: float, flip: bool, rotation: float, seed: int
) -> None:
    config = SegmentationAugmentation(
        magnitude=magnitude, probability=probability, flip=flip, rotation_deg=rotation
    )
    ct, masks = torch.zeros(3, 1, 16, 16), torch.zeros(3, 1, 16, 16)
    used, plain = stream(seed), stream(seed)
    augment_pairs(ct, masks, config, used)
    augment_pairs(ct, masks, SegmentationAugmentation(), plain)
    assert torch.equal(used.get_state(), plain.get_state())
    used, plain = stream(seed), stream(seed)
    augment_masks(ct, MaskAugmentation(probability=probability, flip=flip), used)
    augment_masks(ct, MaskAugmentation(legacy_rotation=True), plain)
    assert torch.equal(used.get_state(), plain.get_state())


def test_images_are_drawn_apart_and_a_stream_repeats() -> None:
    config = MaskAugmentation(**{**STILL, "rotation_deg": 15.0})
    one, two = (augment_masks(as_masks(bar(0)), config, stream(5)) for _ in range(2))
    assert torch.equal(one, two)
    assert len({round(angle_of(mask[0].numpy() > 0), 2) for mask in one}) > COUNT / 2
    other = augment_masks(as_masks(bar(0)), config, stream(6))
    assert not torch.equal(one, other)


def test_global_generators_are_left_alone() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    moved_masks(bar(0), rotation_deg=15.0)
    moved_pairs(bar(0), noise=0.1)
    assert torch.equal(torch.random.get_rng_state(), before)
