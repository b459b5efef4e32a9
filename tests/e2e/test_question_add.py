"""Both questions on tiny phantoms, from one command: what is trained, judged and said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories.cli import run_cli

pytestmark = pytest.mark.timeout(600)

EXPERIMENT = """\
name: on-top
conclusive: false
data:
  phantom: {patients: 8, slices: 16, spacing_mm: [4.0, 3.0, 3.0]}
  roles: {validation: 0.2, test: 0.5}
  spacing_mm: 2.5
  crop: {frame_px: 64}
mask: {width: 4, schedule: {epochs: 1}}
image: {width: 4, batch_size: 16, schedule: {epochs: 1}}
synthesis: {pairs: 8, attempts: 200}
segmentation: {channels: [4, 8], residual_units: 0, batch_size: 4, updates: 4, updates_per_epoch: 2}
arms: [traditional, longer, traditional+gan, traditional+nothing, "traditional+gan:added"]
replicates: {count: 1}
metrics: {images: 16, scored_epochs: 1, audit_extractors: [auto]}
sweep: {mask: null, image: null, segmentation: null}
decision: {question: add, secondary: []}
tracking: {enabled: false}
"""


def test_the_question_is_answered_and_the_other_stands_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("on-top.yaml").write_text(EXPERIMENT)
    answer = run_cli("compare", "on-top.yaml", "--engine", "inline", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["question"] == "add"
    first, second = found["effects"]
    assert (first["candidate"], first["baseline"]) == (
        "traditional+gan:added",
        "traditional+nothing",
    )
    assert (first["primary"], first["question"]) == (True, "add")
    assert (second["primary"], second["question"]) == (False, "replace")
    assert "(synthetic pairs on top of the same real ones)" in first["sentence"]
    seen = found["exposures"]
    control, added = seen["traditional+nothing"], seen["traditional+gan:added"]
    assert control == {**added, "synthetic_pairs": 0}
    assert added["synthetic_pairs"] == 2 * 4
    assert seen["traditional"]["structure_passes"] > added["structure_passes"]
    assert "over those with the structure" in answer.err
    assert seen["longer"]["real_passes"] > seen["traditional"]["real_passes"]
    assert "longer - traditional" in answer.err
    assert run_cli("report", "on-top.yaml", "--json").code == 0
    page = next(Path().rglob("report/index.html")).read_text(encoding="utf-8")
    assert "(primary: synthetic pairs on top of the same real ones)" in page
