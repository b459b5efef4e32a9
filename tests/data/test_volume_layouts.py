"""Layouts of NRRD and NIfTI collections: which image, which masks, whose."""

from __future__ import annotations

import json
import os
from pathlib import Path

import factories.image as material
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from factories.image import (
    BOTH,
    LAYOUTS,
    LEFT,
    OBLIQUE,
    RIGHT,
    draw,
    filled,
    like,
    only,
    read_all,
    reason,
    save,
    source,
)
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.data.scan import Excluded, Scan


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
        rf"says \('{other}'\), but got [1-4] NRRD, NIfTI or MetaImage files in another"
        r"(, and 1 \.json file)?; see docs/own-data\.md$",
    ):
        source(root, images={"layout": other}).patients()


def test_nobody_there(root: Path) -> None:
    with pytest.raises(
        DataError, match=r"^data\.root must be a folder of NRRD, NIfTI or MetaImage"
    ):
        source(root.parent / "elsewhere")
    for name in [*(f"{n}.dcm" for n in range(40)), "notes.txt", "Mueller.Hans", ".hidden.dcm"]:
        (root / name).write_text("nothing")
    with pytest.raises(DataError) as caught:
        source(root).patients()
    assert str(caught.value) == (
        "data.root must hold images and masks in the layout that data.images.layout says ('auto'), "
        "but got no NRRD, NIfTI or MetaImage files, and 40 .dcm files, which source `dicom` "
        "reads, and 1 .txt file, and 1 file of another kind; see docs/own-data.md"
    )


def test_files_of_other_kinds_are_counted_where_an_image_or_a_mask_lacks(root: Path) -> None:
    """Those in the patient's folder and below; the voxels of headers are none."""
    drawn = draw()
    save(drawn.ct, root / "P1" / "images" / "ct.mhd")
    save(drawn.masks["Parotid_L"], root / "P2" / "masks" / "Parotid_L.nhdr")
    others = ("P1/dicom/1.2.840.dcm", "P2/scan.zip", "P2/masks/Parotid_R.nii.gz.part", "x.xlsx")
    for other in others:
        (root / other).parent.mkdir(exist_ok=True)
        (root / other).write_text("")
    reasons = [scan.reason for scan in read_all(root) if isinstance(scan, Excluded)]
    assert sorted(reasons) == [
        "a scan must have a CT image with its masks, but there is none, and 1 .zip file, and 1 "
        ".nii.gz.part file; add it under the name that its layout gives it (docs/own-data.md)",
        "parotid_left, parotid_right must have masks, but got no mask beside the image, and 1 .dcm "
        "file, which source `dicom` reads",
    ]


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


def test_a_dataset_json_of_windows(root: Path) -> None:
    material.nnunet(root, 1, draw())
    path = root / "dataset.json"
    path.write_text("\ufeff" + path.read_text())
    assert set(only(root).masks) == {"parotid_left", "parotid_right"}


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
        "one file of a patient must be its image, but got 2 (files 1, 2); narrow "
        "data.images.image, or move the others away"
    ]
    images = {"image": "^ct$", "layout": "folders"}
    assert sum(isinstance(s, Scan) for s in read_all(root, images=images)) == 2


def test_two_images_under_one_name(root: Path) -> None:
    """Of two files one would be read, and nobody said which."""
    for layout, write in LAYOUTS.items():
        written = write(root / layout, 1, draw(1))
        save(draw(2).ct, written.with_name(written.name.split(".")[0] + ".mha"))
        assert reason(root / layout).startswith(
            "one file of a patient must be its image, but got 2 (files "
        ), layout


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
        "among 2 files; name it `labels`"
    )
    os.rename(root / "P1" / "anything.nii.gz", root / "P1" / "P1_labels.nii.gz")
    assert set(only(root, images=images).masks) == {"parotid_left", "parotid_right"}
    assert reason(root).startswith("parotid_left, parotid_right must have masks, but got 'dose'")


def test_a_segmentation_is_no_image_and_its_names_are_no_labels(root: Path) -> None:
    """Slicer numbers segments in the order in which they were made."""
    drawn = draw()
    layers = np.stack([2 * sitk.GetArrayFromImage(drawn.masks["Parotid_L"])])
    layers += sitk.GetArrayFromImage(drawn.masks["Parotid_R"])
    save(drawn.ct, root / "P1" / "ct.nrrd")
    segments = [("Parotid_R", 0, 1), ("Parotid_L", 0, 2)]
    material.seg_nrrd(root / "P1" / "ct.seg.nrrd", layers, drawn.ct, segments)
    np.testing.assert_array_equal(only(root).masks["parotid_left"], filled(LEFT))
    said = reason(root, images={"labels": {"parotid_left": 1, "parotid_right": 2}})
    assert said == (
        "file 2: a segmentation that names its segments must not have labels as well, for both may "
        "differ; leave data.images.labels out"
    )


def test_names_of_several_folders_may_stand_in_front(root: Path) -> None:
    for n, name in enumerate(("P1_2020_Parotid_L", "2020_P1_Parotid_L", "P1_Parotid_L")):
        save(draw().ct, root / str(n) / "P1" / "2020" / "ct.nrrd")
        save(draw().masks["Parotid_L"], root / str(n) / "P1" / "2020" / f"{name}.nrrd")
    assert [list(scan.masks) for scan in read_all(root)] == [["parotid_left"]] * 3


def test_a_mask_named_after_its_patient_names_nobody(root: Path) -> None:
    save(draw().ct, root / "Wintermute" / "ct.nrrd")
    save(draw().masks["Parotid_L"], root / "Wintermute" / "WINTERMUTE.nrrd")
    assert "must have masks, but got 'mask'" in reason(root)


def test_links_to_folders_are_followed_once(root: Path) -> None:
    """A patient elsewhere, one that is there already, the folder itself, and one that it is in."""
    material.folders(root, 1, draw(1))
    material.folders(root.parent / "elsewhere", 2, draw(2))
    [real] = root.iterdir()
    [far] = (root.parent / "elsewhere").iterdir()
    (root / far.name).symlink_to(far)
    (root / "0").symlink_to(real)
    (real / "self").symlink_to(real)
    (real / "up").symlink_to(root.parent)
    scans = read_all(root)
    assert [type(scan) for scan in scans] == [Scan, Scan]
    [listed] = (root.parent / "work").rglob("files.json")
    assert sorted(json.loads(listed.read_text())["patients"].values()) == [real.name, far.name]


def test_links_to_nowhere_are_said(root: Path) -> None:
    material.folders(root, 1, draw(1))
    (root / "P9").symlink_to(root.parent / "not mounted")
    with pytest.raises(DataError, match=r"^every link below data\.root must lead to a file or"):
        source(root)


def test_a_structure_of_its_own_name_needs_no_pattern(root: Path) -> None:
    save(draw().ct, root / "P1" / "ct.nrrd")
    save(draw().masks["Parotid_L"], root / "P1" / "structure.nrrd")
    scan = only(root, structures=("structure",), patterns={"structure": ("^X$",)})
    np.testing.assert_array_equal(scan.masks["structure"], filled(LEFT))


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
