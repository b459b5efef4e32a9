"""Mask descriptors on shapes whose numbers are known, the plausibility rule, cleaning."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.base.errors import DataError
from harness.metrics.images.mask_shape import (
    checkerboard_energy,
    clean_mask,
    describe_mask,
    describe_masks,
    descriptor_distances,
    fit_plausibility,
    implausible_share,
)

ROWS, COLUMNS = np.mgrid[:64, :64] - 31.5


def ellipse(row: float, column: float, height: float, width: float) -> np.ndarray:
    """Half axes height and width, centre relative to the frame's."""
    return ((ROWS - row) / height) ** 2 + ((COLUMNS - column) / width) ** 2 <= 1


def test_disk() -> None:
    found = describe_mask(ellipse(0, 0, 15, 15))
    assert found.area_px == pytest.approx(math.pi * 225, rel=0.02)
    assert (found.components, found.holes) == (1, 0)
    assert found.solidity == pytest.approx(1.0, abs=0.04)
    assert found.eccentricity == pytest.approx(0.0, abs=0.02)
    assert found.boundary_roughness == pytest.approx(1.0, abs=0.05)
    assert (found.row, found.column) == pytest.approx((0, 0), abs=1e-9)
    assert (found.height_px, found.width_px) == (30, 30)


def test_ellipse_off_centre() -> None:
    found = describe_mask(ellipse(-6, 9, 12, 20))
    assert found.eccentricity == pytest.approx(math.sqrt(1 - (12 / 20) ** 2), abs=0.01)
    assert (found.row, found.column) == pytest.approx((-6, 9), abs=0.1)
    assert (found.height_px, found.width_px) == (24, 40)


def test_rectangle_and_its_notch() -> None:
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    assert describe_mask(mask).solidity == 1.0
    # A slit of 4 x 10: the hull keeps all 400 pixels.
    mask[10:20, 18:22] = False
    found = describe_mask(mask)
    assert found.area_px == 360
    assert found.solidity == pytest.approx(0.9)
    assert found.boundary_roughness > 1.1


def test_pieces_and_holes() -> None:
    mask = ellipse(-10, -10, 9, 9) | ellipse(18, 18, 6, 6)
    mask[22, 22] = False
    mask[20, 20] = False
    found = describe_mask(mask)
    assert (found.components, found.holes) == (2, 2)
    assert found.eccentricity < 0.2
    # Touching by a corner is one piece of the structure, and no way out for a hole.
    corner = np.zeros((6, 6), bool)
    corner[1, 1] = corner[2, 2] = True
    assert describe_mask(corner).components == 1
    diamond = np.zeros((5, 5), bool)
    diamond[1, 2] = diamond[2, 1] = diamond[2, 3] = diamond[3, 2] = True
    assert describe_mask(diamond).holes == 1


def test_a_ragged_edge_is_rougher_than_a_smooth_one() -> None:
    smooth = ellipse(0, 0, 14, 20)
    noise = np.random.default_rng(0).random((64, 64))
    rim = ellipse(0, 0, 17, 23) & ~ellipse(0, 0, 11, 17)
    ragged = np.where(rim, noise < 0.5, smooth)
    values = [describe_mask(mask).boundary_roughness for mask in (smooth, ragged)]
    assert values[1] > values[0] + 0.3


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_turning_a_mask_changes_its_place_only(turn: int) -> None:
    mask = ellipse(-5, 7, 9, 17)
    a, b = describe_mask(mask), describe_mask(np.rot90(mask, turn))
    for name in ("area_px", "components", "holes"):
        assert getattr(a, name) == getattr(b, name)
    for name in ("solidity", "eccentricity", "boundary_roughness"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), abs=0.02)


@pytest.mark.parametrize("points", [[(3, 3)], [(3, 3), (4, 4)], [(3, 3), (4, 4), (5, 5)]])
def test_tiny_masks_have_descriptors(points: list[tuple[int, int]]) -> None:
    mask = np.zeros((9, 9), bool)
    for point in points:
        mask[point] = True
    found = describe_mask(mask)
    assert found.area_px == len(points)
    assert 0 < found.solidity <= 1


def test_empty_mask_invents_nothing() -> None:
    found = describe_mask(np.zeros((8, 8), bool))
    assert (found.area_px, found.components, found.holes) == (0, 0, 0)
    assert math.isnan(found.solidity)
    assert math.isnan(found.row)
    with pytest.raises(DataError, match="H x W bool, but got shape \\(8, 8\\) of float64"):
        describe_mask(np.zeros((8, 8)))


