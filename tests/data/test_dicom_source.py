"""Folders of DICOM files to scans: who is there, which series a set fits, what is left out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.dicom import (
    contour_item,
    placed,
    rectangle,
    save,
    save_series,
    series_datasets,
    structure_dataset,
    to_mm,
    uid,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from harness.base.errors import DataError
from harness.config.data import DEFAULT_PATTERNS, DataConfig
from harness.config.dicom import DicomConfig
from harness.data.scan import SOURCES, Excluded, Scan
from harness.data.sources.dicom import DicomFolder

SHAPE = (6, 30, 40)
AFFINE = placed(SHAPE)
STRUCTURES = ("parotid_left", "parotid_right")
LEFT = rectangle(AFFINE, 2, (10.5, 20.5), (25.5, 35.5))
RIGHT = rectangle(AFFINE, 3, (10.5, 20.5), (5.5, 12.5))
BOTH = {"Parotid_L": [LEFT], "Parotid_R": [RIGHT]}


def volume(value: int = 40, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.int64]:
    made = np.full(shape, -1000)
    made[:, 4:-4, 4:-4] = value
    return made


def renumber(datasets: Sequence[Dataset], series: int, frame: str | None = None) -> list[Dataset]:
    """The same slices as another series of the same study."""
    for index, dataset in enumerate(datasets):
        dataset.SeriesInstanceUID = uid(1, 1, series)
        dataset.SOPInstanceUID = uid(1, 1, series, index)
        if frame is not None:
            dataset.FrameOfReferenceUID = frame
    return list(datasets)


def belonging(datasets: Sequence[Dataset], patient: str) -> list[Dataset]:
    for dataset in datasets:
        dataset.PatientID = patient
    return list(datasets)


def source(
    root: Path, structures: Sequence[str] = STRUCTURES, patterns: Mapping[str, Any] | None = None
) -> DicomFolder:
    chosen = DEFAULT_PATTERNS if patterns is None else patterns
    return DicomFolder(root, structures, chosen, root.parent / "private")


def read_all(folder: DicomFolder) -> list[Scan | Excluded]:
    return [folder.read(reference) for reference in folder.patients()]


def only(root: Path, **options: Any) -> Scan:
    [scan] = read_all(source(root, **options))
    assert isinstance(scan, Scan), scan
    return scan


def reason(root: Path, **options: Any) -> str:
    [found] = read_all(source(root, **options))
    assert isinstance(found, Excluded), found
    return found.reason


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


# A scan.


def test_a_scan_in_canonical_order(root: Path) -> None:
    save_series(series_datasets(volume(), AFFINE), root)
    save(structure_dataset(BOTH), root / "rs.dcm")
    scan = only(root)
    assert (scan.hu.dtype, scan.hu.shape, scan.role, scan.notes) == (np.int16, SHAPE, None, ())
    assert np.array_equal(scan.hu, volume())
    assert scan.affine == pytest.approx(AFFINE)
    assert scan.spacing_mm == pytest.approx((3.0, 1.0, 1.0))
    assert scan.patient.startswith("p-")
    left, right = (np.argwhere(scan.masks[name]) for name in STRUCTURES)
    assert (left.min(0).tolist(), left.max(0).tolist()) == ([2, 11, 26], [2, 20, 35])
    assert (right.min(0).tolist(), right.max(0).tolist()) == ([3, 11, 6], [3, 20, 12])


@pytest.mark.parametrize(
    "orientation",
    [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (0, 1, 0, 0, 0, -1)],
    ids=["supine, head first", "feet first", "prone", "sagittal"],
)
def test_the_left_gland_lies_left_however_it_was_scanned(
    root: Path, orientation: tuple[int, ...]
) -> None:
    """A cube 4 mm to the left, the back and the head of the volume's middle."""
    affine = placed((20, 30, 40), (1.0, 1.0, 1.0), orientation, origin=(0, 0, 0))
    middle = to_mm(affine, np.array([[9.5, 14.5, 19.5]]))[0]
    cube = middle + 4
    grid = np.stack(np.mgrid[:20, :30, :40], -1).reshape(-1, 3)
    inside = (np.abs(to_mm(affine, grid) - cube) < 3.1).all(1).reshape(20, 30, 40)
    contours = [
        rectangle(
            affine, k, *((np.flatnonzero(plane.any(1 - a))[[0, -1]] + (-0.5, 0.5)) for a in (0, 1))
        )
        for k, plane in enumerate(inside)
        if plane.any()
    ]
    marked = np.where(inside, 500, 0)
    save_series(series_datasets(marked, affine), root)
    save(structure_dataset({"Parotid_L": contours}), root / "rs.dcm")
    scan = only(root)
    mask = scan.masks["parotid_left"]
    assert np.array_equal(mask, scan.hu == 500)
    assert mask.sum() == inside.sum()
    assert to_mm(scan.affine, np.argwhere(mask)).mean(0) == pytest.approx(cube, abs=0.51)
    beyond = np.argwhere(mask).mean(0) - (np.array(mask.shape) - 1) / 2
    assert (beyond > 3).all(), "towards the head, the back and the left"


