"""Whose contours a structure set has: what it names, frames of reference, patient IDs, several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_folder import AFFINE, BOTH, LEFT, RIGHT, SHAPE, only, reason, renumber, source, volume
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
from pydicom.uid import (
    EnhancedMRImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    SecondaryCaptureImageStorage,
)

from harness.commands.inspect.command import inspect_folder
from harness.config.data import DEFAULT_PATTERNS, DataConfig, DicomConfig
from harness.data.dicom.notes import at_stake
from harness.data.scan import Excluded, Scan
from harness.data.sources.dicom import DicomFolder

CT, OTHER = uid(1, 1, 1), uid(1, 1, 8)
FRAME, ELSEWHERE = uid(1, 9), uid(8, 9)
SMALL = rectangle(AFFINE, 2, (10.5, 12.5), (25.5, 27.5))
SLICES = [uid(1, 1, 1, index + 1) for index in range(SHAPE[0])]


def ct(root: Path, frame: str = FRAME) -> None:
    datasets = series_datasets(volume(), AFFINE)
    for dataset in datasets:
        dataset.FrameOfReferenceUID = frame
    save_series(datasets, root / "ct")


def others(root: Path, storage: str, frame: str, **more: Any) -> list[str]:
    """Images of another kind at the same places; returns their UIDs."""
    datasets = renumber(series_datasets(volume(), AFFINE), 8, frame)
    for dataset in datasets:
        dataset.SOPClassUID = storage
        for name, value in more.items():
            setattr(dataset, name, value)
    save_series(datasets, root / "others")
    return [dataset.SOPInstanceUID for dataset in datasets]


def read(root: Path, **chosen: Any) -> Scan | Excluded:
    wanted = DicomConfig(**chosen)
    folder = DicomFolder(
        root, DataConfig().structures, DEFAULT_PATTERNS, root.parent / "private", chosen=wanted
    )
    [reference] = folder.patients()
    return folder.read(reference)


def used(root: Path, **chosen: Any) -> dict[str, int]:
    """What `inspect` says that `prepare` takes of the one patient: structure, structure set."""
    data = DataConfig(dicom=DicomConfig(**chosen))
    [entry] = inspect_folder(root, data=data, workdir=root.parent / "none")["used"]
    return dict(entry["structures"])


@pytest.mark.parametrize("by", ["images", "series"])
@pytest.mark.parametrize(
    ("storage", "more"),
    [
        (MRImageStorage, {}),
        (PositronEmissionTomographyImageStorage, {}),
        (EnhancedMRImageStorage, {}),
        (SecondaryCaptureImageStorage, {}),
        ("1.2.840.10008.5.1.4.1.1.2", {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}),
    ],
    ids=["MR", "PET", "enhanced MR", "secondary capture", "localiser"],
)
@pytest.mark.parametrize("frame", [FRAME, ELSEWHERE, ""])
def test_a_set_of_other_images_is_never_drawn_on_a_ct(
    root: Path, storage: str, more: dict[str, Any], frame: str, by: str
) -> None:
    """Though its contours lie on the CT's slices, in its frame, and it is the newest."""
    ct(root)
    images = others(root, storage, frame, **more)
    named = {"images": images if by == "images" else [], "series": OTHER, "frame": frame}
    foreign = structure_dataset({"Parotid_L": [SMALL], "Parotid_R": [SMALL]}, number=2, **named)
    foreign.StructureSetDate = "20250101"
    save(foreign, root / "foreign.dcm")
    for trust in (False, True):
        found = read(root, trust_positions=trust)
        assert isinstance(found, Excluded)
        assert "is drawn on the images that it names alone" in found.reason
        assert used(root, trust_positions=trust) == {}
    save(structure_dataset(BOTH, images=SLICES, series=CT), root / "own.dcm")
    scan = only(root)
    assert {name: int(mask.sum()) for name, mask in scan.masks.items()} == {
        "parotid_left": 100,
        "parotid_right": 70,
    }
    assert len(set(used(root).values())) == 1


