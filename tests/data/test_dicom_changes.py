"""Changed DICOM files are read anew, unchanged ones are known."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from dicom_folder import (
    AFFINE,
    BOTH,
    LEFT,
    SHAPE,
    belonging,
    only,
    source,
    volume,
)
from factories.dicom import (
    placed,
    save,
    save_series,
    series_datasets,
    structure_dataset,
)
from numpy.typing import NDArray


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