def test_what_was_left_out_is_noted(root: Path) -> None:
    datasets = series_datasets(volume(), AFFINE)
    save_series(datasets, root)
    save(datasets[0], root / "again.dcm")
    tilted = LEFT + np.array([[0, 0, 2.5], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    left = [
        LEFT, LEFT[::-1], rectangle(AFFINE, 9, (1, 5), (1, 5)), tilted,
        rectangle(AFFINE, 2.4, (1, 5), (1, 5)), contour_item([1, 2, 3], "POINT"),
    ]  # fmt: skip
    save(structure_dataset({"Parotid_L": left}), root / "rs.dcm")
    assert only(root).notes == (
        "1 repeated slice of the CT series left out",
        "parotid_left: 1 repeated contour dropped",
        "parotid_left: 1 contour on planes without an image left out",
        "parotid_left: 1 contour outside image planes left out",
        "parotid_left: 1 contour between slices left out",
        "parotid_left: 1 POINT contour left out",
        "parotid_right is not contoured",
    )


def test_contours_that_enclose_no_voxel_are_not_contoured(root: Path) -> None:
    save_series(series_datasets(volume(), AFFINE), root)
    tiny = rectangle(AFFINE, 2, (10.2, 10.4), (10.2, 10.4))
    save(structure_dataset({"Parotid_L": [tiny], "Parotid_R": [RIGHT]}), root / "rs.dcm")
    scan = only(root)
    assert list(scan.masks) == ["parotid_right"]
    assert "parotid_left is not contoured" in scan.notes
    save(structure_dataset({"Parotid_L": [tiny]}), root / "rs.dcm")
    assert reason(root) == "contours must enclose voxels of the CT series, but none does"


# Who is there.


def test_patients_are_told_apart_by_identifier_not_by_folder(root: Path) -> None:
    for patient in ("A", "B"):
        slices = belonging(series_datasets(volume(), AFFINE), patient)
        save_series(slices[:3], root / "x" / patient)
        save_series(slices[3:], root / "y" / patient)
        save(belonging([structure_dataset(BOTH)], patient)[0], root / "sets" / f"{patient}.dcm")
    scans = read_all(source(root))
    assert len({scan.patient for scan in scans}) == 2
    assert all(isinstance(scan, Scan) and scan.hu.shape == SHAPE for scan in scans)


def test_another_patients_set_is_not_paired(root: Path) -> None:
    """It refers to the series by name and lies on its slices, but another patient is in it."""
    save_series(belonging(series_datasets(volume(), AFFINE), "A"), root)
    images = [uid(1, 1, 1, n + 1) for n in range(6)]
    other = structure_dataset(BOTH, images=images, series=uid(1, 1, 1))
    save(belonging([other], "B")[0], root / "rs.dcm")
    reasons = sorted(found.reason for found in read_all(source(root)))  # type: ignore[union-attr]
    assert reasons == [
        "a patient must have CT slices and a structure set, but got no CT slices",
        "a patient must have CT slices and a structure set, but got no structure set",
    ]


def test_without_identifiers_the_study_tells_patients_apart(root: Path) -> None:
    for study in (5, 6):
        datasets = [*series_datasets(volume(study), AFFINE), structure_dataset(BOTH)]
        for index, dataset in enumerate(datasets):
            dataset.PatientID = ""
            dataset.StudyInstanceUID = uid(study)
            dataset.SeriesInstanceUID += f".{study}"
            save(dataset, root / f"{study}-{index}.dcm")
    scans = read_all(source(root))
    assert sorted(int(scan.hu.max()) for scan in scans) == [5, 6]  # type: ignore[union-attr]


def test_without_identifiers_the_slices_of_a_series_are_one_patients(root: Path) -> None:
    """Some writers give every file a study of its own."""
    slices = series_datasets(volume(), AFFINE)
    sets = structure_dataset(BOTH)
    for index, dataset in enumerate((*slices, sets)):
        dataset.PatientID = ""
        dataset.StudyInstanceUID = uid(5, min(index, len(slices) - 1))
        save(dataset, root / f"{index}.dcm")
    [scan] = read_all(source(root))
    assert isinstance(scan, Scan)
    assert scan.hu.shape == SHAPE


def test_pseudonyms_hold_for_one_private_folder(root: Path, tmp_path: Path) -> None:
    save_series(series_datasets(volume(), AFFINE), root)
    save(structure_dataset(BOTH), root / "rs.dcm")
    [first], [again] = source(root).patients(), source(root).patients()
    assert first == again
    other = DicomFolder(root, STRUCTURES, DEFAULT_PATTERNS, tmp_path / "elsewhere")
    assert other.patients()[0].patient != first.patient
    fixed = [
        DicomFolder(root, STRUCTURES, DEFAULT_PATTERNS, tmp_path / name, key=b"nobody").patients()
        for name in "ab"
    ]
    assert fixed[0] == fixed[1]


def test_other_files_are_ignored_with_a_reason(root: Path) -> None:
    save_series(series_datasets(volume(), AFFINE), root / "ct")
    save(structure_dataset(BOTH), root / "ct" / "rs.dcm")
    (root / "a-note.txt").write_text("call the patient")
    (root / "b-empty").touch()
    (root / "c-zeros").write_bytes(b"\0" * 5000)
    scout, mr = series_datasets(volume()[:2], AFFINE)
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    mr.SOPClassUID = MRImageStorage
    save(scout, root / "d-scout.dcm")
    save(mr, root / "e-mr.dcm")
    folder = source(root)
    assert folder.ignored() == [
        (1, "it is not a readable DICOM file"),
        (2, "it is not a readable DICOM file"),
        (3, "it is not a readable DICOM file"),
        (4, "it is a localiser"),
        (5, "it is an MR slice, not CT"),
    ]
    assert [scan.hu.shape for scan in read_all(folder)] == [SHAPE]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("files", "got"), [((), "no files"), (("a", "b"), "2 files without either")]
)
def test_a_folder_with_nobody_is_one_sentence(root: Path, files: tuple[str, ...], got: str) -> None:
    for name in files:
        (root / name).write_text("text")
    with pytest.raises(DataError) as caught:
        source(root).patients()
    assert str(caught.value) == (
        f"a DICOM folder must hold CT slices and RTSTRUCT files, but got {got}; check data.root"
    )


def test_no_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"but got none of that name; check data\.root$") as caught:
        source(tmp_path / "in")
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_closed_folder_is_one_sentence(root: Path) -> None:
    (root / "closed").mkdir(mode=0)
    with pytest.raises(DataError, match=r"every folder below data\.root must be readable"):
        source(root)


