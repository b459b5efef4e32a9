"""Voxels of NRRD and NIfTI patients: geometry against SimpleITK, segmentations, what is no CT."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import factories.image as material
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from factories.image import (
    LEFT,
    OBLIQUE,
    ORIGIN,
    RIGHT,
    SHAPE,
    Drawn,
    draw,
    filled,
    like,
    only,
    read_all,
    reason,
    save,
)
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from harness.data.scan import Excluded, Scan


def marked(seed: int, place: tuple[int, int, int], **geometry: Any) -> tuple[Drawn, NDArray[Any]]:
    """A patient with one bright voxel, and where SimpleITK says that it lies."""
    drawn = draw(seed, **geometry)
    values = sitk.GetArrayFromImage(drawn.ct)
    spot = tuple(n % size for n, size in zip(place, values.shape, strict=True))
    values[spot] = 3000
    where = drawn.ct.TransformIndexToPhysicalPoint([int(n) for n in spot[::-1]])
    return Drawn(like(values, drawn.ct), drawn.masks), np.array(where)


TURNS: dict[str, Callable[[sitk.Image], sitk.Image]] = {
    "as is": lambda image: image,
    "head first": lambda image: sitk.Flip(image, [False, False, True]),
    "from the left": lambda image: sitk.Flip(image, [True, False, False]),
    "all flipped": lambda image: sitk.Flip(image, [True, True, True]),
    "sagittal": lambda image: sitk.PermuteAxes(image, [1, 2, 0]),
    "coronal, flipped": lambda image: sitk.Flip(
        sitk.PermuteAxes(image, [2, 0, 1]), [True, False, True]
    ),
}


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz"])
@pytest.mark.parametrize("turned", TURNS)
@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE], ids=["axial", "oblique"])
def test_a_point_of_the_patient_is_where_simpleitk_says(
    root: Path, suffix: str, turned: str, direction: NDArray[np.float64]
) -> None:
    for number, place in enumerate([(0, 0, 0), (7, 3, -1), (2, -2, 5)]):
        folder = root / str(number)
        drawn, where = marked(number, place, direction=direction, turn=TURNS[turned])
        save(drawn.ct, folder / "P1" / f"ct{suffix}")
        for name, mask in drawn.masks.items():
            save(mask, folder / "P1" / f"{name}{suffix}")
        scan = only(folder)
        spot = np.unravel_index(int(scan.hu.argmax()), scan.hu.shape)
        np.testing.assert_allclose((scan.affine @ [*spot, 1])[:3], where, atol=1e-3)
        # Canonical order undoes every turn of the stored axes: boxes are where they were drawn.
        assert scan.hu.shape == SHAPE
        assert (np.diag(scan.affine[:3, :3][::-1]) > 0).all()
        np.testing.assert_array_equal(scan.masks["parotid_left"], filled(LEFT))
        np.testing.assert_allclose(scan.affine[:3, 3], ORIGIN, atol=1e-3)


def test_a_mask_stored_in_another_order_is_the_same(root: Path) -> None:
    drawn, turned = draw(2), draw(2, turn=TURNS["coronal, flipped"])
    save(drawn.ct, root / "P1" / "ct.nrrd")
    save(turned.masks["Parotid_L"], root / "P1" / "Parotid_L.nii.gz")
    np.testing.assert_array_equal(only(root).masks["parotid_left"], filled(LEFT))


def test_what_float32_leaves_of_a_zero_changes_no_digest(root: Path) -> None:
    drawn = draw(1)
    for name, noise in (("exact", 0.0), ("noisy", 4e-9)):
        for stem, image in (("ct", drawn.ct), ("Parotid_L", drawn.masks["Parotid_L"])):
            affine = np.diag([-1.25, -1.5, 3.0, 1.0]) + noise
            affine[:3, 3], affine[3] = np.array(ORIGIN) * [-1, -1, 1], [0, 0, 0, 1]
            values = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
            (root / name).mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(values, affine), root / name / f"{stem}.nii")
    assert len({s.content_digest() for s in read_all(root) if isinstance(s, Scan)}) == 1


def test_axes_half_way_are_refused(root: Path) -> None:
    halfway = Rotation.from_euler("xyz", (0, 50, 40), degrees=True).as_matrix()
    material.pddca(root, 1, draw(direction=halfway))
    assert "each axis of a volume must be nearest to one body axis" in reason(root)


def shifted(image: sitk.Image, mm: float) -> sitk.Image:
    made = sitk.Image(image)
    x, y, z = image.GetOrigin()
    made.SetOrigin((x, y + mm, z))
    return made


def respaced(image: sitk.Image, slices_mm: float) -> sitk.Image:
    made = sitk.Image(image)
    made.SetSpacing((1.25, 1.5, slices_mm))
    return made


def turned(image: sitk.Image, degrees: float = 5) -> sitk.Image:
    """About the first voxel and the axis of the body."""
    made = sitk.Image(image)
    turn = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
    made.SetDirection((turn @ np.reshape(image.GetDirection(), (3, 3))).ravel().tolist())
    return made


DIFFER = (
    "the headers of files of the same voxels differ: its own lies up to {} beside the image's; "
    "correct the mask's header, or the image's where all masks lie beside it alike"
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda mask: shifted(mask, 0.1), DIFFER.format("0.1 mm (0.067 voxels)")),
        (lambda mask: respaced(mask, 3.03), DIFFER.format("0.24 mm (0.08 voxels)")),
        (
            turned,  # by 5 degrees: the corner 42.3 mm away moves by 2 sin 2.5 degrees of that
            "it lies up to 3.69 mm (2.7 voxels) beside it, turned; resample it onto the image",
        ),
        (
            lambda mask: mask[1:, :, :],
            "it has 9 x 20 x 25 voxels where the image has 9 x 20 x 26; resample it onto the image",
        ),
    ],
)
def test_a_mask_on_another_grid_is_refused(
    root: Path, change: Callable[[sitk.Image], sitk.Image], words: str
) -> None:
    drawn = draw()
    save(drawn.ct, root / "P1" / "ct.nrrd")
    save(change(drawn.masks["Parotid_L"]), root / "P1" / "Parotid_L.nrrd")
    assert reason(root) == (f"file 1: a mask must lie on the grid of its image, but {words}")


@pytest.mark.parametrize(
    ("change", "mm"),
    [
        (lambda mask: shifted(mask, 0.0009), None),
        (lambda mask: shifted(mask, 0.07), "0.07"),  # of 1.5
        (lambda mask: respaced(mask, 3.01), "0.08"),  # of 3, eight times
        (lambda mask: turned(mask, 0.0047), "0.00347"),  # 8.2e-5 of 42.3 mm
    ],
)
def test_a_mask_within_a_twentieth_of_a_voxel_is_taken(
    root: Path, change: Callable[[sitk.Image], sitk.Image], mm: str | None
) -> None:
    drawn = draw()
    save(drawn.ct, root / "P1" / "ct.nrrd")
    save(change(drawn.masks["Parotid_L"]), root / "P1" / "Parotid_L.nrrd")
    scan = only(root)
    np.testing.assert_array_equal(scan.masks["parotid_left"], filled(LEFT))
    said = f"file 1: a mask's header lies up to {mm} mm beside its image's"
    assert scan.notes == ((said,) if mm else ()) + ("parotid_right is not contoured",)
    np.testing.assert_array_equal(scan.affine[:3, 3], ORIGIN)


@pytest.mark.parametrize("odd", ["ct", "Parotid_L"])
def test_a_place_that_a_file_gives_twice_is_chosen(root: Path, odd: str) -> None:
    """The image's or a mask's sform is of a registration: the scanner's qform is that of both."""
    drawn = draw()
    for name, image in (("ct", drawn.ct), *drawn.masks.items()):
        path = save(image, root / "P1" / f"{name}.nii.gz")
        read = nibabel.load(path)
        if name == odd:
            read.set_sform(np.diag([-1.1, 1.1, 1.1, 1.0]) @ read.affine, 2)
            nibabel.save(read, path)
    number = 3 if odd == "ct" else 1
    assert reason(root).startswith(f"file {number}: the sform and the qform of a NIfTI volume must")
    scan = only(root, images={"nifti_form": "qform"})
    np.testing.assert_array_equal(scan.masks["parotid_left"], filled(LEFT))
    np.testing.assert_allclose(scan.affine[:3, 3], ORIGIN, atol=1e-4)
    assert "a mask must lie on the grid of its image" in reason(
        root, images={"nifti_form": "sform"}
    )


