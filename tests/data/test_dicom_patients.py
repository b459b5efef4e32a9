"""Who is in a folder of DICOM files: identifiers, studies, pseudonyms."""

from __future__ import annotations

from pathlib import Path

from dicom_folder import (
    AFFINE,
    BOTH,
    SHAPE,
    STRUCTURES,
    belonging,
    read_all,
    source,
    volume,
)
from factories.dicom import (
    save,
    save_series,
    series_datasets,
    structure_dataset,
    uid,
)

from harness.config.data import DEFAULT_PATTERNS
from harness.data.scan import Scan
from harness.data.sources.dicom import DicomFolder


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
        "a patient must have CT slices and a structure set, but got no CT slices; a structure set "
        "must have the patient ID of the images that it names, but theirs is another (file 3); if "
        "they are one person's, correct the ID",
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
