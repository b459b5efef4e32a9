"""An experiment's pairs as an nnU-Net dataset, read back by SimpleITK and the json module."""

from __future__ import annotations

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from factories.fake_executor import StandIn
from factories.openkbp import write_experiment, write_openkbp
from numpy.typing import NDArray
from scipy import ndimage

from harness.base.console import Console
from harness.base.errors import ConfigError, DataError, HarnessError, RuleError
from harness.commands import steps
from harness.commands.chosen_settings import choice
from harness.commands.export.cases import (
    generated_cases,
    label_map,
    real_cases,
    safe_name,
    scan_cases,
)
from harness.commands.export.folds import deal
from harness.commands.export.nnunet import ExportRequest, export_nnunet
from harness.commands.export.text import commands, lines, warnings
from harness.commands.session import Session
from harness.config.load import load_experiment
from harness.data.pairs.store import PairRow, Store, write_store
from harness.jobs.spec import Spec

LOW, HIGH = -324.0, 176.0
GLAND_HU = 90.0  # what `write_openkbp` fills structures with
MADE = 6
ARMS = "arms=[traditional, traditional+gan, real-mask, synthetic-only, shuffled, pretrain-finetune]"


@dataclass
class Work:
    """A work folder whose pairs are real and whose trainings are a stand-in's."""

    file: Path
    root: Path

    def session(self, *changes: str) -> Session:
        experiment = load_experiment(self.file, [ARMS, *changes])
        return Session(experiment, self.root, Console(quiet=True), engine="inline")

    def train(self, passes: int = 1000) -> None:
        """Finish the comparison, or its first passes, and paint the made stores' pictures."""
        session = self.session()
        planner = steps.comparison_of(session, choice(session))
        hands = StandIn(session.work, lambda *_: {"quality/kid": 0.1})
        plan = hands.drive(planner.plan, passes)
        for replicate in plan.replicates:
            for spec, shade in (
                (replicate.synthesis, replicate.seed),
                (replicate.synthesis_on_real_masks, replicate.seed + 10),
            ):
                if spec is not None and session.work.job(spec).result() is not None:
                    self.paint(session, spec, shade)

    @staticmethod
    def paint(session: Session, spec: Spec, shade: int) -> None:
        """A store of flat pictures; `shade` says whose."""
        real = Store.open(session.work.job(session.store).path / "store")
        shape = (MADE, 1, *real.ct.shape[-2:])
        ct = np.full(shape, (shade - 1000) / 100, np.float32)
        masks = np.zeros(shape, np.uint8)
        masks[..., 60:70, 50:80] = 1
        trained = [p["digest"] for p in real.meta["patients"] if p["role"] == "train"]
        meta = {
            **real.meta,
            "kind": "synthetic",
            "patients": [],
            "lineage": {"patients": sorted(trained)},
        }
        rows = [PairRow.synthetic(n, 300) for n in range(MADE)]
        write_store(session.work.job(spec).path / "store", ct, masks, rows, meta)


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    counts = {"train": 3, "validation": 1, "test": 1}
    return write_openkbp(tmp_path_factory.mktemp("secret-place"), counts)