def test_a_set_of_a_series_that_is_not_used_is_not_drawn_on_another(root: Path) -> None:
    """Neither where that series is unusable, nor where the config asks for others."""
    ct(root)
    datasets = renumber(series_datasets(volume(), AFFINE), 8, FRAME)
    for dataset in datasets:
        dataset.SeriesDescription = "diagnostic"
    del datasets[3].ImagePositionPatient
    save_series(datasets, root / "others")
    save(structure_dataset(BOTH, series=OTHER), root / "rs.dcm")
    assert "those are not used (file " in reason(root)
    found = read(root, series="^$")
    assert isinstance(found, Excluded)
    assert "data.dicom.series asks for others" in found.reason


@pytest.mark.parametrize("named", [{"images": SLICES, "series": CT}, {"series": CT}, {}])
def test_frames_of_reference_that_differ_contradict_each_other(
    root: Path, named: dict[str, Any]
) -> None:
    ct(root)
    save(structure_dataset(BOTH, frame=ELSEWHERE, **named), root / "rs.dcm")
    assert reason(root) == (
        "a structure set must lie in the frame of reference of its CT series, but it names another "
        "one; if its positions are right nonetheless, set data.dicom.trust_positions"
    )
    assert used(root) == {}
    assert isinstance(read(root, trust_positions=True), Scan)
    assert used(root, trust_positions=True) == {"parotid_left": 1, "parotid_right": 1}


def test_a_region_of_another_frame_is_left_out_and_named(root: Path) -> None:
    ct(root)
    dataset = structure_dataset(BOTH, series=CT)
    dataset.StructureSetROISequence[1].ReferencedFrameOfReferenceUID = ELSEWHERE
    save(dataset, root / "rs.dcm")
    scan = only(root)
    assert set(scan.masks) == {"parotid_left"}
    assert scan.notes == (
        "1 ROI in another frame of reference left out: 'Parotid_R'",
        "parotid_right is in file 1, but not used",
    )
    dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = ELSEWHERE
    save(dataset, root / "rs.dcm")
    assert reason(root).startswith(
        "a structure set must have ROIs of its CT series, but all are in"
    )


def test_a_region_drawn_on_other_images_is_left_out_of_a_set_for_both(root: Path) -> None:
    ct(root)
    images = others(root, MRImageStorage, FRAME)
    dataset = structure_dataset(BOTH, images=[*SLICES, *images], series=CT)
    for item, name in zip(dataset.ROIContourSequence, (SLICES[2], images[3]), strict=True):
        entry = Dataset()
        entry.ReferencedSOPInstanceUID = name
        item.ContourSequence[0].ContourImageSequence = [entry]
    save(dataset, root / "rs.dcm")
    scan = only(root)
    assert set(scan.masks) == {"parotid_left"}
    assert "1 ROI drawn on other images left out: 'Parotid_R'" in scan.notes


def naming(images: Sequence[str], left: str, right: str) -> Dataset:
    """A set whose glands' contours name one image each."""
    dataset = structure_dataset(BOTH, images=images, series=CT)
    for item, name in zip(dataset.ROIContourSequence, (left, right), strict=True):
        entry = Dataset()
        entry.ReferencedSOPInstanceUID = name
        item.ContourSequence[0].ContourImageSequence = [entry]
    return dataset


def test_inspect_and_prepare_draw_a_set_for_ct_and_mr_on_the_ct(root: Path) -> None:
    """Though it lists every MR image, and one CT image alone."""
    ct(root)
    images = others(root, MRImageStorage, FRAME)
    save(naming(images, SLICES[2], images[3]), root / "rs.dcm")
    assert set(only(root).masks) == set(used(root)) == {"parotid_left"}