# --- segmentations of 3D Slicer -----------------------------------------------------------------


def test_segments_that_overlap_and_a_cropped_file(root: Path) -> None:
    """A Slicer file may cover the segments' box alone; its header names what overlaps."""
    drawn = draw(5, direction=OBLIQUE)
    save(drawn.ct, root / "P1" / "ct.nrrd")
    left, right = (sitk.GetArrayFromImage(mask) for mask in drawn.masks.values())
    left[3] = right[3] = 1  # one slice is in both
    crop = drawn.ct[3:, 2:, 1:8]
    layers = np.stack([left, right * 4])[:, 1:8, 2:, 3:]
    segments = [("Parotid_L", 0, 1), ("rt parotid", 1, 4)]
    material.seg_nrrd(root / "P1" / "Segmentation.seg.nrrd", layers, crop, segments)
    scan = only(root)
    expected = [np.zeros(SHAPE, np.bool_) for _ in range(2)]
    for mask, values in zip(expected, (left, right), strict=True):
        mask[1:8, 2:, 3:] = values[1:8, 2:, 3:] > 0
    np.testing.assert_array_equal(scan.masks["parotid_left"], expected[0])
    np.testing.assert_array_equal(scan.masks["parotid_right"], expected[1])
    assert scan.labels == ("Parotid_L", "rt parotid")