def test_many_masks_become_columns() -> None:
    found = describe_masks(np.stack([ellipse(0, 0, 9, 9), np.zeros((64, 64), bool)]))
    assert found["area_px"].shape == (2,)
    assert math.isnan(found["width_px"][1])


def test_clean_mask_fills_holes_and_keeps_the_largest_piece() -> None:
    structure = ellipse(-8, -8, 12, 10)
    dirty = structure | ellipse(20, 20, 4, 4)
    dirty[23, 23] = False
    np.testing.assert_array_equal(clean_mask(dirty), structure)
    ring = structure & ~ellipse(-8, -8, 5, 5)
    np.testing.assert_array_equal(clean_mask(ring), structure)
    np.testing.assert_array_equal(clean_mask(clean_mask(dirty)), structure)
    assert not clean_mask(np.zeros((8, 8), bool)).any()


@pytest.fixture(scope="module")
def training() -> np.ndarray:
    rng = np.random.default_rng(1)
    masks = [
        ellipse(rng.uniform(-4, 4), rng.uniform(-4, 4), rng.uniform(9, 13), rng.uniform(14, 18))
        for _ in range(40)
    ]
    return np.stack([*masks, np.zeros((64, 64), bool)])


def test_training_masks_are_plausible_even_without_tolerance(training: np.ndarray) -> None:
    rule = fit_plausibility(training, 0.0)
    assert [rule.check(mask) for mask in training[:-1]] == [None] * 40


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (np.zeros((64, 64), bool), "the mask is empty"),
        (ellipse(0, 0, 4, 6), "area_px"),
        (ellipse(0, 0, 24, 30), "area_px"),
        (ellipse(0, 0, 5, 30), "height_px"),
        (ellipse(0, 0, 20, 9), "height_px"),
        (ellipse(18, 0, 11, 16), "row"),
        (ellipse(0, -15, 11, 16), "column"),
        (ellipse(0, 0, 13, 18) & ~ellipse(-7, 0, 10, 9), "solidity"),
    ],
)
def test_implausible_masks_break_a_named_rule(
    training: np.ndarray, mask: np.ndarray, reason: str
) -> None:
    found = fit_plausibility(training, 0.1).check(mask)
    assert found is not None
    assert found.startswith(reason)


def test_tolerance_widens_as_stated(training: np.ndarray) -> None:
    sizes = training[:-1].sum(axis=(1, 2))
    rule = fit_plausibility(training, 0.25)
    assert rule.ranges["area_px"] == pytest.approx((sizes.min() * 0.75, sizes.max() * 1.25))
    exact = fit_plausibility(training, 0.0)
    for name, (low, high) in exact.ranges.items():
        assert rule.ranges[name][0] <= low
        assert rule.ranges[name][1] >= high


def test_a_rule_needs_gland() -> None:
    with pytest.raises(
        DataError, match="at least one training mask with the structure, but got 3 empty"
    ):
        fit_plausibility(np.zeros((3, 8, 8), bool), 0.1)


EVERY_OTHER = (np.indices((64, 64)).sum(axis=0) % 2).astype(bool)


def test_checkerboard_energy_of_patterns_of_one_pixel() -> None:
    stripes = np.arange(64) % 2
    patterns = (EVERY_OTHER, np.tile(stripes, (64, 1)), np.tile(stripes[:, None], (1, 64)))
    for pattern in patterns:
        assert checkerboard_energy(pattern) == pytest.approx(1.0)
        assert checkerboard_energy(3 - 0.1 * pattern) == pytest.approx(1.0)
    odd = np.indices((65, 63)).sum(axis=0) % 2
    assert checkerboard_energy(odd) > 0.99
    coarse = np.kron(EVERY_OTHER[:32, :32], np.ones((2, 2)))
    assert checkerboard_energy(coarse) < 1e-12


def test_checkerboard_energy_of_a_gland_is_low_until_it_is_perforated() -> None:
    structure = ellipse(2, -3, 13, 18)
    assert describe_mask(structure).checkerboard_energy < 0.01
    assert describe_mask(structure & EVERY_OTHER).checkerboard_energy > 0.5
    found = describe_mask(structure)
    assert describe_mask(structure.T).checkerboard_energy == pytest.approx(
        found.checkerboard_energy
    )


