"""The commands that users type, from DICOM files to a report, with failures on the way.

The patients are phantoms that say who they are wherever they can. Their names, identifiers and
paths stay in the private folder. So do names of ROIs, which `prepare` prints nonetheless, since
only they say what to change in `data.patterns`.
"""

from __future__ import annotations

import csv
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factories.cli import run_cli
from factories.planted import PLANTED, SECRETS, UIDS
from factories.planted_patients import BROKEN, ROI, planted
from factories.unpacked import contents

from harness.config.data import PhantomConfig

pytestmark = pytest.mark.timeout(900)

EXPERIMENT = """\
name: whole-path
conclusive: false
data:
  source: dicom
  root: ROOT
  patterns: {parotid_left: ["(?i)^(L|LT|Glnd)?[ _]*Parotid[ _]*(L|Left)?$", "^Ohr li Neuromancer$"]}
  roles: {validation: 0.2, test: 0.5}
  spacing_mm: 1.25
mask: {width: 4, batch_size: 16, schedule: {epochs: 2}}
image: {width: 4, batch_size: 16, schedule: {epochs: 1}}
synthesis: {pairs: 24}
compute: {precision: float32}  # how many of the pairs hold a structure depends on it
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
  trials_per_batch: 2
  mask:
    trials: 2
    space: {batch_size: {values: [8, 16]}, schedule.epochs: {values: [1, 2]}}
  image:
    trials: 1
    space: {batch_size: {values: [8, 16]}}
tracking: {sample_grids: 2}
"""


PHANTOMS = PhantomConfig(patients=14, slices=16, spacing_mm=(4.0, 3.0, 3.0))
Ran = tuple[Path, dict[str, Any], str]
Harness = Callable[..., tuple[dict[str, Any], str]]
SAID: list[str] = []
"""Everything that any command printed."""