def test_a_dangling_link_is_ignored(root: Path) -> None:
    save_series(series_datasets(volume(), AFFINE), root)
    save(structure_dataset(BOTH), root / "rs.dcm")
    (root / "link").symlink_to(root / "nowhere")
    folder = source(root)
    assert folder.ignored() == [(7, "it cannot be opened")]
    assert isinstance(read_all(folder)[0], Scan)


def test_a_pipe_is_ignored(root: Path) -> None:
    """Opening one would wait for a writer for ever."""
    save_series(series_datasets(volume(), AFFINE), root)
    save(structure_dataset(BOTH), root / "rs.dcm")
    os.mkfifo(root / "pipe")
    assert [why for _, why in source(root).ignored()] == ["it is not an ordinary file"]


def test_made_from_the_config(root: Path, tmp_path: Path) -> None:
    save_series(series_datasets(volume(), AFFINE), root)
    save(structure_dataset({"X": [LEFT]}), root / "rs.dcm")
    config = DataConfig(
        source="dicom", root=str(root), structures=("structure",), patterns={"structure": ("^X$",)}
    )
    made = SOURCES.get("dicom")(config, tmp_path / "private")
    scan = made.read(made.patients()[0])
    assert isinstance(scan, Scan)
    assert list(scan.masks) == ["structure"]


