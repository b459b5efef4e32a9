"""Planted names and identifiers stay in the private folder, whatever goes wrong.

Names of ROIs are the one exception: a message lists them, since only they say what to change in
`data.patterns`.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import logging
import os
import shutil
import sqlite3
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from factories.dicom import (
    contour_item,
    placed,
    rectangle,
    save,
    series_datasets,
    structure_dataset,
)
from factories.planted import PLANTED, PLANTED_NUMBER, SECRETS, UIDS, plant, raw
from factories.unpacked import contents
from PIL import Image, PngImagePlugin
from pydicom.dataset import Dataset

from harness.base.errors import HarnessError
from harness.config.data import DataConfig
from harness.data.scan import Excluded, Scan
from harness.work.prepare.patient_index import IndexedPatient, index_patients
from harness.work.prepare.sources import make_source

SHAPE = (4, 64, 64)
AFFINE = placed(SHAPE, spacing=(3, 3, 3))
GLAND = rectangle(AFFINE, 2, (20.5, 40.5), (35.5, 45.5))


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A usable patient."""
    folder = tmp_path_factory.mktemp("planted")
    body = np.full(SHAPE, -1000)
    body[:, 8:-8, 8:-8] = 30
    for index, dataset in enumerate(series_datasets(body, AFFINE)):
        save(plant(dataset), folder / f"{PLANTED}_{index}.dcm")
    save(
        plant(structure_dataset({"Parotid_L": [GLAND]}, frame=PLANTED)),
        folder / f"RS.{PLANTED}.dcm",
    )
    return folder


@pytest.fixture
def folder(patient: Path, tmp_path: Path) -> Path:
    """A copy of the patient's folder, below `in`."""
    return Path(shutil.copytree(patient, tmp_path / "in" / f"{PLANTED} {PLANTED_NUMBER}"))


def config_of(root: Path) -> DataConfig:
    return DataConfig(source="dicom", root=str(root))


