"""Every score of a structure under its table name; volumes by counting."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.base.errors import DataError
from harness.metrics.segmentation.measures import (
    Value,
    hd95_mm,
    volume_error,
    volume_error_ml,
    volume_ml,
)
from harness.metrics.segmentation.structure_scores import (
    MEASURES,
    patient_scores,
    structure_scores,
    tolerance_mm,
)

GRID = (3.0, 2.0, 1.0)
GLAND = np.zeros((10, 12, 12), bool)
GLAND[2:7, 2:10, 2:7] = True  # 5 x 8 x 5 = 200 voxels of 6 mm3: 1.2 ml
EMPTY = np.zeros_like(GLAND)


def test_volumes_by_counting() -> None:
    half = GLAND.copy()
    half[:, 6:] = False
    assert volume_ml(GLAND, GRID) == pytest.approx(1.2)
    assert volume_error_ml(half, GLAND, GRID) == Value(pytest.approx(0.6))
    assert volume_error(half, GLAND) == Value(-0.5)
    assert volume_error_ml(GLAND, half, GRID) == Value(pytest.approx(0.6))
    assert volume_error(GLAND, half) == Value(1.0)
    elsewhere = np.roll(GLAND, 2, 1)
    assert (
        volume_error_ml(elsewhere, GLAND, GRID).value,
        volume_error(elsewhere, GLAND).value,
    ) == (
        0,
        0,
    )


def test_volumes_of_empty_masks() -> None:
    missed, invented, nothing = (
        structure_scores(*masks, GRID) for masks in ((EMPTY, GLAND), (GLAND, EMPTY), (EMPTY, EMPTY))
    )
    assert missed["volume_error"] == Value(-1.0, "nothing was predicted")
    assert missed["volume_error_ml"].value == pytest.approx(1.2)
    assert (missed["volume_ml"].value, missed["predicted_ml"].value) == (pytest.approx(1.2), 0.0)
    assert math.isnan(invented["volume_error"].value)
    assert invented["volume_error_ml"].value == pytest.approx(1.2)
    notes = {score.note for score in invented.values()}
    assert notes == {None, "predicted where the structure is absent"}
    defined = [name for name, score in nothing.items() if not math.isnan(score.value)]
    assert defined == ["volume_ml", "predicted_ml"]
    assert nothing["hd95_mm"].note == "the structure is absent in truth and prediction"


@pytest.mark.parametrize(
    ("grid", "tolerance"),
    [((3.0, 0.94, 0.94), 3.0), ((2.5, 4.1, 4.0), 4.1), ((1.0, 1.0, 1.0), 2.0), ((2.0, 1, 1), 2.0)],
)
def test_tolerance(grid: tuple[float, float, float], tolerance: float) -> None:
    assert tolerance_mm(grid) == tolerance


def test_a_shift_by_the_largest_edge_is_always_forgiven() -> None:
    """Also where the edges are the rounded lengths of an oblique affine's columns."""
    rng = np.random.default_rng(4)
    for _ in range(50):
        edges = rng.uniform(2, 5), rng.uniform(0.5, 2), rng.uniform(0.5, 2)
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        slices, rows, columns = np.linalg.norm(turn * np.array(edges), axis=0)
        grid = float(slices), float(rows), float(columns)
        assert structure_scores(np.roll(GLAND, 1, 0), GLAND, grid)["surface_dice"].value == 1.0


def test_all_scores_have_the_names_of_the_table() -> None:
    scores = structure_scores(np.roll(GLAND, 1, 0), GLAND, GRID)
    assert tuple(scores) == MEASURES
    assert MEASURES[0] == "dice"
    assert scores["dice"].value == pytest.approx(0.8)
    assert scores["hd95_mm"].value == pytest.approx(3.0)
    assert all(type(score.value) is float for score in scores.values())
    with pytest.raises(DataError, match="two bool volumes of one shape"):
        structure_scores(GLAND, GLAND[1:], GRID)


def test_the_patients_value_is_the_mean_of_the_sides_for_every_measure() -> None:
    sides = {
        "left": structure_scores(np.roll(GLAND, 1, 0), GLAND, GRID),
        "right": structure_scores(EMPTY, GLAND, GRID),
    }
    means = patient_scores(sides)
    assert tuple(means) == MEASURES
    for name, mean in means.items():
        expected = (sides["left"][name].value + sides["right"][name].value) / 2
        assert mean.value == pytest.approx(expected), name
    assert means["dice"].note == "right: nothing was predicted"
    # A failed side has the volume's diagonal as its distance, and it counts.
    assert means["hd95_mm"].value == pytest.approx((3 + math.hypot(30, 24, 12)) / 2)
    assert hd95_mm(EMPTY, GLAND, GRID).value == pytest.approx(math.hypot(30, 24, 12))
    absent = patient_scores({**sides, "right": structure_scores(EMPTY, EMPTY, GRID)})
    assert absent["dice"].value == pytest.approx(0.8)