@pytest.mark.parametrize("storage", [MRImageStorage, PositronEmissionTomographyImageStorage])
def test_a_region_that_names_other_images_does_not_take_those_that_name_none_along(
    root: Path, storage: str
) -> None:
    ct(root)
    images = others(root, storage, FRAME)
    dataset = naming([*SLICES, *images], SLICES[2], images[3])
    del dataset.ROIContourSequence[0].ContourSequence[0].ContourImageSequence
    save(dataset, root / "rs.dcm")
    assert set(only(root).masks) == set(used(root)) == {"parotid_left"}


def test_contours_that_name_mr_images_alone_are_not_drawn_on_a_ct_that_the_set_lists(
    root: Path,
) -> None:
    ct(root)
    images = others(root, MRImageStorage, FRAME)
    save(naming([*SLICES, *images], images[2], images[3]), root / "rs.dcm")
    assert reason(root).endswith("it is an MR slice, not CT)")
    assert used(root) == {}


@pytest.mark.parametrize("of_images", [True, False])
def test_frames_of_reference_of_regions_contradict_each_other_where_the_ct_gives_none(
    root: Path, of_images: bool
) -> None:
    """Unless those whose contours name the images of the CT have one."""
    ct(root, "")
    dataset = naming(SLICES, SLICES[2], SLICES[3])
    dataset.StructureSetROISequence[1].ReferencedFrameOfReferenceUID = ELSEWHERE
    if of_images:
        del dataset.ROIContourSequence[1].ContourSequence[0].ContourImageSequence
    save(dataset, root / "rs.dcm")
    if of_images:
        assert set(only(root).masks) == set(used(root)) == {"parotid_left"}
        return
    assert reason(root) == (
        "ROIs of a structure set must lie in one frame of reference, but these have 2 and the "
        "images give none; if all positions are right nonetheless, set data.dicom.trust_positions"
    )
    assert used(root) == {}
    assert used(root, trust_positions=True) == {"parotid_left": 1, "parotid_right": 1}


def test_a_rejected_set_is_said(root: Path) -> None:
    ct(root)
    save(claiming(LEFT, 1, images=SLICES, series=CT, ApprovalStatus="REJECTED"), root / "rs.dcm")
    assert only(root).notes[0] == "the structure set is marked as rejected"
    assert at_stake(only(root).notes[0])


@pytest.mark.parametrize("turned", [False, True])
def test_two_series_with_sets_of_equal_claim_are_said(root: Path, turned: bool) -> None:
    """Names of files do not choose."""
    save_series(series_datasets(volume(30), AFFINE), root / "ct")
    save_series(renumber(series_datasets(volume(70), AFFINE), 8), root / "again")
    names = ("b.dcm", "a.dcm") if turned else ("a.dcm", "b.dcm")
    for number, (name, series) in enumerate(zip(names, (CT, OTHER), strict=True), 1):
        save(structure_dataset(BOTH, series=series, number=number), root / name)
    scan = only(root)
    assert scan.hu.max() == 70
    assert scan.notes[0] == (
        f"a structure set is not used: file {1 + turned}: it is drawn on another series, with "
        "equal claim; name one by data.dicom.series or data.dicom.structure_sets"
    )


def test_contours_across_the_slices_of_a_series_do_not_lie_on_it(root: Path) -> None:
    """A sagittal reformat has a slice through the middle of the gland."""
    ct(root)
    first = (LEFT.min(0) + LEFT.max(0)) / 2 + np.array([4, -20, 15])
    sagittal = placed((9, 30, 40), (1, 1, 1), (0, 1, 0, 0, 0, -1), first)
    reformat = renumber(series_datasets(volume(shape=(9, 30, 40)), sagittal), 8, FRAME)
    save_series(reformat, root / "reformat")
    save(structure_dataset({"Parotid_L": [LEFT]}), root / "rs.dcm")
    assert only(root).hu.shape == SHAPE
    assert used(root) == {"parotid_left": 1}