@pytest.fixture(scope="module")
def work(patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Nothing is prepared yet."""
    folder = tmp_path_factory.mktemp("export")
    return Work(write_experiment(folder / "tiny.yaml", patients), folder / "work")


@pytest.fixture(scope="module")
def real(work: Work, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The training patients alone, before anybody typed `prepare`."""
    raw = tmp_path_factory.mktemp("raw")
    found = export_nnunet(work.session(), ExportRequest(raw, folds=3))
    return raw / "Dataset501_tiny", found


@pytest.fixture(scope="module")
def before(
    work: Work, real: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[Path]]:
    """What asking for test patients gives while trainings are under way."""
    work.train(passes=3)
    raw = tmp_path_factory.mktemp("raw")
    with pytest.raises(RuleError) as caught:
        export_nnunet(work.session(), ExportRequest(raw, folds=2, test=True))
    return str(caught.value), list(raw.iterdir())


@pytest.fixture(scope="module")
def compared(work: Work, before: tuple[str, list[Path]]) -> Work:
    """A finished comparison, its test opened."""
    work.train()
    return work


@pytest.fixture(scope="module")
def mixed(compared: Work, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An arm with synthetic pairs, of the second replicate."""
    raw = tmp_path_factory.mktemp("raw")
    request = ExportRequest(raw, "traditional+gan", 1001, dataset_id=7, folds=3)
    return raw / "Dataset007_tiny-traditional-gan-1001", export_nnunet(compared.session(), request)


def voxels(path: Path) -> NDArray[Any]:
    """(F, F) of a file with one slice."""
    array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    assert array.shape[0] == 1
    return np.asarray(array[0])


def cases(dataset: Path) -> list[dict[str, str]]:
    with open(dataset / "cases.csv", newline="") as file:
        return list(csv.DictReader(file))


def names(folder: Path, ending: str) -> set[str]:
    found = [path.name for path in folder.iterdir()]
    assert all(name.endswith(ending) for name in found)
    return {name.removesuffix(ending) for name in found}


def splits_of(dataset: Path) -> list[dict[str, list[str]]]:
    made: list[dict[str, list[str]]] = json.loads((dataset / "splits_final.json").read_text())
    return made


# --- nnU-Net's format -----------------------------------------------------------------------


@pytest.mark.parametrize("which", ["real", "mixed"])
def test_the_folder_keeps_the_contract_of_nnunet(
    which: str, request: pytest.FixtureRequest
) -> None:
    dataset, _ = request.getfixturevalue(which)
    about = json.loads((dataset / "dataset.json").read_text())
    assert about["channel_names"] == {"0": "CT"}
    assert about["labels"] == {"background": 0, "parotid": 1}
    assert about["file_ending"] == ".nii.gz"
    for group in ("Tr", "Ts"):
        images = names(dataset / f"images{group}", "_0000.nii.gz")
        assert images == names(dataset / f"labels{group}", ".nii.gz")
        assert all(name == safe_name(name) for name in images)
        if group == "Tr":
            assert about["numTraining"] == len(images)
    drawn = 0
    for row in cases(dataset):
        group = "Ts" if row["set"] == "validation" else "Tr"
        image = SimpleITK.ReadImage(str(dataset / f"images{group}" / f"{row['case']}_0000.nii.gz"))
        label = SimpleITK.ReadImage(str(dataset / f"labels{group}" / f"{row['case']}.nii.gz"))
        assert image.GetSize() == label.GetSize() == (128, 128, 1)
        assert image.GetSpacing() == label.GetSpacing() == (2.0, 2.0, 999.0)
        assert image.GetOrigin() == label.GetOrigin()
        assert image.GetDirection() == label.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
        assert image.GetPixelID() == SimpleITK.sitkFloat32
        values = set(np.unique(SimpleITK.GetArrayFromImage(label)).tolist())
        assert values <= {0, 1}
        drawn += 1 in values
    assert drawn > 20


def test_voxels_are_those_of_the_store(work: Work, real: tuple[Path, Any]) -> None:
    """And HU as the patients have them: structures are filled with one value."""
    dataset, found = real
    session = work.session()
    store = Store.open(session.work.job(session.store).path / "store")
    by_name = {(r.patient, r.structure, str(r.slice)): n for n, r in enumerate(store.rows)}
    listed, inner = cases(dataset), 0
    assert len(listed) == len(store.rows) == found["cases"]["train"] + found["cases"]["validation"]
    for row in listed:
        place = by_name.pop((row["patient"], row["structure"], row["slice"]))
        assert row["set"] == store.rows[place].role
        group = "Ts" if row["set"] == "validation" else "Tr"
        hu = voxels(dataset / f"images{group}" / f"{row['case']}_0000.nii.gz")
        label = voxels(dataset / f"labels{group}" / f"{row['case']}.nii.gz")
        np.testing.assert_array_equal(label, store.masks[place, 0])
        back = 2 * (hu.astype(np.float64) - LOW) / (HIGH - LOW) - 1
        np.testing.assert_allclose(back, store.ct[place, 0], atol=1e-6)
        assert hu.min() == LOW  # the air around the body
        deep = ndimage.binary_erosion(label, np.ones((5, 5)))  # a voxel from the edge
        inner += int(deep.sum())
        np.testing.assert_allclose(hu[deep], GLAND_HU, atol=1e-3)
    assert inner > 100
    assert not by_name


# --- folds ----------------------------------------------------------------------------------


def test_folds_part_the_training_patients(mixed: tuple[Path, Any], patients: Path) -> None:
    dataset, _ = mixed
    splits = splits_of(dataset)
    assert len(splits) == 3
    listed = {row["case"]: row for row in cases(dataset) if row["set"] != "validation"}
    made = {case for case, row in listed.items() if row["set"] == "synthetic"}
    assert len(made) == MADE
    held: list[str] = []
    sides = defaultdict(set)
    for number, fold in enumerate(splits):
        people = {listed[case]["patient"] for case in fold["val"]}
        assert not people & {listed[case]["patient"] for case in fold["train"]}
        assert not made & set(fold["val"])
        assert made <= set(fold["train"])
        assert set(fold["train"]) | set(fold["val"]) == set(listed)
        assert {listed[case]["fold"] for case in fold["val"]} == {str(number)}
        for case in fold["val"]:
            sides[number].add(listed[case]["structure"])
        held += fold["val"]
    assert sorted(held) == sorted(set(listed) - made)
    assert all(found == {"parotid_left", "parotid_right"} for found in sides.values())
    folder = patients / "provided-data" / "train-pats"
    assert {row["patient"] for row in listed.values()} - {""} == {p.name for p in folder.iterdir()}


def test_patients_are_dealt_evenly_and_by_content_alone() -> None:
    people = [f"{n:02x}" * 12 for n in range(13)]
    folds = deal(people, 5, seed=3)
    counts = np.bincount(list(folds.values()))
    assert sorted(counts.tolist()) == [2, 2, 3, 3, 3]
    assert deal([*reversed(people), *people], 5, seed=3) == folds
    assert deal(people, 5, seed=4) != folds
    with pytest.raises(DataError, match=r"got 13 for 14 folds; type --folds 13$"):
        deal(people, 14, seed=3)


def test_what_trains_on_made_pairs_alone_is_validated_on_patients(
    compared: Work, tmp_path: Path
) -> None:
    found = export_nnunet(compared.session(), ExportRequest(tmp_path, "synthetic-only", folds=2))
    for fold in splits_of(Path(found["dataset"])):
        assert {case.split("-")[0] for case in fold["train"]} == {"synthetic"}
        assert not any(case.startswith("synthetic") for case in fold["val"])
        assert fold["val"]
    assert found["generated"]["share_of_cases"] == [1.0, 1.0]
    assert found["generated"]["share_of_batches"] == 1.0


# --- made pairs -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arm", "replicate", "word", "value"),
    [
        ("traditional+gan", None, "synthetic", 0.0),
        ("traditional+gan", 1001, "synthetic", 0.01),
        ("real-mask", 1001, "real-mask", 0.11),
    ],
)
def test_made_pairs_are_those_of_the_arm_and_replicate(
    compared: Work, tmp_path: Path, arm: str, replicate: int | None, word: str, value: float
) -> None:
    found = export_nnunet(compared.session(), ExportRequest(tmp_path, arm, replicate, folds=2))
    dataset = Path(found["dataset"])
    made = sorted((dataset / "imagesTr").glob(f"{word}-*"))
    assert len(made) == found["cases"]["generated"] == MADE
    np.testing.assert_allclose(voxels(made[3]), LOW + (value + 1) / 2 * (HIGH - LOW), atol=1e-3)
    label = voxels(dataset / "labelsTr" / made[3].name.replace("_0000", ""))
    assert (label[60:70, 50:80] == 1).all()
    assert label.sum() == 300
    about = json.loads((dataset / "dataset.json").read_text())["harness"]
    assert (about["arm"], about["replicate"]) == (arm, replicate or 1000)


def test_an_arm_without_made_pairs_is_the_training_patients(
    compared: Work, real: tuple[Path, Any], tmp_path: Path
) -> None:
    found = export_nnunet(compared.session(), ExportRequest(tmp_path, "traditional", folds=3))
    dataset, _ = real
    assert found["generated"] is None
    assert splits_of(Path(found["dataset"])) == splits_of(dataset)


def test_pairs_of_strangers_to_the_training_set_are_refused(compared: Work, tmp_path: Path) -> None:
    session = compared.session()
    planner = steps.comparison_of(session, choice(session))
    spec = planner.replicates.plan(session.graph(), 1000, ("traditional+gan",), "").synthesis
    assert spec is not None
    path = session.work.job(spec).path / "store" / "meta.json"
    whole = path.read_text()
    meta = json.loads(whole)
    tested = next(d for d, role in session.roles.items() if role == "test")
    meta["lineage"]["patients"].append(tested)
    path.write_text(json.dumps(meta))
    try:
        with pytest.raises(RuleError, match="but 1 of the patients behind them are neither"):
            export_nnunet(session, ExportRequest(tmp_path, "traditional+gan", folds=2))
    finally:
        path.write_text(whole)
    assert list(tmp_path.iterdir()) == []


# --- test patients --------------------------------------------------------------------------


def test_test_patients_stay_out_until_the_test_is_opened(
    before: tuple[str, list[Path]], real: tuple[Path, Any], patients: Path
) -> None:
    refusal, written = before
    assert "--test needs the test evaluation, which happens once, after all training" in refusal
    assert written == []
    dataset, _ = real
    (hidden,) = (patients / "provided-data" / "test-pats").iterdir()
    assert hidden.name not in {row["patient"] for row in cases(dataset)}
    assert sorted(path.name for path in dataset.iterdir() if path.is_dir()) == [
        "imagesTr", "imagesTs", "labelsTr", "labelsTs",
    ]  # fmt: skip


def test_an_opened_test_gives_its_patients(compared: Work, patients: Path, tmp_path: Path) -> None:
    found = export_nnunet(compared.session(), ExportRequest(tmp_path, folds=2, test=True))
    dataset = Path(found["dataset"])
    tested = [row for row in cases(dataset) if row["set"] == "test"]
    folder = patients / "provided-data" / "test-pats"
    assert {row["patient"] for row in tested} == {path.name for path in folder.iterdir()}
    assert {row["case"] for row in tested} == names(dataset / "imagesTest", "_0000.nii.gz")
    assert not {row["case"] for row in tested} & names(dataset / "imagesTr", "_0000.nii.gz")
    inner = 0
    for row in tested:
        hu = voxels(dataset / "imagesTest" / f"{row['case']}_0000.nii.gz")
        label = voxels(dataset / "labelsTest" / f"{row['case']}.nii.gz")
        deep = ndimage.binary_erosion(label, np.ones((5, 5)))  # a voxel from the edge
        np.testing.assert_allclose(hu[deep], GLAND_HU, atol=1e-3)
        inner += int(deep.sum())
    assert inner > 40
    with pytest.raises(RuleError, match="has none under the present settings; run harness compare"):
        export_nnunet(
            compared.session("segmentation.updates=5"),
            ExportRequest(tmp_path, dataset_id=2, test=True),
        )


def test_pairs_cut_from_kept_scans_are_the_stores(work: Work, real: tuple[Path, Any]) -> None:
    """Validation patients have both, so what test patients get can be held against it."""
    session = work.session()
    store = Store.open(session.work.job(session.store).path / "store")
    kept = {case.name: case for case in real_cases(store, "validation")}
    for case in scan_cases(store, "validation"):
        same = kept.pop(case.name)
        np.testing.assert_array_equal(case.ct, same.ct)
        np.testing.assert_array_equal(case.masks, same.masks)
        assert (case.patient, case.mirrored) == (same.patient, same.mirrored)
    assert not kept


# --- refusals -------------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], type[HarnessError], str]] = [
    ({"arm": "tradition"}, ConfigError, "but got 'tradition'; did you mean 'traditional'?"),
    ({"arm": "oracle"}, ConfigError, "but got 'oracle'; name one of them"),
    ({"arm": "shuffled"}, ConfigError, "labels are other pairs' on purpose; name another arm"),
    ({"arm": "pretrain-finetune"}, ConfigError, "which trains on two in turn; export synthetic-"),
    ({"replicate": 1000}, ConfigError, "but got 1000 with no --arm; leave it out"),
    (
        {"arm": "traditional", "replicate": 1000},
        ConfigError,
        "but got 1000 with --arm traditional, which has none; leave it out",
    ),
    (
        {"arm": "real-mask", "replicate": 1002},
        ConfigError,
        "--replicate must be one of the experiment's, 1000 to 1001, but got 1002",
    ),
    ({"folds": 4}, DataError, "but got 3 for 4 folds; type --folds 3"),
]


@pytest.mark.parametrize(("asked", "kind", "words"), REFUSED)
def test_what_cannot_be_exported_is_refused_in_a_sentence(
    compared: Work, tmp_path: Path, asked: dict[str, Any], kind: type[HarnessError], words: str
) -> None:
    with pytest.raises(kind) as caught:
        export_nnunet(compared.session(), ExportRequest(tmp_path, **asked))
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_pairs_that_are_not_made_yet_are_asked_for(compared: Work, tmp_path: Path) -> None:
    session = compared.session("synthesis.pairs=13")
    with pytest.raises(DataError, match="replicate 1000 has none under the present settings; run"):
        export_nnunet(session, ExportRequest(tmp_path, "traditional+gan"))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(compared: Work, real: tuple[Path, Any], tmp_path: Path) -> None:
    dataset, _ = real
    for output, number, words in (
        (dataset.parent, 501, "which is neither; name another --output or --dataset-id"),
        (dataset, 502, "name the folder above it"),
        (dataset / "dataset.json", 502, "--output must be a folder, but got the file"),
    ):
        with pytest.raises(ConfigError, match=words):
            export_nnunet(compared.session(), ExportRequest(output, dataset_id=number, folds=2))
    (tmp_path / "Dataset501_other").mkdir()
    with pytest.raises(ConfigError, match="but got 501, which 'Dataset501_other' has in"):
        export_nnunet(compared.session(), ExportRequest(tmp_path, folds=2))
    (tmp_path / "Dataset502_tiny").mkdir()  # empty is as good as new
    export_nnunet(compared.session(), ExportRequest(tmp_path, dataset_id=502, folds=2))
    assert (tmp_path / "Dataset502_tiny" / "dataset.json").exists()


# --- killed, and what leaves the machine ------------------------------------------------------


def test_a_killed_export_leaves_no_dataset(compared: Work, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    words = ["export", "nnunet", str(compared.file), "--output", str(raw), "--folds", "2", "-s"]
    words += [ARMS, "--workdir", str(compared.root), "--json"]
    command = [sys.executable, "-m", "harness", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(raw.glob(".*.part/labelsTr/*")) and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert [path.name for path in raw.iterdir()] == [".Dataset501_tiny.part"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in raw.iterdir()] == ["Dataset501_tiny"]
    found = json.loads(done.stdout)
    assert found["dataset"] == str(raw / "Dataset501_tiny")
    assert found["cases"]["train"] == len(list((raw / "Dataset501_tiny/imagesTr").iterdir()))
    assert "nnUNetv2_plan_and_preprocess -d 501 -c 2d --verify_dataset_integrity" in done.stderr
    assert "nnUNetv2_train 501 2d 0" in done.stderr


def test_no_path_enters_a_file(mixed: tuple[Path, Any], work: Work, patients: Path) -> None:
    dataset, _ = mixed
    secrets = [str(patients).encode(), b"secret-place", str(work.root).encode(), b"provided-data"]
    for path in dataset.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.name.endswith(".gz"):
                assert content[3] == 0 or str(path.parent).encode() not in content[:200]
                content = gzip.decompress(content)
            assert not any(secret in content for secret in secrets), path.name


# --- pieces ---------------------------------------------------------------------------------


def test_overlapping_channels_keep_the_lower_label() -> None:
    masks = np.array([[[1, 1, 0, 0]], [[0, 1, 1, 0]]], np.uint8)
    assert label_map(masks).tolist() == [[1, 1, 2, 0]]


def tiny_store(folder: Path, people: Mapping[str, str]) -> Store:
    """One flat pair per patient: digest -> pseudonym."""
    rows = [
        PairRow(n, name, digest, "train", "parotid_left", "left", 7, 0.0, True, 0, True, "{}")
        for n, (digest, name) in enumerate(people.items())
    ]
    pictures = np.zeros((len(rows), 1, 8, 8), np.float32)
    patients = [{"patient": name, "digest": d, "role": "train"} for d, name in people.items()]
    meta = {"kind": "real", "channels": ["parotid"], "patients": patients, "lineage": {}}
    write_store(folder, pictures, pictures.astype(np.uint8), rows, meta)
    return Store.open(folder)


def test_case_names_are_plain_and_different(tmp_path: Path) -> None:
    people = {"aa": "pt_1", "bb": "pt/1", "cc": "PT 1", "dd": "pt_2", "ee": "\u00fc"}
    store = tiny_store(tmp_path, people)
    assert [case.name for case in real_cases(store, "train")] == [
        "pt-1-aa-parotid-left-007",
        "pt-1-bb-parotid-left-007",
        "PT-1-cc-parotid-left-007",
        "pt-2-parotid-left-007",
        "p-ee-parotid-left-007",
    ]
    assert [case.name for case in generated_cases(store, "fresh")][-1] == "fresh-00004"


def test_words_say_what_is_held_and_what_to_mind(mixed: tuple[Path, Any]) -> None:
    dataset, found = mixed
    said = "\n".join(lines(found))
    assert "of 3 training patients, and all 6 synthetic pairs of replicate 1001" in said
    assert "of 1 validation patient, with labelsTs" in said
    assert "test patients: none" in said
    assert "HU within -324 to 176, float32; labels: 0 background, 1 parotid" in said
    assert "the arm's own segmenter has 50 % of its batches from them" in said
    (warned,) = warnings(found)
    assert "cross-validation flatters such a dataset; judge it on imagesTs" in warned
    typed = commands(found)
    assert typed[0].startswith(f"export nnUNet_raw={dataset.parent}")
    assert typed[-1] == "nnUNetv2_train 7 2d 0"
    listed = warnings({**found, "generated": None, "legacy_scaling": True, "overlapping_pixels": 2})
    assert [words.split()[0] for words in listed] == ["data.legacy_scaling", "2"]
