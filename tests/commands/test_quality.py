"""The quality page, from files to what a physicist reads: who is wrong, and why."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from report.page_reader import Page

from harness.base.console import Console
from harness.commands.prepare import prepare_data
from harness.commands.session import Session
from harness.config.data import PhantomConfig
from harness.config.experiment import Experiment
from harness.data.dicom.names import is_named
from harness.data.sources.phantom import write_phantoms

PHANTOMS = PhantomConfig(patients=9, slices=16, spacing_mm=(4.0, 3.0, 3.0))


def files(patient: Path, modality: str) -> list[tuple[Path, pydicom.Dataset]]:
    read = [(path, pydicom.dcmread(path)) for path in sorted(patient.rglob("*.dcm"))]
    return [(path, dataset) for path, dataset in read if dataset.Modality == modality]


def no_set(patient: Path) -> None:
    for path, _ in files(patient, "RTSTRUCT"):
        path.unlink()


def wrong_rescale(patient: Path) -> None:
    """Said, and so believed; not left out, which would be refused."""
    for path, dataset in files(patient, "CT"):
        dataset.RescaleIntercept = 100
        dataset.save_as(path)


def swapped(patient: Path) -> None:
    [(path, dataset)] = files(patient, "RTSTRUCT")
    structures = [r for r in dataset.StructureSetROISequence if "par" in r.ROIName.lower()]
    structures[0].ROIName, structures[1].ROIName = structures[1].ROIName, structures[0].ROIName
    dataset.save_as(path)


def shrunk(patient: Path) -> None:
    """Contours of one structure at half their size about their own middle: a quarter of the
    volume."""
    [(path, dataset)] = files(patient, "RTSTRUCT")
    [number] = [
        roi.ROINumber
        for roi in dataset.StructureSetROISequence
        if is_named(roi.ROIName, "parotid_left", {})
    ]
    for roi in dataset.ROIContourSequence:
        if roi.ReferencedROINumber == number:
            for contour in roi.ContourSequence:
                points = np.array(contour.ContourData, float).reshape(-1, 3)
                middle = points.mean(0)
                contour.ContourData = [f"{v:.3f}" for v in ((points + middle) / 2).ravel()]
    dataset.save_as(path)


def experiment_of(folder: Path) -> Experiment:
    data = {
        "source": "dicom",
        "root": str(folder),
        "spacing_mm": 3.0,
        "roles": {"validation": 0.2, "test": 0.2},
    }
    return Experiment.model_validate({"name": "page", "data": data})


Prepared = tuple[Path, dict[str, Any], dict[int, str]]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    base = tmp_path_factory.mktemp("quality")
    made = write_phantoms(base / "made", PHANTOMS)
    folder = Path(shutil.copytree(made, base / "patients"))
    spoil = (no_set, wrong_rescale, swapped, shrunk)
    for patient, how in zip(sorted(folder.iterdir()), spoil, strict=False):
        how(patient)
    (folder / "readme.txt").write_text("x")
    session = Session(experiment_of(folder), base / "work", Console(quiet=True), workers=2)
    with session.open(track=False):
        found = prepare_data(session)
    private = json.loads((base / "work" / "private" / "dicom" / "files.json").read_text())
    whose = {}
    for pseudonym, place in private["patients"].items():
        [name] = [part for part in Path(place).parts if part.startswith("PHANTOM-")]
        whose[sorted(p.name for p in folder.iterdir()).index(name)] = pseudonym
    return base / "work", found, whose


def test_who_is_wrong_and_why(prepared: Prepared) -> None:
    _, found, whose = prepared
    page = Page(Path(found["quality"]).read_text())
    assert "9 patients, 8 kept (3 of them to look at), 1 excluded" in page.text
    rows = {row[0]: row for row in page.rows if row}
    assert "no structure set" in rows[whose[0]][1]
    look = {
        row[0]: row[2]
        for row in page.rows
        if len(row) == 3 and row[1] in ("train", "validation", "test")
    }
    assert set(look) == {whose[1], whose[2], whose[3]}
    assert "are the values HU?" in look[whose[1]]
    assert "are the sides swapped?" in look[whose[2]]
    assert "parotid_left has" in look[whose[3]]


def test_the_page_needs_nothing_else_and_names_no_place(prepared: Prepared) -> None:
    work, found, _ = prepared
    html = Path(found["quality"]).read_text()
    page = Page(html)
    assert str(work.parent) not in html
    assert "PHANTOM-" not in html
    links = [value for _, name, value in page.attributes if name in ("src", "href")]
    assert all(link.startswith("data:") for link in links)
    sheet = [shown for shown in page.pictures if "coronal" in shown.alt]
    assert len(sheet) == 8
    for shown in sheet:  # a CT is grey, outlines are not
        assert (np.ptp(shown.pixels().astype(int), axis=-1) > 80).sum() > 20


def test_names_of_regions_are_counted_and_mapped(prepared: Prepared) -> None:
    _, found, _ = prepared
    plain = json.loads((Path(found["quality"]).parent / "quality.json").read_text())
    names = plain["roi_names"]
    assert sum(of["patients"] for of in names.values() if of["structure"] == "parotid_left") == 8
    assert {of["structure"] for of in names.values()} == {"parotid_left", "parotid_right", None}
    assert plain["ignored_files"] == {"it is not a readable DICOM file": 1}


def prepare_again(work: Path) -> None:
    experiment = experiment_of(work.parent / "patients")
    session = Session(experiment, work, Console(quiet=True), engine="inline")
    with session.open(track=False):
        prepare_data(session)


def test_the_same_patients_give_the_same_page(prepared: Prepared) -> None:
    work, found, _ = prepared
    page = Path(found["quality"])
    before = page.read_bytes(), page.stat().st_mtime_ns
    experiment = Session(
        experiment_of(work.parent / "patients"), work, Console(quiet=True), engine="inline"
    )
    with experiment.open(track=False):
        prepare_data(experiment)
    assert (page.read_bytes(), page.stat().st_mtime_ns) == before
    (page.parent / "made-of.json").unlink()
    again = Session(
        experiment_of(work.parent / "patients"), work, Console(quiet=True), engine="inline"
    )
    with again.open(track=False):
        prepare_data(again)
    assert page.read_bytes() == before[0]


def test_who_is_left_out_is_said_once_and_by_prepare_again(prepared: Prepared) -> None:
    work, _, whose = prepared
    said = []
    for typed in (("compare",), ("prepare",)):
        stream = io.StringIO()
        session = Session(
            experiment_of(work.parent / "patients"),
            work,
            Console(stream=stream),
            engine="inline",
            typed=typed,
        )
        assert len(session.patient_index.excluded) == 1
        said.append(stream.getvalue())
    assert "excluded:" not in said[0]
    assert f"{whose[0]} excluded: " in said[1]