def test_one_segment_may_lie_in_any_layer(root: Path) -> None:
    """A file of one segment is named by the file, whatever its header calls the segment."""
    drawn = draw()
    material.han_seg(root, 1, drawn)
    [path] = root.rglob("*_OAR_Parotid_R.seg.nrrd")
    layers = np.stack([sitk.GetArrayFromImage(mask) for mask in drawn.masks.values()])
    material.seg_nrrd(path, layers, drawn.ct, [("Segment_1", 1, 1)])
    scan = only(root)
    np.testing.assert_array_equal(scan.masks["parotid_right"], filled(RIGHT))
    assert scan.labels == ("Parotid_L", "Parotid_R")


@pytest.mark.parametrize("file", ["P1", "Segmentation_1", "P1_by me", "Segmentation"])
def test_one_segment_names_a_file_that_does_not(root: Path, file: str) -> None:
    drawn = draw()
    save(drawn.ct, root / "P1" / "ct.nrrd")
    layers = sitk.GetArrayFromImage(drawn.masks["Parotid_R"])[None]
    material.seg_nrrd(root / "P1" / f"{file}.seg.nrrd", layers, drawn.ct, [("rt parotid", 0, 1)])
    scan = only(root)
    assert scan.labels == ("rt parotid",)
    np.testing.assert_array_equal(scan.masks["parotid_right"], filled(RIGHT))


@pytest.mark.parametrize("wanted", ["parotid_left", "parotid_right"])
def test_a_file_and_its_segment_of_other_names_are_refused(root: Path, wanted: str) -> None:
    """Also where one of them alone is wanted: it may be the other side."""
    drawn = draw()
    save(drawn.ct, root / "P1" / "ct.nrrd")
    layers = sitk.GetArrayFromImage(drawn.masks["Parotid_R"])[None]
    path = root / "P1" / "Parotid_L.seg.nrrd"
    material.seg_nrrd(path, layers, drawn.ct, [("Parotid_R", 0, 1)])
    assert reason(root, structures=(wanted,)) == (
        "file 1: a segmentation and its one segment must be named alike, but got 'Parotid_L' and "
        "'Parotid_R'; rename one of them"
    )


def test_an_empty_segmentation_is_one_voxel(root: Path) -> None:
    drawn = draw()
    material.han_seg(root, 1, drawn)
    [path] = root.rglob("*_OAR_Parotid_R.seg.nrrd")
    nothing = np.zeros((1, 1, 1, 1), np.uint8)
    material.seg_nrrd(path, nothing, sitk.Image(1, 1, 1, sitk.sitkUInt8), [("Parotid_R", 0, 1)])
    assert only(root).notes == ("parotid_right is not contoured",)


def test_a_cropped_segmentation_between_voxels_is_refused(root: Path) -> None:
    drawn = draw()
    material.han_seg(root, 1, drawn)
    [path] = root.rglob("*_OAR_Parotid_L.seg.nrrd")
    save(shifted(drawn.masks["Parotid_L"][2:, :, :], 0.7), path)
    assert "it has 9 x 20 x 24 voxels where the image has 9 x 20 x 26" in reason(root)