def test_a_region_may_be_called_as_a_file_is(root: Path) -> None:
    ct(root)
    names = ["file 2", "file 999", "x' file 999"]
    dataset = structure_dataset({**BOTH, **{name: [LEFT] for name in names}}, series=CT)
    for roi in dataset.StructureSetROISequence[2:]:
        roi.ReferencedFrameOfReferenceUID = ELSEWHERE
    save(dataset, root / "rs.dcm")
    [entry] = inspect_folder(root, workdir=root.parent / "none")["used"]
    assert "left out: 'file 2', 'file 999', 'x\u2019 file 999'" in entry["notes"][0]


def test_a_set_per_organ_gives_all_organs(root: Path) -> None:
    ct(root)
    for number, (name, points) in enumerate((("Parotid_L", LEFT), ("Parotid_R", RIGHT)), 1):
        save(structure_dataset({name: [points]}, number=number, series=CT), root / f"{number}.dcm")
    assert set(only(root).masks) == {"parotid_left", "parotid_right"}
    assert not only(root).notes
    assert used(root) == {"parotid_left": 1, "parotid_right": 2}


def claiming(points: np.ndarray, number: int, **more: Any) -> Dataset:
    """A set of one gland, with other tags than usual."""
    references = {key: more.pop(key) for key in ("images", "series", "frame") if key in more}
    dataset = structure_dataset({"Parotid_L": [points]}, number=number, **references)
    for name, value in more.items():
        setattr(dataset, name, value)
    return dataset


@pytest.mark.parametrize(
    ("stronger", "weaker", "why"),
    [
        (
            {"images": SLICES, "series": CT, "ApprovalStatus": "REJECTED"},
            {"series": CT, "ApprovalStatus": "APPROVED", "StructureSetDate": "20250101"},
            "it names the images most directly",
        ),
        (
            {"series": CT, "StructureSetDate": "20100101"},
            {"StructureSetDate": "20250101"},
            "it names the images most directly",
        ),
        (
            {"ApprovalStatus": "APPROVED", "StructureSetDate": "20100101"},
            {"ApprovalStatus": "UNAPPROVED", "StructureSetDate": "20250101"},
            "it is approved",
        ),
        ({"StructureSetDate": "20250101"}, {"StructureSetDate": "20100101"}, "it is the newest"),
        ({"StructureSetTime": "120001"}, {"StructureSetTime": "120000"}, "it is the newest"),
        ({"StructureSetTime": "120000.5"}, {"StructureSetTime": "120000"}, "it is the newest"),
    ],
    ids=["images", "series", "approved", "date", "time", "fraction"],
)
@pytest.mark.parametrize("first", [True, False])
def test_the_stronger_claim_wins(
    root: Path, stronger: dict[str, Any], weaker: dict[str, Any], why: str, first: bool
) -> None:
    ct(root)
    names = ("a.dcm", "b.dcm") if first else ("b.dcm", "a.dcm")
    save(claiming(LEFT, 1, **stronger), root / names[0])
    save(claiming(SMALL, 2, **weaker), root / names[1])
    scan = only(root)
    assert int(scan.masks["parotid_left"].sum()) == 100
    file = 1 if first else 2
    assert scan.notes[0] == (
        f"parotid_left: of 2 structure sets that have it that of file {file} is used: {why}"
    )
    assert used(root) == {"parotid_left": file}


def test_equal_claims_that_say_different_things_are_an_error(root: Path) -> None:
    ct(root)
    save(claiming(LEFT, 1), root / "a.dcm")
    save(claiming(SMALL, 2), root / "b.dcm")
    assert reason(root) == (
        "one structure set must have parotid_left, but file 1 and file 2 have different contours "
        "of it with equal claim; name one by data.dicom.structure_sets"
    )
    [entry] = inspect_folder(root, workdir=root.parent / "none")["used"]
    assert "'a.dcm' and 'b.dcm' have different contours" in entry["notes"][0]
    rounded = np.round(np.roll(LEFT, 2, axis=0)[::-1], 1)
    save(claiming(rounded, 2), root / "b.dcm")
    assert int(only(root).masks["parotid_left"].sum()) == 100


