"""Folders of DICOM files: what else lies there, and where nobody is found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dicom_folder import (
    AFFINE,
    BOTH,
    LEFT,
    SHAPE,
    read_all,
    source,
    volume,
)
from factories.dicom import (
    save,
    save_series,
    series_datasets,
    structure_dataset,
)
from pydicom.uid import MRImageStorage

from harness.base.errors import DataError
from harness.config.choices import SOURCES
from harness.config.data import DataConfig
from harness.data.scan import Scan


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
    ("files", "got"),
    [
        ((), "no file"),
        (("a", "b"), "2 files without either (2: it is not a readable DICOM file)"),
    ],
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
