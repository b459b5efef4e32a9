"""The thesis's ways of making masks and frames, beside other libraries and shapes of known size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from factories.dicom import placed
from numpy.typing import NDArray
from pydantic import ValidationError
from skimage.draw import polygon, polygon_perimeter
from torch.nn.functional import interpolate

from harness.config.experiment import Experiment, to_dict
from harness.data.pairs.framing import Framing, channel_of, channels_of, frames, mask_frames, paste
from harness.data.pairs.placement import Placement
from harness.data.scan import Scan
from harness.work.prepare.cut import cut
from harness.work.prepare.legacy import masks_of, outlined

WINDOW = (-1000.0, 1000.0)
ANYWHERE = Placement((3.0, 50.0), (0, 0))


def disc(
    radius: float, edge: int = 96, at: tuple[float, float] = (47.5, 47.5)
) -> NDArray[np.bool_]:
    y, x = np.mgrid[:edge, :edge]
    return np.hypot(y - at[0], x - at[1]) <= radius


def test_an_outline_that_is_filled_too_makes_a_disc_half_a_pixel_wider() -> None:
    for radius in (8.0, 15.0, 30.0):
        before = disc(radius)[None]
        after = outlined(before)
        widened = np.sqrt(after.sum() / np.pi) - np.sqrt(before.sum() / np.pi)
        assert 0.3 < widened < 0.7, radius


def test_it_is_the_polygon_and_its_perimeter_of_another_library() -> None:
    square = np.zeros((96, 96), bool)
    square[10:40, 20:70] = True
    expected = np.zeros_like(square)
    for draw in (polygon, polygon_perimeter):  # its contour: half a pixel out, rounded upwards
        expected[draw([10, 10, 40, 40], [20, 70, 70, 20])] = True
    expected[40, 70] = False  # a contour of pixels cuts its corners
    np.testing.assert_array_equal(outlined(square[None])[0], expected)


def test_of_several_regions_the_first_is_drawn_and_empty_slices_stay_empty() -> None:
    upper, lower = disc(8, at=(20, 60)), disc(12, at=(70, 30))
    volume = np.stack([upper | lower, np.zeros_like(upper), lower])
    drawn = outlined(volume)
    np.testing.assert_array_equal(drawn[0], outlined(upper[None])[0])
    assert not drawn[1].any()
    np.testing.assert_array_equal(drawn[2], outlined(lower[None])[0])
    touching = np.zeros((1, 20, 20), bool)
    touching[0, :6, :9] = True  # at the border of the slice
    assert outlined(touching)[0, :6, :9].all()


def test_the_last_structure_wins_and_sides_are_mixed_in_one_channel() -> None:
    right, left = disc(5, at=(40, 30)), disc(5, at=(40, 70))
    masks = {"parotid_right": right[None], "parotid_left": left[None]}
    assert list(masks_of(masks, {"last_structure_wins": True})) == ["parotid_left"]
    assert list(masks_of(masks, {})) == list(masks)
    assert channels_of([*masks], "mixed") == ["parotid"]
    assert channel_of("parotid_left", "mixed") == ("parotid", False)
    assert channel_of("parotid_left", True) == ("parotid", True)
    experiment = Experiment.model_validate(
        {
            "name": "e",
            "data": {"crop": {"frame_px": 64}},
            "legacy": {"last_structure_wins": True},
        }
    )
    config = {**to_dict(experiment.data), "legacy": experiment.legacy.of_pairs}
    affine = placed((1, 1, 1), (3.0, 1.0, 1.0))
    scan = Scan("p", hu=np.zeros((1, 96, 96), np.float32), affine=affine, masks=masks)
    place = {name: Placement((40.0, 70.0), (0, 0)) for name in masks}
    made = cut(scan, "0" * 24, "train", place, config)
    assert [row.structure for row in made.rows] == ["parotid_left"]
    assert not made.rows[0].mirrored
    y, x = np.nonzero(made.masks[0][0])
    assert abs(y.mean() - 31.5) <= 0.5
    assert abs(x.mean() - 31.5) <= 0.5
    with pytest.raises(ValidationError, match=r"data\.mirror is false"):
        Experiment.model_validate(
            {"name": "e", "data": {"mirror": False}, "legacy": {"last_structure_wins": True}}
        )


@pytest.mark.parametrize("size", [(96, 128), (40, 31), (64, 64)])
def test_whole_slices_are_resized_as_another_library_does(size: tuple[int, int]) -> None:
    hu = np.random.default_rng(0).uniform(-900, 900, (2, *size))
    affine = placed((1, 1, 1), (3.0, 0.9, 1.2))
    framing = Framing(64, 1.0, WINDOW, whole=True)
    made = frames(hu, affine, ANYWHERE, framing, False)
    expected = interpolate(torch.from_numpy(hu)[None], (64, 64), mode="bilinear")[0].numpy() / 1000
    inside = np.s_[:, 2:-2, 2:-2]  # at the border one blends with air, the other repeats
    np.testing.assert_allclose(made[inside], expected[inside], atol=1e-5)
    np.testing.assert_array_equal(
        frames(hu, affine, ANYWHERE, framing, True), made[..., ::-1], "mirrored alike"
    )
    back = paste(made, (2, *size), affine, ANYWHERE, framing, False)
    again = interpolate(torch.from_numpy(made)[None], size, mode="bilinear")[0].numpy()
    np.testing.assert_allclose(back[inside], again[inside], atol=1e-5)


def test_a_whole_slice_has_all_of_the_mask_wherever_it_is() -> None:
    mask = disc(20, at=(24, 70))[None]
    framing = Framing(48, 1.0, WINDOW, whole=True)
    made = mask_frames(mask, placed((1, 1, 1), (3.0, 1.0, 1.0)), ANYWHERE, framing, False)
    assert made.sum() * 4 == pytest.approx(mask.sum(), rel=0.03)
    y, x = np.nonzero(made[0])
    assert (y.mean(), x.mean()) == pytest.approx((11.75, 34.75), abs=0.2)


def test_the_switches_stand_with_the_pairs() -> None:
    plain = {"spacing_mm": 1.0, "window_hu": WINDOW, "legacy_scaling": False, "frame_px": 64}
    assert Framing.of({**plain, "legacy": {"resize_before_crop": True}}).whole
    assert not Framing.of(plain).whole