class Heard:
    """Everything that came out: texts, warnings, log records, the terminal."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, *things: object) -> None:
        self.texts += [f"{thing!r} {thing}" for thing in things]


@pytest.fixture
def heard(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Callable[[Path], Heard]:
    def run(root: Path) -> Heard:
        found = Heard()
        config, work = config_of(root), root.parent / "work"
        caplog.set_level(logging.DEBUG)
        caplog.clear()  # of what writing the files said
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                source = make_source(config, work)
                references = source.patients()
                found(*references)
                for reference in references:
                    scan = source.read(reference)
                    found(scan.reason if isinstance(scan, Excluded) else scan.notes, scan.patient)
                patient_index = index_patients(source, config, work, lambda done, of: None)
                found(
                    patient_index.excluded,
                    [(look.patient, look.notes, look) for look in patient_index.usable],
                )
                found(source.ignored())
            except HarnessError as error:
                found(error)
        found(*[warning.message for warning in warned], caplog.text, *capfd.readouterr())
        return found

    return run


def check(found: Heard, root: Path) -> None:
    secrets = (*SECRETS, UIDS, str(root))
    for text in found.texts:
        assert not [secret for secret in secrets if secret in text], text[:300]
    work = root.parent / "work"
    private = work / "private"
    kept = [path for path in work.rglob("*") if path.is_file()]
    for path in kept:
        if private in path.parents:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700, path.parent
        else:
            for where, content in contents(path):
                assert not [s for s in secrets if s.encode() in content], where
            assert not [s for s in secrets if s in str(path.relative_to(work))], path


@pytest.mark.usefixtures("folder")
def test_a_usable_patient(tmp_path: Path, heard: Callable[[Path], Heard]) -> None:
    found = heard(tmp_path / "in")
    check(found, tmp_path / "in")
    work = tmp_path / "work"
    assert len(list((work / "patient-index").glob("*.json"))) == 1
    lists = b"".join(path.read_bytes() for path in (work / "private").rglob("*.json"))
    assert PLANTED.encode() in lists, "who is who is kept, privately"
    assert {path.name for path in (work / "private" / "dicom").iterdir()} == {
        "key", "headers.json", "files.json",
    }  # fmt: skip


def test_the_plants_would_be_found(tmp_path: Path) -> None:
    """The check itself: a planted string in a text, in a file, or in a name makes it fail."""
    clean = Heard()
    check(clean, tmp_path / "in")
    told = Heard()
    told(f"cannot read {PLANTED}")
    with pytest.raises(AssertionError):
        check(told, tmp_path / "in")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "look.json").write_text(f'"{UIDS}.1"')
    with pytest.raises(AssertionError):
        check(clean, tmp_path / "in")


def pack_npz(path: Path) -> None:
    np.savez_compressed(path.with_suffix(".npz"), words=np.array([PLANTED.encode()] * 9))


def pack_names(path: Path) -> None:
    np.savez_compressed(path.with_suffix(".npz"), **{PLANTED: np.zeros(3)})


def pack_gz(path: Path) -> None:
    path.write_bytes(gzip.compress(PLANTED.encode() * 99))


def pack_zip_in_zip(path: Path) -> None:
    content = PLANTED.encode() * 9
    for name in "ab":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        content = packed.getvalue()
    path.write_bytes(content)


def pack_database(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as opened, opened:
        opened.execute('CREATE TABLE "a b" (x BLOB)')
        opened.execute('INSERT INTO "a b" VALUES (?)', (gzip.compress(PLANTED.encode() * 600),))


def pack_picture(path: Path) -> None:
    about = PngImagePlugin.PngInfo()
    about.add_text("who", PLANTED * 20, zip=True)
    Image.new("L", (4, 4)).save(path, "PNG", pnginfo=about)


def pack_page(path: Path) -> None:
    pack_picture(path)
    uri = base64.b64encode(path.read_bytes()).decode()
    path.write_text(f'<img src="data:image/png;base64,{uri}">')


@pytest.mark.parametrize(
    "pack",
    [pack_npz, pack_names, pack_gz, pack_zip_in_zip, pack_database, pack_picture, pack_page],
)
def test_what_is_packed_would_be_found(tmp_path: Path, pack: Callable[[Path], None]) -> None:
    (tmp_path / "work").mkdir()
    check(Heard(), tmp_path / "in")
    pack(tmp_path / "work" / "file")
    [made] = (tmp_path / "work").iterdir()
    assert pack is pack_names or PLANTED.encode() not in made.read_bytes()
    with pytest.raises(AssertionError):
        check(Heard(), tmp_path / "in")


def truncate(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def change(path: Path, **elements: str) -> None:
    """Rewrite a file with elements in place, valid or not."""
    import pydicom

    dataset = pydicom.dcmread(path)
    for keyword, value in elements.items():
        representation = {"I": "DS", "P": "DS", "R": "DS", "S": "DS"}[keyword[0]]
        raw(dataset, keyword, representation, value)
    save(dataset, path)


def other_set(folder: Path, contours: object, name: str = "Parotid_L") -> None:
    made = structure_dataset({name: contours})  # type: ignore[dict-item]
    save(plant(made), folder / f"RS.{PLANTED}.dcm")


def unreadable_contour() -> Dataset:
    item = contour_item(GLAND)
    raw(item, "ContourData", "DS", f"1\\{PLANTED}\\3\\1\\2\\3\\4\\5\\6")
    raw(item, "ContourGeometricType", "CS", "CLOSED_PLANAR")
    return item


FAILURES: dict[str, Callable[[Path], object]] = {
    "no structure set": lambda f: (f / f"RS.{PLANTED}.dcm").unlink(),
    "no slices": lambda f: [path.unlink() for path in f.glob(f"{PLANTED}_*")],
    "a gap": lambda f: (f / f"{PLANTED}_2.dcm").unlink(),
    "a cut off set": lambda f: truncate(f / f"RS.{PLANTED}.dcm", 0.9),
    "a cut off slice": lambda f: truncate(f / f"{PLANTED}_2.dcm", 0.9),
    "a slice cut off early": lambda f: truncate(f / f"{PLANTED}_2.dcm", 0.3),
    "a name as position": lambda f: change(
        f / f"{PLANTED}_2.dcm", ImagePositionPatient=f"{PLANTED}\\0\\0"
    ),
    "a name as spacing": lambda f: change(f / f"{PLANTED}_2.dcm", PixelSpacing=PLANTED),
    "a name as slope": lambda f: change(f / f"{PLANTED}_2.dcm", RescaleSlope=PLANTED),
    "a name as thickness": lambda f: change(f / f"{PLANTED}_2.dcm", SliceThickness=PLANTED),
    "a name as coordinate": lambda f: other_set(f, [unreadable_contour()]),
    "a name as coordinate of one contour": lambda f: other_set(f, [GLAND, unreadable_contour()]),
    "no wanted region": lambda f: other_set(f, [GLAND], "Cord"),
    "contours elsewhere": lambda f: other_set(f, [GLAND + 1000]),
    "two sets": lambda f: save(
        plant(structure_dataset({"Cord": [GLAND]}, number=2)), f / f"{PLANTED}.dcm"
    ),
    "a file that is no DICOM": lambda f: (f / f"{PLANTED}.txt").write_text(PLANTED * 99),
    "a file that looks like DICOM": lambda f: (f / f"{PLANTED}.dcm").write_bytes(
        b"\0" * 128 + b"DICM" + PLANTED.encode() * 99
    ),
    "nothing but text": lambda f: [path.write_text(PLANTED) for path in list(f.iterdir())],
    "a dangling link": lambda f: os.symlink(f / "gone", f / f"{PLANTED}.dcm"),
    "no folder": lambda f: f.parent.rename(f.parent.parent / "moved"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_failures(
    tmp_path: Path, folder: Path, heard: Callable[[Path], Heard], failure: str
) -> None:
    FAILURES[failure](folder)
    check(heard(tmp_path / "in"), tmp_path / "in")


@pytest.mark.usefixtures("folder")
def test_a_scan_knows_its_pseudonym_only(tmp_path: Path) -> None:
    source = make_source(config_of(tmp_path / "in"), tmp_path / "work")
    [reference] = source.patients()
    scan = source.read(reference)
    assert isinstance(scan, Scan)
    assert scan.patient == reference.patient
    assert len(scan.patient) == len("p-1f0c33ab")
    patient_index = index_patients(
        source, config_of(tmp_path / "in"), tmp_path / "work", lambda *_: None
    )
    assert isinstance(patient_index.usable[0], IndexedPatient)
    assert patient_index.usable[0].patient == scan.patient


@pytest.mark.usefixtures("folder")
def test_private_files_are_private_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_source(config_of(tmp_path / "in"), tmp_path / "work").patients()
    finally:
        os.umask(before)
    folder = tmp_path / "work" / "private" / "dicom"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
