"""Which series a structure set fits, and which is taken of several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_folder import (
    AFFINE,
    BOTH,
    LEFT,
    RIGHT,
    SHAPE,
    STRUCTURES,
    only,
    reason,
    renumber,
    source,
    volume,
)
from factories.dicom import (
    placed,
    rectangle,
    save,
    save_series,
    series_datasets,
    structure_dataset,
    uid,
)
from pydicom.dataset import Dataset

from harness.config.data import DEFAULT_PATTERNS, DicomConfig
from harness.data.dicom.notes import FRAME_DECIDES, POSITIONS_DECIDE
from harness.data.scan import Excluded, Scan
from harness.data.sources.dicom import DicomFolder


def two_series(root: Path, offset: float = 0.0, frames: Sequence[str] = (uid(1, 9),) * 2) -> None:
    """Series 11 with values of 10, series 12 with 20 and shifted along the body."""
    for number, frame in zip((11, 12), frames, strict=True):
        shift = offset if number == 12 else 0.0
        affine = placed(SHAPE, origin=(-20, -30, 100 + shift))
        datasets = series_datasets(volume((number - 10) * 10), affine)
        save_series(renumber(datasets, number, frame), root / str(number))


@pytest.mark.parametrize(
    "references",
    [
        {"images": [uid(1, 1, 12, 2)], "series": uid(1, 1, 11), "frame": uid(9, 12)},
        {"images": [uid(1, 1, 12, n) for n in range(6)], "series": "1.2.3", "frame": ""},
        {"series": uid(1, 1, 12), "frame": ""},
        {"series": uid(1, 1, 12), "frame": uid(9, 12)},
        {"series": "1.2.3", "frame": uid(9, 12)},
        {"frame": uid(9, 12)},
    ],
    ids=["image over series", "images", "series", "series and frame", "absent series", "frame"],
)
def test_references_decide_in_order(root: Path, references: dict[str, Any]) -> None:
    two_series(root, frames=(uid(9, 11), uid(9, 12)))
    save(structure_dataset(BOTH, **references), root / "rs.dcm")
    scan = only(root)
    absent = references.get("series") == "1.2.3" and "images" not in references
    assert (scan.hu.max(), scan.notes) == (20, (FRAME_DECIDES,) * absent)


def test_positions_decide_where_nothing_that_is_named_is_here_and_that_is_noted(root: Path) -> None:
    two_series(root, offset=60.0, frames=("", ""))
    moved = {"Parotid_L": [np.add(LEFT, (0, 0, 60))]}
    for frame in ("", uid(9, 9)):
        save(structure_dataset(moved, series="1.2.3", images=["1.2.4"], frame=frame), root / "rs")
        scan = only(root)
        assert scan.hu.max() == 20
        assert scan.notes == (POSITIONS_DECIDE, "parotid_right is not contoured")


def test_positions_decide_only_where_they_hold_all_contours(root: Path) -> None:
    save_series(renumber(series_datasets(volume(), AFFINE), 11, ""), root)
    beside = np.add(RIGHT, (0, 0, 0.12 * 3))
    save(structure_dataset({"Parotid_L": [LEFT] * 9, "Parotid_R": [beside]}), root / "rs.dcm")
    assert reason(root) == (
        "all contours of a structure set must lie on the slices of its CT series, but of 1 series "
        "that it may belong to none has more than 90 % of them within 0.1 slice; export the set "
        "again with the images that it was drawn on"
    )


def test_dead_image_references_do_not_hide_contours(root: Path) -> None:
    """Anonymising renames images but often not what refers to them."""
    save_series(series_datasets(volume(), AFFINE), root)
    dataset = structure_dataset(BOTH)
    for item in dataset.ROIContourSequence:
        image = Dataset()
        image.ReferencedSOPInstanceUID = "1.2.3.4"
        item.ContourSequence[0].ContourImageSequence = [image]
    save(dataset, root / "rs.dcm")
    assert set(only(root).masks) == set(STRUCTURES)


def test_two_series_that_fit_alike_are_refused(root: Path) -> None:
    two_series(root)
    save(structure_dataset(BOTH), root / "rs.dcm")
    assert reason(root) == (
        "a structure set must fit one CT series, but it names none of them alone and 2 series have "
        "slices where its contours lie (with file 2, file 8); name one by data.dicom.series, "
        "leave the others out, or export each as a series of its own"
    )


@pytest.mark.parametrize("shift", [(0, 0, 1.3), (0, 0, 500), (300, 0, 0), (0, -300, 0)])
def test_a_set_that_lies_elsewhere_is_refused_whatever_it_names(
    root: Path, shift: tuple[float, ...]
) -> None:
    save_series(series_datasets(volume(), AFFINE), root)
    elsewhere = {"Parotid_L": [LEFT + shift], "Parotid_R": [RIGHT + shift]}
    save(structure_dataset(elsewhere, series=uid(1, 1, 1)), root / "rs.dcm")
    assert reason(root) == (
        "contours of a structure set must lie on the slices of its CT series, but of 1 series that "
        "it may belong to none has more than 0 % of them within 0.1 slice; export the set again "
        "with the images that it was drawn on"
    )


def test_an_unusable_series_is_noted_where_another_serves(root: Path) -> None:
    two_series(root, offset=300.0)
    beside = series_datasets(volume(), placed(SHAPE, origin=(10, -30, 400)))[2]
    save(renumber([beside], 12)[0], root / "12" / "beside.dcm")
    save(structure_dataset(BOTH), root / "rs.dcm")
    scan = only(root)
    assert scan.hu.max() == 10
    assert scan.notes[0].startswith("a CT series of 2 is not used: each slice of a series must")


def newer(dataset: Dataset, time: str, number: int) -> Dataset:
    dataset.StructureSetTime = time
    dataset.SOPInstanceUID = uid(1, 1, 2, number)
    return dataset


def test_sets_of_one_series_are_merged_and_the_newest_of_each_structure_is_used(root: Path) -> None:
    save_series(series_datasets(volume(), AFFINE), root)
    smaller = rectangle(AFFINE, 2, (10.5, 12.5), (25.5, 27.5))
    old = structure_dataset({"Parotid_L": [smaller], "Parotid_R": [RIGHT]})
    save(newer(old, "080000", 1), root / "a.dcm")
    save(newer(structure_dataset(BOTH), "090000", 2), root / "b.dcm")
    save(newer(structure_dataset({"Parotid_L": [smaller]}), "235959", 3), root / "c.dcm")
    save(newer(structure_dataset({"BODY": [smaller]}), "235959", 4), root / "d.dcm")
    scan = only(root)
    assert {name: int(mask.sum()) for name, mask in scan.masks.items()} == {
        "parotid_left": 4,
        "parotid_right": 70,
    }
    left, right, refused = scan.notes
    newest = "structure sets that have it that of file {} is used: it is the newest"
    assert left == "parotid_left: of 3 " + newest.format(3)
    assert right == "parotid_right: of 2 " + newest.format(2)
    assert refused.startswith("a structure set is not used: file 4: parotid_left, parotid_right")


def test_all_reasons_are_given_where_no_set_fits(root: Path) -> None:
    save_series(series_datasets(volume(), AFFINE), root)
    (root / "a.dcm").write_bytes(save(structure_dataset(BOTH), root / "b.dcm").read_bytes()[:-700])
    save(structure_dataset({"BODY": [LEFT]}), root / "b.dcm")
    found = reason(root)
    assert "file 1: " in found
    assert "; file 2: parotid_left, parotid_right must be contoured" in found


def test_a_file_that_vanished_is_an_exclusion(root: Path) -> None:
    paths = save_series(series_datasets(volume(), AFFINE), root)
    save(structure_dataset(BOTH), root / "rs.dcm")
    folder = source(root)
    [reference] = folder.patients()
    paths[0].unlink()
    found = folder.read(reference)
    assert isinstance(found, Excluded)
    assert found.reason.startswith("every slice must give its position")
    (root / "rs.dcm").unlink()
    found = folder.read(reference)
    assert isinstance(found, Excluded)


def described(root: Path, **chosen: str) -> DicomFolder:
    """Two series where the contours lie, and two sets, told apart by what people called them."""
    for number, name in ((1, "planning CT"), (2, "diagnostic CT")):
        datasets = series_datasets(volume(number), AFFINE)
        for index, dataset in enumerate(datasets):
            dataset.SeriesInstanceUID, dataset.SeriesDescription = uid(1, 1, number), name
            dataset.SOPInstanceUID = uid(1, 1, number, index)
            dataset.FrameOfReferenceUID = ""
        save_series(datasets, root / str(number))
    for number, label in ((1, "final"), (2, "draft")):
        sets = structure_dataset(BOTH, frame="", number=number)
        sets.StructureSetLabel = label
        save(sets, root / f"{label}.dcm")
    wanted = DicomConfig(**chosen)
    return DicomFolder(root, STRUCTURES, DEFAULT_PATTERNS, root.parent / "private", chosen=wanted)


def test_of_several_series_and_sets_the_config_names_one(root: Path) -> None:
    [reference] = described(root).patients()
    found = described(root).read(reference)
    assert isinstance(found, Excluded)
    assert "name one by data.dicom.series" in found.reason
    for number, name in ((1, "^planning"), (2, "(?i)DIAG")):
        source = described(root, series=name, structure_sets="final")
        [reference] = source.patients()
        scan = source.read(reference)
        assert isinstance(scan, Scan)
        assert int(scan.hu.max()) == number
        assert not [note for note in scan.notes if "structure sets fit" in note]
        reasons = {reason for _, reason in source.ignored()}
        assert reasons == {
            "data.dicom.series asks for others",
            "data.dicom.structure_sets asks for others",
        }
