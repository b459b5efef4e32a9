"""Test patients stay out of a dataset until the test is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exporting import GLAND_HU, Work, cases, names, voxels
from scipy import ndimage

from harness.base.errors import RuleError
from harness.commands.export.cases import (
    real_cases,
    scan_cases,
)
from harness.commands.export.nnunet import ExportRequest, export_nnunet
from harness.data.pairs.store import Store


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
