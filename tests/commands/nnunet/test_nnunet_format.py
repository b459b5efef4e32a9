"""The dataset keeps nnU-Net's format, read back by SimpleITK and the json module."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from exporting import GLAND_HU, HIGH, LOW, MADE, Work, cases, names, splits_of, voxels
from scipy import ndimage

from harness.base.errors import DataError
from harness.commands.export.cases import (
    generated_cases,
    label_map,
    real_cases,
    safe_name,
)
from harness.commands.export.folds import deal
from harness.commands.export.nnunet import ExportRequest, export_nnunet
from harness.data.pairs.store import PairRow, Store, write_store


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


def test_folds_part_the_training_patients(mixed: tuple[Path, Any], patients: Path) -> None:
    dataset, _ = mixed
    splits = splits_of(dataset)
    assert len(splits) == 3
    listed = {row["case"]: row for row in cases(dataset) if row["set"] != "validation"}
    made = {case for case, row in listed.items() if row["set"] == "gan"}
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
        assert {case.split("-")[0] for case in fold["train"]} == {"gan"}
        assert not any(case.startswith("gan") for case in fold["val"])
        assert fold["val"]
    assert found["generated"]["share_of_cases"] == [1.0, 1.0]
    assert found["generated"]["share_of_batches"] == 1.0


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
