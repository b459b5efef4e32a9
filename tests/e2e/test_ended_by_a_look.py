"""Phantoms whose masks belong to other slices: they harm, and the first look finds it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories.cli import run_cli

pytestmark = pytest.mark.timeout(600)

EXPERIMENT = """\
name: looks
conclusive: false
data:
  phantom: {patients: 16, slices: 12, spacing_mm: [4.0, 3.0, 3.0]}
  roles: {validation: 0.13, test: 0.63}
  spacing_mm: 2.5
  crop: {frame_px: 64}
compute: {precision: float32}
segmentation:
  channels: [8, 16]
  residual_units: 0
  batch_size: 8
  updates: 160
  updates_per_epoch: 160
  learning_rate: 0.05
arms: [none, "exchanged-labels:only"]
replicates: {count: 6}
decision: {baseline: none, candidate: "exchanged-labels:only", secondary: [], looks: [5, 6]}
metrics: {images: 16, scored_epochs: 1}
sweep: {mask: null, image: null, segmentation: null}
tracking: {enabled: false}
"""


def test_a_harm_that_the_first_look_finds_ends_the_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    Path("looks.yaml").write_text(EXPERIMENT)
    answer = run_cli("compare", "looks.yaml", "--json")
    assert answer.code == 0, answer.err
    (effect,) = answer.json["effects"]
    assert (effect["patients"], effect["replicates"]) == (10, 5)
    assert effect["word"] == "harms"
    assert effect["look"]["looks"] == [5, 6]
    assert "found early and so overstated" in effect["sentence"]
    assert "look 1 of 2, at 5 of 6 replicates" in effect["sentence"]
    work = Path("harness-work")
    assert len(list((work / "jobs" / "segmenter").iterdir())) == 10, "the sixth is not trained"
    assert len((work / "openings.jsonl").read_text().splitlines()) == 1
    # The table of the page's folder, judged as anyone's: the same word.
    again = run_cli(
        "decide", answer.json["scores"], "--baseline", "none", "--candidate",
        "exchanged-labels:only", "--looks", "5,6", "--json",
    )  # fmt: skip
    assert again.code == 0, again.err
    assert again.json["effects"][0]["word"] == "harms"
    assert again.json["effects"][0]["mean"] == pytest.approx(effect["mean"])
    repeated = run_cli("compare", "looks.yaml", "--json")
    assert repeated.json["effects"] == answer.json["effects"]
    assert run_cli("report", "looks.yaml", "--json").code == 0
    page = next(work.rglob("report/index.html")).read_text(encoding="utf-8")
    assert "look 1 of 2, at 5 of 6 replicates" in page
    summary = json.loads(next(work.rglob("report/report.json")).read_text())
    assert summary["effects"][0]["word"] == "harms"
