"""Patients who have none of the structures: slices with empty masks, for training alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from factories.cli import run_cli
from factories.openkbp import write_experiment, write_openkbp
from factories.patients import AFFINE, GLANDS, SHAPE, write_patients
from factories.volumes import placed

from harness.config.data import DataConfig
from harness.data.pairs.store import Store
from harness.data.scan import Excluded, Scan
from harness.work.prepare.sources import make_source, read_patient

WITHOUT = '-s data.without_structures=["pt_2"]'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small OpenKBP folder whose second training patient has no contours."""
    root = write_openkbp(tmp_path_factory.mktemp("openkbp"))
    for name in ("LeftParotid", "RightParotid"):
        (root / "provided-data" / "train-pats" / "pt_2" / f"{name}.csv").unlink()
    return root


@pytest.fixture
def bare(tmp_path: Path, folder: Path) -> Path:
    """An experiment on a copy of it."""
    shutil.copytree(folder, tmp_path / "data")
    return write_experiment(tmp_path / "tiny.yaml", tmp_path / "data")


def prepared(experiment: Path, *words: str) -> tuple[Store, Any]:
    work = experiment.parent / f"work {len(words)}"
    answer = run_cli("prepare", experiment, "--workdir", work, "--json", *words)
    assert answer.code == 0, answer.err
    return Store.open(Path(answer.json["store"])), answer


def test_its_slices_train_with_empty_masks_and_no_placement_is_learnt_from_it(bare: Path) -> None:
    without, left = prepared(bare)
    assert [entry["patient"] for entry in left.json["excluded"]] == ["pt_2"]
    store, answer = prepared(bare, *WITHOUT.split(" ", 1))
    assert answer.json["excluded"] == []
    assert answer.json["values"]["patients"]["train"] == 3
    assert answer.json["notes"]["pt_2"] == [
        "has no parotid_left and no parotid_right (data.without_structures): empty masks"
    ]
    rows = [row for row in store.rows if row.patient == "pt_2"]
    assert {row.structure for row in rows} == {"parotid_left", "parotid_right"}
    assert all(row.role == "train" and row.selected and row.structure_px == 0 for row in rows)
    assert not np.stack([store.masks[row.pair] for row in rows]).any()
    assert np.stack([store.ct[row.pair] for row in rows]).std() > 0.1
    # What others have is cut from where it was: the rule knows two training patients, as before.
    assert store.meta["crop"] == without.meta["crop"]
    others = [row for row in store.rows if row.patient != "pt_2"]
    assert len(others) == len(without.rows)
    for row, alone in zip(others, without.rows, strict=True):
        assert (store.masks[row.pair] == without.masks[alone.pair]).all()


def test_it_comes_beside_a_limit_and_from_any_role_of_the_source(bare: Path) -> None:
    pats = bare.parent / "data" / "provided-data"
    shutil.move(pats / "train-pats" / "pt_2", pats / "test-pats" / "pt_2")
    _, answer = prepared(bare, *WITHOUT.split(" ", 1), "-s", "data.limit.train=1")
    assert answer.json["values"]["patients"] == {"train": 2, "validation": 1, "test": 1}


@pytest.mark.slow
def test_the_whole_way_can_be_gone_with_one(bare: Path) -> None:
    work = bare.parent / "work"
    words = ["--workdir", work, "--workers", "1", "--engine", "inline", *WITHOUT.split(" ", 1)]
    for setting in ("sweep.mask=null", "sweep.image=null", "sweep.segmentation=null"):
        words += ["-s", setting]
    answer = run_cli("run", bare, *words, "-s", "replicates.count=1")
    assert answer.code == 0, answer.err


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        (
            '["pt_1"]',
            "a patient of data.without_structures must have none, but parotid_left and "
            "parotid_right are contoured; take the patient out of it",
        ),
        (
            '["pt_9"]',
            "data.without_structures must name patients of the source, but got 'pt_9'",
        ),
        ('["pt_2", "pt_2"]', "patients must differ"),
        (
            '["pt_2"] -s data.exclude={pt_2:x}',
            "exclude and without_structures must name different patients, but got pt_2 in both",
        ),
        (
            '["pt_2"] -s replicates.cohorts=disjoint',
            "data.without_structures must be empty where only some of the training patients are "
            "drawn, but got pt_2 and replicates.cohorts",
        ),
        ('["pt_2"] -s image.patients=1', "but got pt_2 and image.patients"),
    ],
)
def test_who_has_them_or_is_nobody_is_refused(bare: Path, setting: str, sentence: str) -> None:
    first, *more = setting.split(" -s ")
    words = ["-s", f"data.without_structures={first}"]
    words += [word for other in more for word in ("-s", other.replace(":x", ": x"))]
    answer = run_cli("prepare", bare, "--workdir", bare.parent / "work", *words)
    assert sentence in " ".join(answer.err.split())