def test_checkerboard_energy_is_a_share_of_power() -> None:
    # Smooth waves of power 1/2 over the frame, and a pattern of amplitude a: a^2 / (a^2 + 1/2).
    wave = np.sin(2 * np.pi * np.arange(64) / 16)[:, None] * np.ones(64)
    pattern = 2.0 * EVERY_OTHER - 1
    for amplitude in (0.0, 0.03, 0.3, 1.0):
        expected = amplitude**2 / (amplitude**2 + 0.5)
        found = checkerboard_energy(wave + amplitude * pattern)
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-9)


def test_checkerboard_energy_of_a_ramp_and_of_noise() -> None:
    # A frame whose opposite edges differ is no stripes.
    assert checkerboard_energy(ROWS + 2 * COLUMNS) < 1e-6
    noise = np.random.default_rng(3).normal(size=(40, 64, 64))
    # Three squares of 9 of 64 frequencies.
    mean = np.mean([checkerboard_energy(image) for image in noise])
    assert mean == pytest.approx(3 * (9 / 64) ** 2, rel=0.1)


def test_checkerboard_energy_of_nothing() -> None:
    assert math.isnan(checkerboard_energy(np.full((64, 64), 0.1)))
    assert math.isnan(checkerboard_energy(EVERY_OTHER[:15]))
    assert math.isnan(describe_mask(np.zeros((64, 64), bool)).checkerboard_energy)
    with pytest.raises(DataError, match=r"H x W of finite numbers, but got shape \(3, 64, 64\)"):
        checkerboard_energy(np.zeros((3, 64, 64)))
    with pytest.raises(DataError, match="with 1 that are not"):
        checkerboard_energy(np.where(np.eye(64) * ROWS > 31, np.nan, 0.0))


def test_descriptor_distances_by_hand() -> None:
    real = {"area_px": np.array([1.0, 2.0, 3.0]), "row": np.array([0.0, np.nan, 4.0])}
    fake = {"area_px": np.array([2.0, 3.0, 4.0]), "row": np.array([np.nan, np.nan, 2.0])}
    found = descriptor_distances(real, fake)
    assert list(found) == ["area_px", "area_px_in_sd", "row", "row_in_sd"]
    assert found["area_px"].value == pytest.approx(1.0)
    assert found["area_px_in_sd"].value == pytest.approx(1.0)  # sd of 1, 2, 3
    assert found["area_px"].note is None
    # 0 and 4 against 2: each half moves by 2; their sd is sqrt(8).
    assert found["row"].value == pytest.approx(2.0)
    assert found["row_in_sd"].value == pytest.approx(2 / math.sqrt(8))
    assert found["row"].note == ("left out without a value: 1 of 3 real and 2 of 3 synthetic masks")
    assert found["row"].n == 1
    assert found["row_in_sd"].units == "masks; value in real standard deviations"


def test_descriptor_distances_of_masks(training: np.ndarray) -> None:
    real = describe_masks(training)
    same = descriptor_distances(real, real)
    assert {score.value for score in same.values() if math.isfinite(score.value)} == {0.0}
    # Structures of one piece without holes: nothing to measure these distances by.
    assert same["holes_in_sd"].note == "the real masks do not differ"
    down = descriptor_distances(real, describe_masks(np.roll(training, 6, axis=1)))
    assert down["row"].value == pytest.approx(6.0)
    assert down["area_px"].value == 0.0
    none = descriptor_distances(real, describe_masks(training[-1:]))["row"]
    assert math.isnan(none.value)
    assert none.note == "left out without a value: 1 of 41 real and 1 of 1 synthetic masks"
    with pytest.raises(DataError, match="the same descriptors, but got row on one side only"):
        descriptor_distances(real, {name: v for name, v in real.items() if name != "row"})


def test_implausible_share(training: np.ndarray) -> None:
    rule = fit_plausibility(training, 0.0)
    bad = np.stack([ellipse(0, 0, 4, 6), np.zeros((64, 64), bool)])
    found = implausible_share(rule, np.concatenate([training[:38], bad]))
    assert found.value == pytest.approx(2 / 40)
    assert found.interval == pytest.approx((0.0138, 0.1650), abs=1e-4)
    assert (found.n, found.units) == (40, "masks")
    assert implausible_share(rule, training[:40]).value == 0.0
    assert implausible_share(rule, bad[:0]).note == "no masks"