def test_a_structure_of_an_unused_set_is_not_called_uncontoured(root: Path) -> None:
    ct(root)
    save(structure_dataset({"Parotid_L": [LEFT]}, series=CT), root / "a.dcm")
    dataset = structure_dataset({"Parotid_R": [RIGHT]}, frame=ELSEWHERE, number=2)
    save(dataset, root / "b.dcm")
    notes = only(root).notes
    assert notes[0].startswith("a structure set is not used: file 2: a structure set must lie in")
    assert notes[1] == "parotid_right is in file 2, but not used"


@pytest.mark.parametrize(
    "named",
    [
        {"images": SLICES, "series": CT},
        {"series": CT},
        {"StudyInstanceUID": uid(1, 1)},
    ],
    ids=["images", "series", "study"],
)
def test_a_set_without_a_patient_id_joins_through_what_it_names(
    root: Path, named: dict[str, Any]
) -> None:
    ct(root)
    study = named.pop("StudyInstanceUID", uid(7, 7))
    dataset = structure_dataset(BOTH, **named)
    dataset.PatientID, dataset.StudyInstanceUID = "", study
    save(dataset, root / "rs.dcm")
    assert set(only(root).masks) == {"parotid_left", "parotid_right"}
    assert used(root) == {"parotid_left": 1, "parotid_right": 1}


def test_slices_without_a_patient_id_join_their_series(root: Path) -> None:
    datasets = series_datasets(volume(), AFFINE)
    for dataset in datasets[::2]:
        dataset.PatientID = " "
    save_series(datasets, root / "ct")
    save(structure_dataset(BOTH, series=CT), root / "rs.dcm")
    assert only(root).hu.shape == SHAPE


@pytest.mark.parametrize("named", [{"images": SLICES[1:3], "series": "1.2.3"}, {"series": CT}])
def test_images_without_a_patient_id_join_the_sets_that_name_them(
    root: Path, named: dict[str, Any]
) -> None:
    """Of another study, too; not where two people's sets do."""
    datasets = series_datasets(volume(), AFFINE)
    for dataset in datasets:
        dataset.PatientID, dataset.StudyInstanceUID = "", uid(7, 7)
    save_series(datasets, root / "ct")
    save(structure_dataset(BOTH, **named), root / "rs.dcm")
    assert only(root).hu.shape == SHAPE
    assert used(root) == {"parotid_left": 1, "parotid_right": 1}
    second = structure_dataset(BOTH, number=2, **named)
    second.PatientID = "2"
    save(second, root / "second.dcm")
    folder = source(root)
    assert len([folder.read(reference) for reference in folder.patients()]) == 3


def test_a_study_of_two_people_joins_nobody(root: Path) -> None:
    ct(root)
    second = renumber(series_datasets(volume(), AFFINE), 8, ELSEWHERE)
    for dataset in second:
        dataset.PatientID = "2"
    save_series(second, root / "second")
    dataset = structure_dataset(BOTH)
    dataset.PatientID = ""
    save(dataset, root / "rs.dcm")
    folder = source(root)
    found = [folder.read(reference) for reference in folder.patients()]
    assert all(isinstance(entry, Excluded) for entry in found)
    assert len(found) == 3


def test_an_image_that_appears_beside_a_patient_is_looked_at(root: Path) -> None:
    """What a set names may come later: the patient is read again."""
    ct(root, "")
    save(structure_dataset(BOTH, series=OTHER, frame=""), root / "rs.dcm")

    def signature() -> Sequence[str]:
        return [reference.signature for reference in source(root).patients()]

    assert set(only(root).masks) == {"parotid_left", "parotid_right"}
    before = signature()
    others(root, MRImageStorage, ELSEWHERE)
    assert signature() != before
    assert "those are not used" in reason(root)