def test_an_older_segmentation_has_a_layer_a_segment(root: Path) -> None:
    """As Slicer 4.10 wrote it: neither layers nor values are named."""
    drawn = draw()
    save(drawn.ct, root / "P1" / "ct.nrrd")
    layers = np.stack([sitk.GetArrayFromImage(mask) for mask in drawn.masks.values()])
    path = root / "P1" / "Segmentation.seg.nrrd"
    material.seg_nrrd(path, layers, drawn.ct, [("Ohrspeicheldr\u00fcse L", 0, 1), ("Ohr R", 1, 1)])
    lines = path.read_bytes().split(b"\n", 15)
    kept = [line for line in lines if b"_Layer" not in line and b"_LabelValue" not in line]
    path.write_bytes(b"\n".join(kept))
    patterns = {"parotid_left": ["Ohrspeicheldru\u0308se L"], "parotid_right": ["^Ohr R"]}
    scan = only(root, patterns=patterns)
    np.testing.assert_array_equal(scan.masks["parotid_left"], filled(LEFT))
    np.testing.assert_array_equal(scan.masks["parotid_right"], filled(RIGHT))
    assert scan.labels == ("Ohrspeicheldr\u00fcse L", "Ohr R")


def test_one_segment_in_a_file_that_names_nothing(root: Path) -> None:
    drawn = draw()
    save(drawn.ct, root / "P1" / "ct.nrrd")
    layers = sitk.GetArrayFromImage(drawn.masks["Parotid_L"])[None]
    path = root / "P1" / "Segmentation.seg.nrrd"
    material.seg_nrrd(path, layers, drawn.ct, [("Parotid_L", 0, 1)])
    np.testing.assert_array_equal(only(root).masks["parotid_left"], filled(LEFT))


@pytest.mark.parametrize("spelling", ["NFC", "NFD"])
def test_names_of_files_keep_their_letters(root: Path, spelling: Literal["NFC", "NFD"]) -> None:
    drawn = draw()
    owner, name = (
        unicodedata.normalize(spelling, text) for text in ("M\u00fcller", "Ohrspeicheldr\u00fcse_L")
    )
    save(drawn.ct, root / owner / "ct.mha")
    save(drawn.masks["Parotid_L"], root / owner / f"{owner}_{name}.nii.gz")
    save(drawn.masks["Parotid_R"], root / owner / "\u5de6\u816e\u817a.nhdr")
    patterns = {"parotid_left": ["^Ohrspeicheldr\u00fcse_L$"], "parotid_right": ["^\u5de6"]}
    scan = only(root, patterns=patterns)
    np.testing.assert_array_equal(scan.masks["parotid_left"], filled(LEFT))
    np.testing.assert_array_equal(scan.masks["parotid_right"], filled(RIGHT))
    assert scan.labels == ("Ohrspeicheldr\u00fcse_L", "\u5de6\u816e\u817a")


# --- what is no CT and no mask ------------------------------------------------------------------


def with_image(root: Path, values: NDArray[Any]) -> str:
    drawn = draw()
    path = material.pddca(root, 1, drawn)
    save(like(values, drawn.ct), path)
    return reason(root)


def test_values_must_be_hu(root: Path) -> None:
    hu = material.voxels()
    unit = (hu - hu.min()) / (hu.max() - hu.min())
    rule = "file 1: values must be HU"
    for values, got in (
        (unit.astype(np.float32), "0 to 1"),
        (hu.astype(np.int32) + 1024, "24 to 1113"),
        (((hu - hu.mean()) / hu.std()).astype(np.float64), "-"),
        (np.clip(hu, -160, 240), "-160 to 89"),
        (np.clip(hu, -200, 300), "-200 to 89"),
    ):
        said = with_image(root, values)
        assert said.startswith(f"{rule}, with air below -200, but got {got}")
    assert with_image(root, (unit * 255).astype(np.uint8)).startswith(f"{rule}, but an image has 8")
    assert with_image(root, (unit * 90).astype(np.int8)).startswith(f"{rule}, but an image has 8")


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_every_voxel_must_have_a_number(root: Path, odd: float) -> None:
    values = material.voxels().astype(np.float32)
    values[3, 4, 5:7] = odd
    assert with_image(root, values) == (
        "file 1: every voxel must have a number, but 2 have none; export it again"
    )


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_hu_of_any_number_format_are_the_same(root: Path, dtype: Any) -> None:
    drawn = draw(6, dtype=dtype)
    values = sitk.GetArrayFromImage(drawn.ct)
    values[0, 0, 0], values[0, 0, 1] = -3024, 40000 if dtype is not np.int16 else 32767
    if values.dtype.kind == "f":
        values[0, 0, 2] = 40.4
    else:
        values[0, 0, 2] = 40
    material.pddca(root, 1, Drawn(like(values, drawn.ct), drawn.masks))
    scan = only(root)
    assert scan.hu.dtype == np.int16
    assert scan.hu[0, 0, :3].tolist() == [-1024, 32767, 40]
    np.testing.assert_array_equal(scan.hu[1:], material.voxels(6)[1:])


