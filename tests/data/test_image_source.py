"""Source `images`: one patient in every layout, geometry against SimpleITK, what is refused."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import image_material as material
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from image_material import BOTH, LAYOUTS, LEFT, ORIGIN, RIGHT, SHAPE, Drawn, draw, like, save
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from harness.base.errors import DataError
from harness.config.data import DataConfig
from harness.data.phantom import make_anatomy
from harness.data.scan import Excluded, Scan
from harness.data.sources.images import ImageFolder
from harness.work.sources import make_source

OBLIQUE = Rotation.from_euler("xyz", (14, -9, 25), degrees=True).as_matrix()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "in"


def source(root: Path, **data: Any) -> ImageFolder:
    config = DataConfig(source="images", root=str(root), **data)
    made = make_source(config, root.parent / "work")
    assert isinstance(made, ImageFolder)
    return made


def read_all(root: Path, **data: Any) -> list[Scan | Excluded]:
    there = source(root, **data)
    return [there.read(reference) for reference in there.patients()]


def only(root: Path, **data: Any) -> Scan:
    [scan] = read_all(root, **data)
    assert isinstance(scan, Scan), scan
    return scan


def reason(root: Path, **data: Any) -> str:
    [excluded] = read_all(root, **data)
    assert isinstance(excluded, Excluded), excluded
    return excluded.reason


def filled(box: tuple[slice, slice, slice]) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, np.bool_)
    mask[box] = True
    return mask


# --- layouts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("named", [False, True])
def test_each_layout_is_recognised(root: Path, layout: str, named: bool) -> None:
    for number in range(3):
        LAYOUTS[layout](root, number, draw(number))
    scans = read_all(root, images={"layout": layout if named else "auto"})
    assert len(scans) == 3
    seen = set()
    for scan in scans:
        assert isinstance(scan, Scan), scan
        [number] = [n for n in range(3) if (scan.hu == material.voxels(n)).all()]
        seen.add(number)
        np.testing.assert_array_equal(scan.masks["parotid_left"], filled(LEFT))
        np.testing.assert_array_equal(scan.masks["parotid_right"], filled(RIGHT))
        assert scan.spacing_mm == pytest.approx(material.SIZE_MM)
        assert scan.notes == ()
        assert scan.role is None
    assert seen == {0, 1, 2}


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE], ids=["axial", "oblique"])
def test_one_patient_is_the_same_in_all_layouts(
    tmp_path: Path, direction: NDArray[np.float64]
) -> None:
    scans = {}
    for layout, write in LAYOUTS.items():
        write(tmp_path / layout / "in", 7, draw(7, direction=direction))
        scans[layout] = only(tmp_path / layout / "in")
    assert len({scan.content_digest() for scan in scans.values()}) == 1
    first = scans["pddca"]
    for scan in scans.values():
        np.testing.assert_array_equal(scan.hu, first.hu)
        assert {n: int(m.sum()) for n, m in scan.masks.items()} == {
            "parotid_left": 100,
            "parotid_right": 140,
        }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_another_layout_than_the_named_one_is_an_error(root: Path, layout: str) -> None:
    LAYOUTS[layout](root, 1, draw())
    other = "pddca" if layout != "pddca" else "han-seg"
    with pytest.raises(
        DataError,
        match=r"^data\.root must hold images and masks in the layout that data\.images\.layout "
        rf"says \('{other}'\), but got [1-4] NRRD or NIfTI files without; see docs/own-data\.md$",
    ):
        source(root, images={"layout": other}).patients()


def test_nobody_there(root: Path) -> None:
    with pytest.raises(DataError, match=r"^data\.root must be a folder of NRRD or NIfTI files"):
        source(root)
    root.mkdir()
    (root / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match="but got no NRRD or NIfTI files"):
        source(root).patients()


def test_deepmind_without_ct_and_with_two_observers(root: Path) -> None:
    material.deepmind(root, 1, draw(1)).unlink()
    material.deepmind(root, 2, draw(2))
    swapped = draw(2, {"Parotid_L": RIGHT})
    material.deepmind(root, 2, swapped, "radiographer").unlink()  # the CT is there once
    scans = read_all(root)
    [without] = [scan for scan in scans if isinstance(scan, Excluded)]
    assert without.reason.startswith(
        "a scan must have a CT image with its masks, but there is none"
    )
    assert sorted(without.labels) == ["Parotid-Lt", "Parotid-Rt"]
    [scan] = [scan for scan in scans if isinstance(scan, Scan)]
    np.testing.assert_array_equal(scan.masks["parotid_left"], filled(LEFT))
    scan = only(root, images={"observer": "radiographer"})
    np.testing.assert_array_equal(scan.masks["parotid_left"], filled(RIGHT))
    assert scan.notes == ("parotid_right is not contoured",)


def test_nnunet_of_the_first_version_regions_and_channels(root: Path) -> None:
    drawn = draw(4)
    ct = material.nnunet(root, 1, drawn)
    ct.rename(ct.with_name("head_001_0001.nii.gz"))
    save(like(material.voxels(9), drawn.ct), root / "imagesTr" / "head_001_0000.nii.gz")
    described = {
        "modality": {"0": "MR", "1": "CT"},
        "labels": {"0": "background", "2": "Parotid_L"},
    }
    (root / "dataset.json").write_text(json.dumps(described))
    scan = only(root)
    np.testing.assert_array_equal(scan.hu, material.voxels(4))
    np.testing.assert_array_equal(scan.masks["parotid_left"], filled(RIGHT))
    described["labels"] = {"background": 0, "both": [1, 2], "ignore": 3}  # type: ignore[assignment]
    (root / "dataset.json").write_text(json.dumps(described))
    scan = only(root, structures=("both",))
    np.testing.assert_array_equal(scan.masks["both"], filled(LEFT) | filled(RIGHT))
    assert scan.labels == ("both",)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"labels": {"a": "b"}}', '{"labels": {"a": {}}}']
)
def test_an_unusable_dataset_json_is_an_error(root: Path, text: str) -> None:
    material.nnunet(root, 1, draw())
    (root / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=r"^dataset\.json must give names and values of its labels"):
        source(root).patients()


def test_nnunet_case_without_labels_or_image(root: Path) -> None:
    material.nnunet(root, 1, draw(1))
    material.nnunet(root, 2, draw(2)).unlink()
    material.nnunet(root, 3, draw(3))
    (root / "labelsTr" / "head_003.nii.gz").unlink()
    reasons = sorted(s.reason for s in read_all(root) if isinstance(s, Excluded))
    assert reasons[0].startswith("a scan must have a CT image")
    assert reasons[1].startswith("parotid_left, parotid_right must have masks, but got no mask")


def test_folders_find_the_nearest_image(root: Path) -> None:
    """Images and masks in folders of their own, beside each other, or one level deeper."""
    one, two, three = draw(1), draw(2), draw(3)
    save(one.ct, root / "a" / "P1" / "images" / "CT.nii.gz")
    save(two.ct, root / "a" / "P2" / "P2_image.nrrd")
    save(three.ct, root / "b" / "P3" / "scan1" / "img.nrrd")
    for name in BOTH:
        save(one.masks[name], root / "a" / "P1" / "masks" / f"{name}.nii.gz")
        save(two.masks[name], root / "a" / "P2" / f"P2-{name}.nrrd")
        save(three.masks[name], root / "b" / "P3" / "scan1" / "deep" / f"{name}.nii")
        save(three.masks[name], root / "b" / "P4" / f"{name}.nii")  # has no image
    scans = read_all(root)
    found = [scan for scan in scans if isinstance(scan, Scan)]
    assert sorted(int(s.hu[4, 10, 13]) for s in found) == sorted(
        int(material.voxels(n)[4, 10, 13]) for n in (1, 2, 3)
    )
    assert all(scan.labels == ("Parotid_L", "Parotid_R") for scan in found)
    [without] = [scan for scan in scans if isinstance(scan, Excluded)]
    assert without.reason.startswith("a scan must have a CT image with its masks")


def test_folders_with_two_images(root: Path) -> None:
    material.folders(root, 1, draw(1))
    save(draw(2).ct, root / "P1" / "image.nrrd")
    material.folders(root, 2, draw(2))
    scans = read_all(root)
    assert [s.reason for s in scans if isinstance(s, Excluded)] == [
        "one file of a patient must match data.images.image, but got 2 (files 1, 2); narrow the "
        "pattern"
    ]
    images = {"image": "^ct$", "layout": "folders"}
    assert sum(isinstance(s, Scan) for s in read_all(root, images=images)) == 2


def test_label_maps_with_names(root: Path) -> None:
    drawn = draw(3)
    save(drawn.ct, root / "P1" / "ct.nrrd")
    save(drawn.label_map(), root / "P1" / "anything.nii.gz")
    images = {"labels": {"parotid_left": 1, "parotid_right": 2, "cord": 9}}
    scan = only(root, images=images)
    np.testing.assert_array_equal(scan.masks["parotid_left"], filled(LEFT))
    np.testing.assert_array_equal(scan.masks["parotid_right"], filled(RIGHT))
    save(drawn.masks["Parotid_L"], root / "P1" / "dose.nii.gz")
    assert reason(root, images=images) == (
        "one label map must lie beside the image where data.images.labels is given, but got 0 "
        "among 2 files; name it 'labels'"
    )
    os.rename(root / "P1" / "anything.nii.gz", root / "P1" / "P1_labels.nii.gz")
    assert set(only(root, images=images).masks) == {"parotid_left", "parotid_right"}
    assert reason(root).startswith("parotid_left, parotid_right must have masks, but got 'dose'")


def test_a_structure_of_its_own_name_needs_no_pattern(root: Path) -> None:
    save(draw().ct, root / "P1" / "ct.nrrd")
    save(draw().masks["Parotid_L"], root / "P1" / "gland.nrrd")
    scan = only(root, structures=("gland",), patterns={"gland": ("^X$",)})
    np.testing.assert_array_equal(scan.masks["gland"], filled(LEFT))


def test_usual_names_are_known(root: Path) -> None:
    """Names of the collections, for structures without patterns."""
    names = {
        "pddca": ("BrainStem", "Chiasm", "Mandible", "OpticNerve_L", "Submandibular_R"),
        "han-seg": ("Brainstem", "OpticChiasm", "Bone_Mandible", "OpticNrv_L", "Glnd_Submand_R"),
    }
    wanted = ("brainstem", "optic_chiasm", "mandible", "optic_nerve_left", "submandibular_right")
    for layout, there in names.items():
        LAYOUTS[layout](root / layout, 1, draw(boxes=dict.fromkeys(there, LEFT)))
        assert tuple(only(root / layout, structures=wanted).masks) == wanted


# --- geometry -----------------------------------------------------------------------------------


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


def respaced(image: sitk.Image) -> sitk.Image:
    made = sitk.Image(image)
    made.SetSpacing((1.25, 1.5, 3.01))
    return made


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda mask: shifted(mask, 0.01), "it lies up to 0.01 mm beside it"),
        (respaced, "it lies up to 0.08 mm beside it"),
        (
            lambda mask: mask[1:, :, :],
            "it has 9 x 20 x 25 voxels where the image has 9 x 20 x 26",
        ),
    ],
)
def test_a_mask_on_another_grid_is_refused(
    root: Path, change: Callable[[sitk.Image], sitk.Image], words: str
) -> None:
    drawn = draw()
    save(drawn.ct, root / "P1" / "ct.nrrd")
    save(change(drawn.masks["Parotid_L"]), root / "P1" / "Parotid_L.nrrd")
    assert reason(root) == (
        f"file 1: a mask must lie on the grid of its image, but {words}; resample it onto the image"
    )


def test_a_mask_within_a_thousandth_of_a_millimetre_is_taken(root: Path) -> None:
    drawn = draw()
    save(drawn.ct, root / "P1" / "ct.nrrd")
    save(shifted(drawn.masks["Parotid_L"], 0.0009), root / "P1" / "Parotid_L.nrrd")
    np.testing.assert_array_equal(only(root).masks["parotid_left"], filled(LEFT))


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
    ):
        said = with_image(root, values)
        assert said.startswith(f"{rule}, with air below -200, but got {got}")
    assert with_image(root, (unit * 255).astype(np.uint8)).startswith(f"{rule}, but an image has 8")
    assert with_image(root, (unit * 90).astype(np.int8)).startswith(f"{rule}, but an image has 8")


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_every_voxel_must_have_a_number(root: Path, odd: float) -> None:
    values = material.voxels().astype(np.float32)
    values[3, 4, 5:7] = odd
    assert with_image(root, values) == "file 1: every voxel must have a number, but 2 have none"


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
    assert reason(root) == "file 2: every voxel must have a number, but 1 have none"


def test_label_maps_must_hold_whole_numbers(root: Path) -> None:
    drawn = draw()
    material.nnunet(root, 1, drawn)
    values = sitk.GetArrayFromImage(drawn.label_map()).astype(np.float32)
    path = root / "labelsTr" / "head_001.nii.gz"
    save(like(values, drawn.ct), path)
    assert set(only(root).masks) == {"parotid_left", "parotid_right"}
    values[0, 0, 0] = 0.5
    save(like(values, drawn.ct), path)
    assert reason(root).endswith("a label map must hold whole numbers, but one does not")


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
        "one mask must match parotid_left, but got 'Parotid_L', 'left parotid'; narrow "
        "data.patterns.parotid_left"
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


# --- people -------------------------------------------------------------------------------------


def test_two_scans_of_one_person_are_one_patient(root: Path) -> None:
    """The scan with most structures is read, so nobody can train and test at once."""
    one = {"Parotid_L": LEFT}
    scanned = (("0727a", 1, one), ("0727b", 2, BOTH), ("0727c", 4, one), ("1", 3, BOTH))
    for name, seed, boxes in scanned:
        drawn = draw(seed, boxes)
        save(drawn.ct, root / name / "ct.nrrd")
        for structure, mask in drawn.masks.items():
            save(mask, root / name / f"{structure}.nrrd")
    assert len(source(root).patients()) == 4
    images = {"patient_pattern": r"^(\d+)[abc]?$"}
    scans = read_all(root, images=images)
    [twice] = [s for s in scans if isinstance(s, Scan) and s.notes]
    assert len(scans) == 2
    np.testing.assert_array_equal(twice.hu, material.voxels(2))
    assert twice.notes == ("3 scans of this patient; the one with most structures is used",)
    (root / "0727b" / "ct.nrrd").write_bytes(b"NRRD0004\n")
    [twice] = [s for s in read_all(root, images=images) if isinstance(s, Scan) and len(s.notes) > 1]
    np.testing.assert_array_equal(twice.hu, material.voxels(1))
    assert twice.notes[1].startswith("a scan is not used: file 5: a volume must")
    assert twice.notes[2].startswith("3 scans of this patient")


def test_patterns_of_the_config_are_checked() -> None:
    for images in (
        {"image": "("},
        {"patient_pattern": "["},
        {"patient_pattern": "no group"},
        {"patient_pattern": "(two)(groups)"},
        {"labels": {"a": 0}},
        {"layout": "other"},
    ):
        with pytest.raises(ValidationError):
            DataConfig(source="images", root="x", images=images)


def test_one_bad_patient_never_stops_the_rest(root: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(6):
        path = material.pddca(root, number, draw(number))
        whole = path.read_bytes()
        if number == 1:
            path.write_bytes(whole[: len(whole) // 2])
        if number == 2:
            path.write_bytes(rng.bytes(4000))
        if number == 3:
            path.unlink()
            path.symlink_to(root / "nowhere.nrrd")
        if number == 4:
            os.chmod(next(path.parent.rglob("Parotid_L.nrrd")), 0)
            next(path.parent.rglob("Parotid_R.nrrd")).write_bytes(b"")
    os.mkfifo(root / "0522c0005" / "structures" / "Cord.nrrd")  # reading would wait for ever
    scans = read_all(root)
    assert len(scans) == 6
    assert sum(isinstance(scan, Scan) for scan in scans) == 2


def test_signatures_follow_what_is_read(root: Path) -> None:
    path = material.pddca(root, 5, draw(5))
    mask = next(root.rglob("Parotid_L.nrrd"))

    def sign(**images: Any) -> str:
        [reference] = [r for r in source(root, images=images).patients() if r.location[0].image]
        return reference.signature

    first = sign()
    material.pddca(root, 1, draw(1)).unlink()  # somebody else's files move no signature
    assert sign() == first
    seen = {first}
    for changed in (path, mask):
        os.utime(changed, ns=(1, 1))
        seen.add(sign())
    mask.unlink()
    seen.add(sign())
    assert len(seen) == 4
    one = sign(layout="folders", image="^img$", labels={"parotid_left": 1})
    assert one != sign(layout="folders", image="^img$", labels={"parotid_left": 2})


# --- privacy ------------------------------------------------------------------------------------

PLANTED = "Wintermute"


def test_names_stay_in_the_private_folder(root: Path) -> None:
    """Folders, files and NRRD headers are named after people, and everything goes wrong."""
    good, bad = draw(1), draw(2)
    for person, drawn in ((f"{PLANTED}_1", good), (f"{PLANTED}_2", bad)):
        for image in (drawn.ct, *drawn.masks.values()):
            image.SetMetaData("patient", PLANTED)
        save(drawn.ct, root / person / f"{person}_ct.nrrd")
        for name, mask in drawn.masks.items():
            save(mask, root / person / f"{person}_{name}.nrrd")
    failures: list[Callable[[Path], object]] = [
        lambda path: path.write_bytes(path.read_bytes()[:700]),
        lambda path: path.write_text(PLANTED),
        lambda path: path.write_text(f"NRRD0004\nspace: {PLANTED}\n{PLANTED}\n"),
        lambda path: path.write_bytes(
            path.read_bytes().replace(b"left-posterior-superior", PLANTED.encode())
        ),
        lambda path: save(like(np.zeros(SHAPE, np.uint8), bad.ct), path),
        lambda path: path.unlink(),
    ]
    for name in (f"{PLANTED}_2_Parotid_L.nrrd", f"{PLANTED}_2_ct.nrrd"):
        path = root / f"{PLANTED}_2" / name
        whole = path.read_bytes()
        for fail in failures:
            fail(path)
            there = source(root)
            said = []
            for reference in there.patients():
                scan = there.read(reference)
                said.append(repr(reference))
                said.append(
                    scan.reason if isinstance(scan, Excluded) else str([scan.notes, scan.patient])
                )
                assert re.fullmatch(r"p-[0-9a-f]{8}", scan.patient)
                said += scan.labels
            assert not [text for text in said if PLANTED.lower() in text.lower()]
            assert str(root) not in " ".join(said)
            path.write_bytes(whole)
    private = root.parent / "work" / "private" / "images"
    source(root).patients()
    kept = json.loads((private / "files.json").read_text())
    assert sorted(map(int, kept["files"])) == [1, 2, 3, 4, 5, 6]
    assert kept["files"]["1"].endswith(f"{PLANTED}_1_Parotid_L.nrrd")
    assert sorted(kept["patients"].values()) == [f"{PLANTED}_1", f"{PLANTED}_2"]
    assert {path.name for path in private.iterdir()} == {"key", "files.json"}
    for path in private.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


# --- the other way round ------------------------------------------------------------------------


def test_what_inspect_writes_of_dicom_is_read_as_the_same_patient(tmp_path: Path) -> None:
    """Its folders are `folders`; a phantom is one patient as DICOM and as files."""
    from harness.base.console import Console
    from harness.workflow.inspect import inspect

    small = {"patients": 1, "slices": 12, "spacing_mm": (4.0, 3.0, 3.0)}
    phantom = make_source(DataConfig(phantom=small), tmp_path / "phantom")  # type: ignore[arg-type]
    [reference] = phantom.patients()
    dicom = phantom.read(reference)
    assert isinstance(dicom, Scan)
    [patients] = (tmp_path / "phantom" / "private" / "phantom" / "patients").iterdir()
    for kind in ("nifti", "nrrd"):
        out = tmp_path / kind / "in"
        inspect(patients, (), {}, Console(quiet=True), tmp_path / "key", out, kind)
        scan = only(out)
        assert scan.content_digest() == dicom.content_digest()
        assert set(scan.labels) >= {"mandible", "spinal_cord"} or len(scan.labels) > 2


# --- preparing ----------------------------------------------------------------------------------


def test_six_phantoms_are_prepared(tmp_path: Path) -> None:
    from harness.base.console import Console
    from harness.config.experiment import Experiment
    from harness.workflow.session import Session
    from harness.workflow.steps import prepare

    volumes = []
    for number in range(6):
        anatomy = make_anatomy(3, number, 14, (4.0, 3.0, 3.0))
        image = sitk.GetImageFromArray(anatomy.hu)
        image.SetSpacing((3.0, 3.0, 4.0))
        lattice = anatomy.lattice
        image.SetOrigin((float(lattice.x[0]), float(lattice.y[0]), float(lattice.z[0])))
        names = {"parotid_left": "Parotid_L", "parotid_right": "Parotid_R"}
        masks = {names[n]: like(m.astype(np.uint8), image) for n, m in anatomy.masks().items()}
        volumes.append(sum(int(sitk.GetArrayFromImage(m).sum()) for m in masks.values()))
        material.pddca(tmp_path / "in", number, Drawn(image, masks))
    experiment = Experiment.model_validate(
        {
            "name": "images",
            "tracking": {"enabled": False},
            "data": {"source": "images", "root": str(tmp_path / "in"), "spacing_mm": 3.0,
                     "crop": {"frame_px": 64, "mask_px": 32}},
        }
    )  # fmt: skip
    work = tmp_path / "work"
    with Session(experiment, work, Console(quiet=True), engine="inline").open() as session:
        values = prepare(session)
    assert sum(values["patients"].values()) == 6
    assert set(values["patients"]) == {"train", "validation", "test"}
    assert min(entry["with gland"] for entry in values["pairs"].values()) > 0
    assert all(volume > 0 for volume in volumes)
    for path in work.rglob("*"):
        if path.is_file() and work / "private" not in path.parents:
            assert b"0522c" not in path.read_bytes(), path


# --- real masks ---------------------------------------------------------------------------------

REAL = Path(os.environ.get("HARNESS_TEST_DATA", "")) / "deepmind-parotids"


real = [
    pytest.mark.realdata,
    pytest.mark.skipif(
        "HARNESS_TEST_DATA" not in os.environ or not REAL.is_dir(),
        reason="needs deepmind-parotids/ in the folder that HARNESS_TEST_DATA names",
    ),
]


def with_marks(test: Callable[..., None]) -> Callable[..., None]:
    for mark in real:
        test = mark(test)
    return test


@with_marks
def test_real_masks_without_ct_are_excluded_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "in").symlink_to(REAL)
    scans = read_all(tmp_path / "in")
    assert len(scans) == len(list(REAL.glob("nrrds/*/oncologist/*"))) > 30
    assert all(s.reason.startswith("a scan must have") for s in scans if isinstance(s, Excluded))
    assert not any(isinstance(scan, Scan) for scan in scans)
    images = {"patient_pattern": r"^\w+/(.*?)[ab]?$"}  # 0522c0727a and b are one person
    assert len(read_all(tmp_path / "in", images=images)) == len(scans) - 1


@with_marks
@pytest.mark.parametrize("observer", ["oncologist", "radiographer"])
def test_real_glands_are_as_large_as_simpleitk_counts(root: Path, observer: str) -> None:
    """With a made CT in the masks' geometry; every twelfth scan."""
    expected: dict[str, dict[str, float]] = {}
    for folder in sorted(REAL.glob(f"nrrds/*/{observer}/*"))[1::12]:
        copy = root / folder.relative_to(REAL)
        (copy / "segmentations").mkdir(parents=True)
        volumes = expected.setdefault("/".join(folder.parts[-3::2]), {})
        for path in sorted((folder / "segmentations").glob("*.nrrd")):
            (copy / "segmentations" / path.name).symlink_to(path)
            mask = sitk.ReadImage(str(path))
            side = "parotid_left" if "Lt" in path.name else "parotid_right"
            voxels = int(sitk.GetArrayViewFromImage(mask).sum(dtype=np.int64))
            volumes[side] = voxels * float(np.prod(mask.GetSpacing())) / 1000
        sitk.WriteImage(sitk.Cast(mask, sitk.sitkInt16) * 1030 - 1000, str(copy / "CT_IMAGE.nrrd"))
    there = source(root, images={"observer": observer})
    references = there.patients()
    assert len(references) == len(expected) >= 3
    for reference in references:
        scan = there.read(reference)
        assert isinstance(scan, Scan), scan
        voxel_ml = abs(float(np.linalg.det(scan.affine[:3, :3]))) / 1000
        found = {name: float(mask.sum()) * voxel_ml for name, mask in scan.masks.items()}
        assert found == pytest.approx(expected[reference.location[0].identity], rel=1e-6)
        assert all(5 < volume < 70 for volume in found.values()), found  # ml of a parotid
        left, right = (
            np.argwhere(scan.masks[f"parotid_{s}"])[:, 2].mean() for s in ("left", "right")
        )
        assert left > right, "columns run to the patient's left"