def read(root: Path, source: str, names: int, work: Path) -> list[Scan | Excluded]:
    """Every patient of a folder, the first `names` by name as having no structures."""
    config = DataConfig.model_validate({"source": source, "root": str(root)})
    made = make_source(config, work)
    references = made.patients()
    listed = tuple(reference.patient for reference in references[:names])
    config = config.model_copy(update={"without_structures": listed})
    return [read_patient(made, reference, config) for reference in references]


@pytest.mark.parametrize("kept", ["no set", "other regions"])
def test_dicom_of_a_patient_with_no_set_or_other_regions(tmp_path: Path, kept: str) -> None:
    boxes = {"Mandible": GLANDS["Parotid_L"]} if kept == "other regions" else {}
    root = write_patients(tmp_path / "data", [boxes])
    if kept == "no set":
        (root / "p01" / "rs.dcm").unlink()
    (excluded,) = read(root, "dicom", 0, tmp_path / "work")
    assert isinstance(excluded, Excluded)
    (scan,) = read(root, "dicom", 1, tmp_path / "work")
    assert isinstance(scan, Scan)
    assert [*scan.masks] == ["parotid_left", "parotid_right"]
    assert scan.hu.shape == SHAPE
    assert not any(mask.any() for mask in scan.masks.values())
    assert "data.without_structures" in scan.notes[-1]


def test_dicom_of_a_patient_who_has_one_after_all_is_refused(tmp_path: Path) -> None:
    root = write_patients(tmp_path / "data", [{"Parotid_L": GLANDS["Parotid_L"]}])
    (refused,) = read(root, "dicom", 1, tmp_path / "work")
    assert isinstance(refused, Excluded)
    assert "but parotid_left is contoured" in refused.reason


def test_dicom_of_two_series_does_not_say_which(tmp_path: Path) -> None:
    root = write_patients(tmp_path / "data", [{}, {}])
    for path in root.rglob("rs.dcm"):
        path.unlink()
    import pydicom

    for path in (root / "p02").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PatientID = "P1"
        dataset.save_as(path)
    (refused,) = read(root, "dicom", 1, tmp_path / "work")
    assert isinstance(refused, Excluded)
    assert refused.reason == (
        "a patient without structures must have one usable CT series, but got 2; name one by "
        "data.dicom.series"
    )


@pytest.mark.parametrize("drawn", [False, True])
def test_volumes_with_masks_that_are_not_there_or_empty(tmp_path: Path, drawn: bool) -> None:
    folder = tmp_path / "data" / "p1"
    folder.mkdir(parents=True)
    hu = np.full(SHAPE, -1000, np.int16)
    hu[:, 10:50, 10:50] = 30
    mask = np.zeros(SHAPE, np.uint8)
    mask[6:9, 20:25, 20:25] = drawn
    for name, values in {"image": hu, "parotid_left": mask}.items():
        sitk.WriteImage(placed(values, AFFINE), str(folder / f"{name}.nrrd"))
    (found,) = read(tmp_path / "data", "images", 1, tmp_path / "work")
    if drawn:
        assert isinstance(found, Excluded)
        assert "but parotid_left is contoured" in found.reason
    else:
        assert isinstance(found, Scan)
        assert [mask.any() for mask in found.masks.values()] == [False, False]


def test_a_source_of_another_package_may_not_read_ct_alone() -> None:
    class Elsewhere:
        def patients(self) -> list[Any]:
            return []

        def read(self, reference: Any) -> Any:
            raise AssertionError

    from harness.data.scan import Reference

    config = DataConfig(without_structures=("p",))
    refused = read_patient(Elsewhere(), Reference("p", None), config)
    assert isinstance(refused, Excluded)
    assert refused.reason.endswith("has no `read_bare`; take the patient out of it")


def test_one_ct_under_two_names_is_one_person_whatever_the_contours(bare: Path) -> None:
    pats = bare.parent / "data" / "provided-data"
    shutil.copy(pats / "test-pats" / "pt_5" / "ct.csv", pats / "train-pats" / "pt_2" / "ct.csv")
    shutil.copy(pats / "validation-pats" / "pt_4" / "ct.csv", pats / "train-pats" / "pt_1")
    _, answer = prepared(bare, *WITHOUT.split(" ", 1))
    words = "it holds the same CT as {}, which is kept, with other contours: one person would train"
    assert {entry["patient"]: entry["reason"] for entry in answer.json["excluded"]} == {
        "pt_2": words.format("pt_5") + " and test",  # who has none gives way
        "pt_4": words.format("pt_1") + " and test",
    }
