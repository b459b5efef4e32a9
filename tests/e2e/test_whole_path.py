"""The commands that users type, from phantoms written as DICOM to a report."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXPERIMENT = """\
name: whole-path
conclusive: false
data:
  source: phantom
  phantom: {patients: 10, slices: 20}
  roles: {validation: 0.2, test: 0.5}
  spacing_mm: 1.25
mask: {width: 4, batch_size: 16, schedule: {epochs: 2}}
image: {width: 4, batch_size: 16, schedule: {epochs: 1}}
synthesis: {pairs: 8}
segmentation:
  channels: [4, 8]
  residual_units: 0
  batch_size: 4
  updates: 4
  updates_per_epoch: 2
arms: [traditional, traditional+gan, gan]
replicates: {count: 3}
metrics: {images: 16, scored_epochs: 2}
sweep:
  seeds: 1
  wave: 2
  mask:
    trials: 2
    space: {batch_size: {values: [8, 16]}, schedule.epochs: {values: [1, 2]}}
  image:
    trials: 1
    space: {batch_size: {values: [8, 16]}}
tracking: {pictures: 2}
"""


def harness(folder: Path, *words: str) -> tuple[dict[str, Any], str]:
    """Run a command there; its JSON object and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "harness", *words, "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "experiment.yaml").write_text(EXPERIMENT)
    return folder, *harness(folder, "run", "experiment.yaml")


def test_run_ends_in_a_pilot_with_an_interval(ran: tuple[Path, dict[str, Any], str]) -> None:
    folder, found, said = ran
    assert "too short to conclude" in said
    page = folder / found["report"]
    assert "too short to conclude" in page.read_text().lower()
    effects = found["compare"]["effects"]
    assert [effect["status"] for effect in effects] == ["pilot", "pilot"]
    assert all(effect["p"] is None and not effect["word"] for effect in effects)
    low, high = effects[0]["interval95"]
    assert low < effects[0]["mean"] < high
    cells = list(csv.DictReader((folder / found["compare"]["scores"]).open()))
    assert len(cells) == 3 * 3 * 5
    assert all(0 <= float(cell["value"]) <= 1 for cell in cells)


def test_nothing_is_done_twice(ran: tuple[Path, dict[str, Any], str]) -> None:
    folder, found, _ = ran
    jobs = folder / "harness-work" / "jobs"
    before = {path: path.stat().st_mtime_ns for path in jobs.rglob("*") if path.is_file()}
    again, said = harness(folder, "run", "experiment.yaml")
    assert {p: p.stat().st_mtime_ns for p in jobs.rglob("*") if p.is_file()} == before
    assert again["verdicts"] == found["verdicts"]
    assert "start   mask" not in said
    # Opened once, however often the command is typed.
    openings = (folder / "harness-work" / "openings.jsonl").read_text().splitlines()
    assert len(openings) == 1


def test_nothing_is_written_elsewhere(ran: tuple[Path, dict[str, Any], str]) -> None:
    folder, _, _ = ran
    assert sorted(path.name for path in folder.iterdir()) == ["experiment.yaml", "harness-work"]


def test_another_rule_after_the_opening_gives_no_verdict(
    ran: tuple[Path, dict[str, Any], str],
) -> None:
    folder, _, _ = ran
    found, _ = harness(folder, "compare", "experiment.yaml", "-s", "decision.margin=0.02")
    assert all("opened before" in sentence for sentence in found["verdicts"])
    again, _ = harness(folder, "compare", "experiment.yaml")
    assert not any("opened before" in sentence for sentence in again["verdicts"])