def said(code: int, out: str, err: str, expected: int = 0) -> tuple[dict[str, Any], str]:
    """The JSON object of a command that ended, and what else it said."""
    SAID.extend((out, err))
    assert code == expected, err
    return json.loads(out), err


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    home = planted(tmp_path_factory.mktemp("patients"), PHANTOMS)
    folder = tmp_path_factory.mktemp("whole")
    (folder / "experiment.yaml").write_text(EXPERIMENT.replace("ROOT", json.dumps(str(home))))
    # A process of its own with workers, as a user's; what is typed later there needs neither.
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "experiment.yaml", "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
    )
    return folder, *said(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def harness(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """Runs a further command there."""
    monkeypatch.chdir(ran[0])
    return lambda *words, code=0: said(*run_cli(*words, "--json"), code)


def test_run_ends_in_a_pilot_with_an_interval(ran: Ran) -> None:
    folder, found, told = ran
    assert "too short to conclude" in told
    page = folder / found["report"]
    assert "too short to conclude" in page.read_text().lower()
    effects = found["compare"]["effects"]
    assert [effect["status"] for effect in effects] == ["pilot", "pilot"]
    assert all(effect["p"] is None and not effect["word"] for effect in effects)
    low, high = effects[0]["interval_95"]
    assert low < effects[0]["mean"] < high
    cells = list(csv.DictReader((folder / found["compare"]["scores"]).open()))
    assert len(cells) == 3 * 3 * 5
    assert all(0 <= float(cell["value"]) <= 1 for cell in cells)


def test_nothing_is_done_twice(ran: Ran, harness: Harness) -> None:
    folder, found, _ = ran
    jobs = folder / "harness-work" / "jobs"
    before = {path: path.stat().st_mtime_ns for path in jobs.rglob("*") if path.is_file()}
    again, told = harness("run", "experiment.yaml")
    assert {p: p.stat().st_mtime_ns for p in jobs.rglob("*") if p.is_file()} == before
    assert again["verdicts"] == found["verdicts"]
    assert "start   mask" not in told
    # Opened once, however often the command is typed.
    openings = (folder / "harness-work" / "openings.jsonl").read_text().splitlines()
    assert len(openings) == 1


def test_nothing_is_written_elsewhere(ran: Ran) -> None:
    folder, _, _ = ran
    assert sorted(path.name for path in folder.iterdir()) == ["experiment.yaml", "harness-work"]


def test_another_rule_after_the_opening_gives_no_verdict(harness: Harness) -> None:
    other = ("-s", "decision.margin=0.02")
    found, _ = harness("compare", "experiment.yaml", *other, "--engine", "inline")
    assert all("opened before" in sentence for sentence in found["verdicts"])
    again, _ = harness("compare", "experiment.yaml")
    assert not any("opened before" in sentence for sentence in again["verdicts"])


def test_failures_are_said_of_pseudonyms(ran: Ran, harness: Harness) -> None:
    folder, _, _ = ran
    prepared, _ = harness("prepare", "experiment.yaml")
    reasons = " ".join(entry["reason"] for entry in prepared["excluded"])
    # Of a structure set that is cut off nobody knows whose it was: it counts as another patient.
    assert len(prepared["excluded"]) == len(BROKEN) + 1
    for words in ("pixels of every slice", "no structure set", "no CT slices", "got 'Parotid_L'"):
        assert words in reasons
    wrong = ("-s", "data.structures=[larynx]", "-s", "name=nobody")
    harness("prepare", "experiment.yaml", *wrong, code=2)
    large = ("image.width=30000", "sweep={mask: null, image: null, segmentation: null}")
    changed = [w for c in (*large, "replicates.count=1", "name=fails") for w in ("-s", c)]
    harness("run", "experiment.yaml", *changed, "--engine", "inline", code=3)
    found, _ = harness("report", "experiment.yaml")
    assert Path(folder / found["report"]).exists()


def test_nothing_that_was_printed_says_who_it_was(ran: Ran) -> None:
    assert len(SAID) >= 2
    for text in SAID:
        lines = [line for line in text.splitlines() if not line.startswith("next: ")]
        assert not [(s, line) for line in lines for s in (*SECRETS, UIDS) if s in line]


def test_nothing_that_was_written_says_who_it_was(ran: Ran) -> None:
    """Archives, databases and pictures unpacked."""
    work = ran[0] / "harness-work"
    secrets = [s.encode() for s in (*SECRETS, UIDS, f"{PLANTED} clinic", ROI)]
    seen = []
    for path in (path for path in work.rglob("*") if path.is_file()):
        place = path.relative_to(work)
        if place.parts[0] != "private":
            assert not [s for s in secrets if s in str(place).encode()], place
            for where, content in contents(path):
                seen.append(where)
                assert not [s for s in secrets if s in content], where
    for part in (
        *("mlflow.db!tags.value", "mlflow.db!metrics.key", "mask.db!trial_values", "index.html!"),
        *("latest.pt!", ".png!text", "report.json", "scores.csv", "quality.json"),
        *("workers.log", "artifacts/", "journal.jsonl"),
    ):
        assert any(part in where for where in seen), part
    lists = [work / "private" / name for name in ("dicom/files.json", "names.json")]
    assert PLANTED in lists[0].read_text()
    # Of each patient but three whose set is cut off, not there or has other names; and "Ohr li".
    assert lists[1].read_text().count(ROI) == PHANTOMS.patients - 3 + 1


def test_only_where_mlflow_keeps_artifacts_says_where_the_work_folder_lies(ran: Ran) -> None:
    """As docs/own-data.md has it."""
    work, here = ran[0] / "harness-work", str(ran[0]).encode()
    files = [path for path in work.rglob("*") if path.is_file() and "private" not in path.parts]
    found = {where for path in files for where, content in contents(path) if here in content}
    assert {where.removeprefix(f"{work}/mlflow/") for where in found} == {
        "artifacts.json",
        "mlflow.db",
        "mlflow.db!experiments.artifact_location",
        "mlflow.db!runs.artifact_uri",
    }


def test_who_may_look(ran: Ran) -> None:
    work = ran[0] / "harness-work"
    assert stat.S_IMODE(work.stat().st_mode) == 0o700
    private = [work / "private", *(work / "private").rglob("*")]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in private if path.is_dir()}
    assert modes == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in private if path.is_file()} == {0o600}


def test_names_of_rois_are_numbered_on_pages_and_shown_where_asked(
    ran: Ran, harness: Harness
) -> None:
    folder, _, _ = ran
    found, _ = harness("prepare", "experiment.yaml")
    page = (folder / found["quality"]).read_text()
    names = json.loads((folder / found["quality"]).with_name("quality.json").read_text())[
        "roi_names"
    ]
    numbered = {n: of for n, of in names.items() if n.startswith("other name ")}
    usual = names.keys() - numbered.keys()
    assert {"Parotid_L", "L parotid", "Spinal_Cord"} & usual
    assert [of["structure"] for of in numbered.values()].count("parotid_left") == 1
    assert all(name in page for name in names)
    shown, _ = harness("prepare", "experiment.yaml", "-s", "privacy.roi_names=true")
    assert (folder / shown["quality"]).read_text().count(ROI) > 10
    harness("prepare", "experiment.yaml")  # leaves no page with names behind
