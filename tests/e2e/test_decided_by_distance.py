"""A comparison of tiny phantoms that HD95 decides, end to end: choice, budget, table, words."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from factories.cli import run_cli

from harness.base.files import read_json

pytestmark = pytest.mark.timeout(600)

EXPERIMENT = """\
name: distance
conclusive: false
data:
  phantom: {patients: 10, slices: 16, spacing_mm: [4.0, 3.0, 3.0]}
  roles: {validation: 0.2, test: 0.5}
  spacing_mm: 2.5
  crop: {frame_px: 64}
segmentation: {channels: [4, 8], residual_units: 0, batch_size: 4, updates: 8, updates_per_epoch: 4}
arms: [none, traditional]
replicates: {count: 3}
metrics: {images: 16, scored_epochs: 1, audit_extractors: [auto]}
sweep:
  mask: null
  image: null
  seeds: 1
  segmentation: {candidates: 2, space: {learning_rate: {values: [0.05]}}}
decision:
  measure: hd95_mm
  co_primary: {dice: 0.01}
  baseline: none
  candidate: traditional
  secondary: []
  budget_seeds: 3
tracking: {enabled: false}
"""


def job_rows(kind: str) -> list[tuple[str, dict[str, str]]]:
    """Digest of the job and row, of every table of scores of a kind."""
    found = []
    for path in Path("harness-work").glob(f"**/{kind}/*/scores.csv"):
        with open(path, newline="", encoding="utf-8") as file:
            found += [(path.parent.name, row) for row in csv.DictReader(file)]
    return found


def test_a_distance_chooses_judges_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("distance.yaml").write_text(EXPERIMENT)
    swept = run_cli("sweep", "distance.yaml", "--engine", "inline", "--json")
    assert swept.code == 0, swept.err
    assert "validation HD95 in mm of whole volumes after each length:" in swept.err
    answer = run_cli("compare", "distance.yaml", "--engine", "inline", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    effect, by_dice = found["effects"]
    assert (found["measure"], effect["measure"]) == ("hd95_mm", "hd95_mm")
    assert (
        "traditional against none, all of HD95, Dice: no verdict, for want of one of HD95, Dice "
        f"(HD95 in mm {effect['mean']:+.2f} (lower is better)"
    ) in effect["sentence"]
    # The table that is decided is the jobs' own column, and Dice stands beside it.
    with open(found["scores"], newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    tests = job_rows("test-score")
    means = sorted(float(row["hd95_mm"]) for _, row in tests if row["structure"] == "mean")
    assert sorted(float(row["value"]) for row in table) == pytest.approx(means)
    assert "dice" in table[0]
    assert "hd95_mm" not in table[0]
    of_arm = {
        arm: [float(row["value"]) for row in table if row["arm"] == arm]
        for arm in ("none", "traditional")
    }
    difference = [sum(values) / len(values) for values in of_arm.values()]
    assert effect["mean"] == pytest.approx(difference[1] - difference[0])
    # Both measures are primary: the second table is the jobs' other column.
    assert (by_dice["measure"], by_dice["margin"], by_dice["primary"]) == ("dice", 0.01, False)
    assert effect["together"] == by_dice["together"] == ["HD95", "Dice"]
    also = {arm: [float(row["dice"]) for row in table if row["arm"] == arm] for arm in of_arm}
    gained = [sum(values) / len(values) for values in also.values()]
    assert by_dice["mean"] == pytest.approx(gained[1] - gained[0])
    assert "all of HD95, Dice: no verdict, for want of one of HD95, Dice" in effect["sentence"]
    # Failures, counted again in the jobs' tables.
    counted: Counter[str] = Counter()
    for digest, row in tests:
        if row["structure"] != "mean":
            job = next(Path("harness-work").glob(f"**/test-score/{digest}"))
            segmenter = read_json(job / "spec.json")["inputs"]["segmenter"]["digest"]
            trained = next(Path("harness-work").glob(f"**/segmenter/{segmenter}"))
            augmented = read_json(trained / "spec.json")["config"]["fill"]["augment"]
            arm = "traditional" if augmented else "none"
            counted[arm] += 1
            counted[f"{arm} failed"] += float(row["dice"]) < 0.1
            counted[f"{arm} empty"] += row["predicted"] == "0"
    for entry in found["failures"]:
        arm = entry["arm"]
        assert entry["segmentations"] == counted[arm]
        assert entry["failed"] == counted[f"{arm} failed"]
        assert entry["empty"] == counted[f"{arm} empty"]
    assert sum(entry["failed"] for entry in found["failures"]) > 0  # eight updates teach little
    often = any(entry["failed"] > 0.05 * entry["segmentations"] for entry in found["failures"])
    assert (" fails on " in effect["sentence"]) == often
    assert "mean HD95 in mm on test patients" in answer.err
    assert "validation HD95 in mm by updates" in answer.err
    assert "by validation HD95 of whole volumes" in found["chosen"]["segmentation"]
    assert run_cli("report", "distance.yaml", "--json").code == 0
    page = next(Path().rglob("report/index.html")).read_text(encoding="utf-8")
    assert "Mean test HD95 (mm) over 5 patients" in page
    assert "Further primary measures" in page
    assert "Secondary comparisons" not in page