# What changed.


def test_signatures_follow_files(root: Path) -> None:
    paths = save_series(series_datasets(volume(), AFFINE), root)
    save(structure_dataset(BOTH), root / "rs.dcm")
    before = source(root).patients()[0].signature
    os.utime(paths[2], ns=(1, 1))
    after = source(root).patients()[0].signature
    (root / "more.txt").write_text("text")
    assert len({before, after, source(root).patients()[0].signature}) == 2
    paths[2].unlink()
    assert source(root).patients()[0].signature not in (before, after)


def test_a_changed_file_is_read_anew_and_an_unchanged_one_is_known(root: Path) -> None:
    save_series(series_datasets(volume(), AFFINE), root)
    save(structure_dataset(BOTH), root / "rs.dcm")
    first = source(root).patients()[0].patient
    for dataset, path in zip(
        belonging(series_datasets(volume(), AFFINE), "elsewhere"),
        sorted(root.glob("im*")),
        strict=True,
    ):
        stat = path.stat()
        save(dataset, path)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    patients = [reference.patient for reference in source(root).patients()]
    assert len(patients) == 2
    assert first in patients


def written(
    root: Path, patient: str = "1", hu: int = 40, contour: NDArray[np.float64] = LEFT, up: float = 0
) -> str:
    """Content digest of a patient of one structure, moved up along the body."""
    affine = placed(SHAPE, origin=(-20, -30, 100 + up))
    datasets = belonging(series_datasets(volume(hu), affine), patient)
    save_series(datasets[::-1] if patient != "1" else datasets, root)
    structures = structure_dataset({"Parotid_L": [contour + np.array([0, 0, up])]})
    save(belonging([structures], patient)[0], root / f"{patient}.dcm")
    return only(root).content_digest()


def test_unchanged_files_are_not_opened_again(root: Path) -> None:
    paths = save_series(series_datasets(volume(), AFFINE), root)
    save(structure_dataset(BOTH), root / "rs.dcm")
    before = source(root).patients()
    stat = paths[0].stat()
    paths[0].write_bytes(b"\0" * stat.st_size)
    os.utime(paths[0], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert source(root).patients() == before


def test_the_content_digest_follows_voxels_geometry_and_contours_only(tmp_path: Path) -> None:
    first = written(tmp_path / "a" / "in")
    assert written(tmp_path / "b" / "in", patient="someone else") == first
    assert written(tmp_path / "c" / "in", contour=LEFT[[1, 2, 3, 0]]) == first
    assert written(tmp_path / "d" / "in", hu=41) != first
    assert written(tmp_path / "e" / "in", up=0.5) != first
    assert written(tmp_path / "f" / "in", contour=np.add(LEFT, (1, 0, 0))) != first


# Several series, several sets.


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
        {"images": [uid(1, 1, 12, 2)], "series": uid(1, 1, 11)},
        {"images": [uid(1, 1, 12, n) for n in range(6)], "series": "1.2.3"},
        {"series": uid(1, 1, 12), "frame": ""},
        {"series": uid(1, 1, 12), "frame": uid(9, 11)},
        {"series": "1.2.3", "frame": uid(9, 12)},
        {"frame": uid(9, 12)},
    ],
    ids=["image over series", "images", "series", "series over frame", "absent series", "frame"],
)
def test_references_decide_in_order(root: Path, references: dict[str, Any]) -> None:
    two_series(root, frames=(uid(9, 11), uid(9, 12)))
    save(structure_dataset(BOTH, **references), root / "rs.dcm")
    assert (only(root).hu.max(), only(root).notes) == (20, ())


