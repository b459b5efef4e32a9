"""An arm's dataset holds the synthetic pairs of that arm and replicate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exporting import HIGH, LOW, MADE, Work, splits_of, voxels

from harness.commands.export.nnunet import ExportRequest, export_nnunet
from harness.commands.export.text import commands, lines, warnings


@pytest.mark.parametrize(
    ("arm", "replicate", "word", "value"),
    [
        ("traditional+gan", None, "gan", 0.0),
        ("traditional+gan", 1001, "gan", 0.01),
        ("real-mask", 1001, "gan-on-real-masks", 0.11),
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


def test_words_say_what_is_held_and_what_to_mind(mixed: tuple[Path, Any]) -> None:
    dataset, found = mixed
    said = "\n".join(lines(found))
    assert "of 3 training patients, and all 6 gan pairs of replicate 1001" in said
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