def with_mask(root: Path, values: NDArray[Any]) -> Path:
    drawn = draw()
    material.pddca(root, 1, drawn)
    return save(like(values, drawn.ct), next(root.rglob("Parotid_L.nrrd")))


def test_masks_must_have_two_values(root: Path) -> None:
    values = np.zeros(SHAPE, np.float32)
    values[LEFT] = 255
    with_mask(root, values)
    np.testing.assert_array_equal(only(root).masks["parotid_left"], filled(LEFT))
    for scale in (0.99998 / 255, 254.9995 / 255, 0.5, 1e-6):  # what a stored scale leaves
        with_mask(root, values * np.float32(scale))
        np.testing.assert_array_equal(only(root).masks["parotid_left"], filled(LEFT))
    with_mask(root, values / np.float32(255) - np.float32(2e-5))
    np.testing.assert_array_equal(only(root).masks["parotid_left"], filled(LEFT))
    values[4, 9, 20] = 0.5
    with_mask(root, values)
    assert reason(root) == (
        "file 2: a mask must have two values, 0 and another, but got 0.5 to 255 beside 0; a label "
        "map needs data.images.labels"
    )
    with_mask(root, np.ones(SHAPE, np.uint8))
    assert reason(root) == "file 2: a mask must leave voxels outside at 0, but none is"
    values[4, 9, 20] = np.nan
    with_mask(root, values)
    assert reason(root) == (
        "file 2: every voxel must have a number, but 1 have none; export it again"
    )


def test_label_maps_must_hold_whole_numbers(root: Path) -> None:
    drawn = draw()
    material.nnunet(root, 1, drawn)
    values = sitk.GetArrayFromImage(drawn.label_map()).astype(np.float32)
    path = root / "labelsTr" / "head_001.nii.gz"
    save(like(values, drawn.ct), path)
    assert set(only(root).masks) == {"parotid_left", "parotid_right"}
    values[0, 0, 0] = 5
    stored = nibabel.load(path)
    scaled = nibabel.Nifti1Image(values.transpose(2, 1, 0).astype(float), stored.affine)
    scaled.set_data_dtype(np.int16)  # with a slope, which moves all but the ends
    nibabel.save(scaled, path)
    assert set(np.unique(np.asarray(nibabel.load(path).dataobj))) & {1.0, 2.0} == set()
    assert {n: int(m.sum()) for n, m in only(root).masks.items()} == {
        "parotid_left": 100,
        "parotid_right": 140,
    }
    values[0, 0, 0] = 0.5
    save(like(values, drawn.ct), path)
    assert reason(root).endswith(
        "a label map must hold whole numbers, but got 0.5; export the labels unscaled"
    )


def test_empty_masks_are_not_contoured(root: Path) -> None:
    with_mask(root, np.zeros(SHAPE, np.uint8))
    scan = only(root)
    assert list(scan.masks) == ["parotid_right"]
    assert scan.notes == ("parotid_left is not contoured",)
    next(root.rglob("Parotid_R.nrrd")).unlink()
    assert reason(root) == ("masks must have voxels, but those of all wanted structures are empty")


def test_two_masks_of_one_structure(root: Path) -> None:
    drawn = draw(boxes={"Parotid_L": LEFT, "left parotid": LEFT})
    material.pddca(root, 1, drawn)
    assert reason(root) == (
        "one mask must match parotid_left, but got 'Parotid_L' (file 2), 'left parotid' (file 3); "
        "narrow data.patterns.parotid_left, or leave one"
    )
    empty = like(np.zeros(SHAPE, np.uint8), drawn.ct)
    save(empty, next(root.rglob("left parotid.nrrd")))
    assert list(only(root).masks) == ["parotid_left"]


def test_no_wanted_mask_lists_what_is_there(root: Path) -> None:
    material.pddca(root, 1, draw(boxes={"Cord": LEFT, "BrainStem": RIGHT}))
    [excluded] = read_all(root)
    assert isinstance(excluded, Excluded)
    assert excluded.reason == (
        "parotid_left, parotid_right must have masks, but got 'BrainStem', 'Cord'; see "
        "data.patterns"
    )
    assert sorted(excluded.labels) == ["BrainStem", "Cord"]
