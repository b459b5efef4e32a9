"""The OpenKBP reader on a hand-made patient: axes, values, and every fault in one sentence."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.config.choices import SOURCES
from harness.config.data import DataConfig
from harness.data.scan import Excluded, Scan
from harness.data.sources.openkbp import OpenKbp

EDGE = 128
STRUCTURES = ("parotid_left", "parotid_right")
# Stored axes: front to back, right to left, head to foot.
BODY = np.s_[44:60, 44:84, 12:30]
NOSE = (44, 64, 25)
LEFT = np.s_[50:58, 76:82, 15:25]
RIGHT = np.s_[50:58, 46:52, 15:27]


def write_csv(path: Path, indices: NDArray[np.intp], values: NDArray[np.float64] | None) -> None:
    """Header, then `index,value`; contours leave the value empty, as upstream does."""
    texts = [""] * len(indices) if values is None else [f"{value}" for value in values]
    lines = [",data", *(f"{i},{text}" for i, text in zip(indices, texts, strict=True))]
    path.write_text("\n".join(lines) + "\n")


def stored_ct() -> NDArray[np.int64]:
    """Values of HU + 1024; 0 is outside."""
    made = np.zeros((EDGE,) * 3, np.int64)
    made[BODY] = 1044
    made[NOSE] = 1500
    return made


def write_patient(folder: Path, spacing: str = "4.1\n3.9\n2.5\n") -> Path:
    folder.mkdir(parents=True)
    ct = stored_ct()
    where = np.flatnonzero(ct)
    write_csv(folder / "ct.csv", where, ct.ravel()[where])
    for name, place in (("LeftParotid", LEFT), ("RightParotid", RIGHT)):
        mask = np.zeros((EDGE,) * 3, bool)
        mask[place] = True
        write_csv(folder / f"{name}.csv", np.flatnonzero(mask), None)
    (folder / "voxel_dimensions.csv").write_text(spacing)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_patient(tmp_path / "provided-data" / "train-pats" / "pt_1")
    return tmp_path


@pytest.fixture
def folder(root: Path) -> Path:
    return root / "provided-data" / "train-pats" / "pt_1"


def read(root: Path, structures: tuple[str, ...] = STRUCTURES) -> Scan | Excluded:
    source = OpenKbp(root, structures)
    [reference] = source.patients()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return source.read(reference)


def scan_of(root: Path, structures: tuple[str, ...] = STRUCTURES) -> Scan:
    found = read(root, structures)
    assert isinstance(found, Scan), found
    return found


def reason(root: Path) -> str:
    found = read(root)
    assert isinstance(found, Excluded)
    assert found.patient == "pt_1"
    return found.reason


def test_axes_and_values(root: Path) -> None:
    scan = scan_of(root)
    assert (scan.patient, scan.role, scan.notes) == ("pt_1", "train", ())
    assert (scan.hu.dtype, scan.hu.shape) == (np.int16, (EDGE,) * 3)
    # Slices foot to head: the stored head-foot axis backwards; rows and columns as stored.
    nose = (EDGE - 1 - NOSE[2], NOSE[0], NOSE[1])
    assert scan.hu[nose] == 476
    assert (scan.hu == 476).sum() == 1
    assert (scan.hu == 20).sum() == 16 * 40 * 18 - 1
    assert (scan.hu == -1024).sum() == EDGE**3 - 16 * 40 * 18
    left, right = (np.argwhere(scan.masks[name]) for name in STRUCTURES)
    assert (left.min(0).tolist(), left.max(0).tolist()) == ([103, 50, 76], [112, 57, 81])
    assert (right.min(0).tolist(), right.max(0).tolist()) == ([101, 50, 46], [112, 57, 51])


def test_millimetres(root: Path) -> None:
    """Stored sizes are front-back, left-right, head-foot; the affine maps to left, back, head."""
    scan = scan_of(root)
    assert scan.spacing_mm == (2.5, 4.1, 3.9)
    assert (scan.affine @ [2, 3, 5, 1]).tolist() == pytest.approx([5 * 3.9, 3 * 4.1, 2 * 2.5, 1])


def test_a_structure_without_a_file_is_noted(root: Path, folder: Path) -> None:
    (folder / "LeftParotid.csv").unlink()
    scan = scan_of(root)
    assert list(scan.masks) == ["parotid_right"]
    assert scan.notes == ("parotid_left is not contoured",)


@pytest.mark.parametrize("content", [",data\n", ",data\n\n\n"])
def test_an_empty_structure_file_is_the_same(root: Path, folder: Path, content: str) -> None:
    (folder / "LeftParotid.csv").write_text(content)
    assert scan_of(root).notes == ("parotid_left is not contoured",)


def test_a_structure_partly_off_the_ct_is_noted(root: Path, folder: Path) -> None:
    inside = np.flatnonzero(stored_ct())[:8]
    write_csv(folder / "LeftParotid.csv", np.array([0, 1, *inside]), None)
    assert scan_of(root).notes == ("20 % of parotid_left lies where the CT has no value",)


def test_a_patient_without_any_wanted_structure_is_excluded(root: Path, folder: Path) -> None:
    for name in ("LeftParotid", "RightParotid"):
        (folder / f"{name}.csv").unlink()
    assert reason(root) == "none of the wanted structures is contoured"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("ct.csv", None, "ct.csv is missing"),
        ("voxel_dimensions.csv", None, "voxel_dimensions.csv is missing"),
        ("ct.csv", "", "ct.csv does not begin with the line ',data'"),
        ("ct.csv", ",data\n5,1000\n6,10", "ct.csv is cut off in its last line"),
        ("ct.csv", ",data\n5,1000\n", "ct.csv has no voxels for parotid_left and parotid_right"),
        ("LeftParotid.csv", "", "LeftParotid.csv does not begin with the line ',data'"),
        ("LeftParotid.csv", "garbage;;x\n", "LeftParotid.csv does not begin with the line"),
        ("LeftParotid.csv", ",data\n5,\n6", "LeftParotid.csv is cut off in its last line"),
        ("ct.csv", ",data\n", "ct.csv holds no voxels"),
        ("ct.csv", ",data\n5\n6\n", "ct.csv is not a table of numbers"),
        ("ct.csv", ",data\n5,1000\n6,much\n", "ct.csv is not a table of numbers"),
        ("ct.csv", ",data\n5,1000\n6\n", "ct.csv is not a table of numbers"),
        ("ct.csv", b",data\n5,\xff\xfe\n", "ct.csv is not a table of numbers"),
        ("ct.csv", ",data\n5,nan\n", "ct.csv has values that are no CT numbers"),
        ("ct.csv", ",data\n5,inf\n", "ct.csv has values that are no CT numbers"),
        ("ct.csv", ",data\nnan,1000\n", "ct.csv has values that are no CT numbers"),
        ("ct.csv", ",data\n5,99999\n", "ct.csv has values that are no CT numbers"),
        ("ct.csv", ",data\n5,-32767\n", "ct.csv has values that are no CT numbers"),
        ("ct.csv", ",data\n-1,1000\n", "ct.csv has voxel indices outside 0..2097151"),
        ("ct.csv", ",data\n2097152,1000\n", "ct.csv has voxel indices outside 0..2097151"),
        ("LeftParotid.csv", ",data\n5,\n9e99,\n", "LeftParotid.csv has voxel indices outside 0"),
        ("LeftParotid.csv", ",data\n5.5,\n", "LeftParotid.csv has voxel indices outside 0"),
        ("LeftParotid.csv", ",data\nnan,\n", "LeftParotid.csv has voxel indices outside 0"),
        ("LeftParotid.csv", ",data\n-3,\n", "LeftParotid.csv has voxel indices outside 0"),
        ("LeftParotid.csv", ",data\nleft,\n", "LeftParotid.csv is not a table of numbers"),
        ("voxel_dimensions.csv", "", "voxel_dimensions.csv must hold three positive numbers"),
        ("voxel_dimensions.csv", "4\n4\n", "voxel_dimensions.csv must hold three positive numbers"),
        ("voxel_dimensions.csv", "4\n0\n3\n", "voxel_dimensions.csv must hold three positive"),
        ("voxel_dimensions.csv", "4\nnan\n3\n", "voxel_dimensions.csv must hold three positive"),
        ("voxel_dimensions.csv", "4\n4\nwide\n", "voxel_dimensions.csv is not a list of numbers"),
    ],
)
def test_faults_are_named(
    root: Path, folder: Path, name: str, content: str | bytes | None, sentence: str
) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    found = reason(root)
    assert found.startswith(sentence)
    assert str(root) not in found
    assert "\n" not in found


def test_a_folder_in_place_of_a_file(root: Path, folder: Path) -> None:
    (folder / "ct.csv").unlink()
    (folder / "ct.csv").mkdir()
    assert reason(root) == "ct.csv cannot be read"


def test_one_bad_patient_leaves_the_others(root: Path) -> None:
    bad = write_patient(root / "provided-data" / "train-pats" / "pt_2")
    (bad / "ct.csv").write_text("broken")
    source = OpenKbp(root, STRUCTURES)
    found = [source.read(reference) for reference in source.patients()]
    assert [type(one) for one in found] == [Scan, Excluded]


def test_patients_by_role_then_number(root: Path) -> None:
    base = root / "provided-data"
    for name in ("train-pats/pt_10", "train-pats/pt_2", "validation-pats/pt_7", "test-pats/pt_3"):
        (base / name).mkdir(parents=True)
    for name in ("train-pats/notes", "train-pats/pt_x", "train-pats/old_pt_5"):
        (base / name).mkdir()
    (base / "train-pats" / "pt_9").write_text("a file")
    found = OpenKbp(root, STRUCTURES).patients()
    assert [(one.patient, one.role) for one in found] == [
        ("pt_1", "train"),
        ("pt_2", "train"),
        ("pt_10", "train"),
        ("pt_7", "validation"),
        ("pt_3", "test"),
    ]
    assert OpenKbp(base, STRUCTURES).patients() == found


def test_other_files_are_ignored_and_do_not_count_as_a_change(root: Path, folder: Path) -> None:
    [before] = OpenKbp(root, STRUCTURES).patients()
    (folder / "dose.csv").write_text("broken")
    (folder / "Larynx.csv").write_text("broken")
    assert OpenKbp(root, STRUCTURES).patients() == [before]
    assert scan_of(root).notes == ()
    os.utime(folder / "LeftParotid.csv", ns=(1, 1))
    assert OpenKbp(root, STRUCTURES).patients()[0].signature != before.signature


def test_all_structures_can_be_read(root: Path, folder: Path) -> None:
    write_csv(folder / "SpinalCord.csv", np.flatnonzero(stored_ct())[[7, 8]], None)
    scan = scan_of(root, ("spinal_cord", "mandible"))
    assert {name: int(mask.sum()) for name, mask in scan.masks.items()} == {"spinal_cord": 2}
    assert scan.notes == ("mandible is not contoured",)


def test_an_unknown_structure_is_one_sentence(root: Path) -> None:
    with pytest.raises(DataError) as caught:
        OpenKbp(root, ("parotid_left", "tongue"))
    assert str(caught.value) == (
        "structures of OpenKBP must be among parotid_left, parotid_right, mandible, brainstem, "
        "spinal_cord, larynx, esophagus, but got tongue; change data.structures"
    )


def test_another_folder_is_one_sentence(tmp_path: Path) -> None:
    rule = "data.root must be a clone of the OpenKBP repository (with provided-data/train-pats ...)"
    with pytest.raises(DataError) as caught:
        OpenKbp(tmp_path, STRUCTURES)
    assert str(caught.value) == f"{rule}, but got a folder without them; check data.root"
    with pytest.raises(DataError) as caught:
        OpenKbp(tmp_path / "none", STRUCTURES)
    assert str(caught.value) == f"{rule}, but got no folder of that name; check data.root"
    (tmp_path / "train-pats").mkdir()
    with pytest.raises(DataError) as caught:
        OpenKbp(tmp_path, STRUCTURES).patients()
    assert str(caught.value) == (
        "an OpenKBP folder must hold patient folders (pt_1, pt_2 ...), but got none; check "
        "data.root"
    )


def test_made_from_the_config(root: Path, tmp_path: Path) -> None:
    config = DataConfig(source="openkbp", root=str(root), structures=("parotid_right",))
    source = SOURCES.get("openkbp")(config, tmp_path / "private")
    scan = source.read(source.patients()[0])
    assert isinstance(scan, Scan)
    assert list(scan.masks) == ["parotid_right"]
    assert not (tmp_path / "private").exists()