def test_positions_decide_where_references_do_not_and_that_is_noted(root: Path) -> None:
    two_series(root, offset=60.0, frames=("", ""))
    moved = {"Parotid_L": [np.add(LEFT, (0, 0, 60))]}
    for frame in ("", uid(9, 9)):
        save(structure_dataset(moved, frame=frame), root / "rs.dcm")
        scan = only(root)
        assert scan.hu.max() == 20
        note = "the structure set refers to no CT series here; its positions decide"
        assert scan.notes == (note, "parotid_right is not contoured")


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
        "a structure set must fit one CT series, but it refers to none by name and 2 series have "
        "slices where its contours lie; name one by data.dicom.series"
    )


@pytest.mark.parametrize("shift", [(0, 0, 1.3), (0, 0, 500), (300, 0, 0), (0, -300, 0)])
def test_a_set_that_lies_elsewhere_is_refused_whatever_it_names(
    root: Path, shift: tuple[float, ...]
) -> None:
    save_series(series_datasets(volume(), AFFINE), root)
    elsewhere = {"Parotid_L": [LEFT + shift], "Parotid_R": [RIGHT + shift]}
    save(structure_dataset(elsewhere, series=uid(1, 1, 1)), root / "rs.dcm")
    assert reason(root) == (
        "a structure set must lie on the slices of a CT series of its patient, but none of 1 "
        "series has them"
    )


def test_an_unusable_series_is_noted_where_another_serves(root: Path) -> None:
    two_series(root, offset=300.0)
    next(iter((root / "12").iterdir())).unlink()
    (root / "12" / sorted(p.name for p in (root / "12").iterdir())[2]).unlink()
    save(structure_dataset(BOTH), root / "rs.dcm")
    scan = only(root)
    assert scan.hu.max() == 10
    assert scan.notes[0].startswith("a CT series of 2 is not used: slices must be evenly spaced")


def newer(dataset: Dataset, time: str, number: int) -> Dataset:
    dataset.StructureSetTime = time
    dataset.SOPInstanceUID = uid(1, 1, 2, number)
    return dataset


def test_of_several_sets_the_most_complete_then_newest_is_used(root: Path) -> None:
    save_series(series_datasets(volume(), AFFINE), root)
    smaller = rectangle(AFFINE, 2, (10.5, 12.5), (25.5, 27.5))
    old = structure_dataset({"Parotid_L": [smaller], "Parotid_R": [RIGHT]})
    save(newer(old, "080000", 1), root / "a.dcm")
    save(newer(structure_dataset(BOTH), "090000", 2), root / "b.dcm")
    save(newer(structure_dataset({"Parotid_L": [smaller]}), "235959", 3), root / "c.dcm")
    save(newer(structure_dataset({"BODY": [smaller]}), "235959", 4), root / "d.dcm")
    scan = only(root)
    assert {name: int(mask.sum()) for name, mask in scan.masks.items()} == {
        "parotid_left": 100,
        "parotid_right": 70,
    }
    refused, chosen = scan.notes
    assert refused.startswith("a structure set is not used: file 4: parotid_left, parotid_right")
    assert chosen == "3 structure sets fit; the most complete, newest is used"


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


# Which to look at.


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
