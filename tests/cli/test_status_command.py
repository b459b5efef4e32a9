"""`harness status` after real commands, and what those note about themselves."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
from factories.cli import run_cli

from harness.base.errors import EnvironmentFault
from harness.base.files import read_json


def test_a_command_notes_its_end_and_its_jobs(
    here: Path, experiment: str, prepared: Path, patients: Path
) -> None:
    shutil.copytree(prepared, here / "my work", dirs_exist_ok=True)
    root = f"data.root={patients}"
    own = [experiment, "-s", root, "--workdir", "my work"]
    assert run_cli("prepare", *own, "--engine", "inline").code == 0

    found = run_cli("status", experiment, "--workdir", "my work", "--json").json
    (entry,) = found["experiments"]
    assert (entry["experiment"], entry["state"]) == ("tiny", "finished")
    assert entry["jobs"] == {"prepare": {"done": 1, "running": 0, "failed": 0, "waiting": 0}}
    assert entry["again"].startswith(f"harness prepare {experiment} -s {root} --workdir")
    assert "quality page, written " in run_cli("status", "tiny", "--workdir", "my work").out

    note = here / "my work" / "experiments" / "tiny" / "planned.json"
    assert read_json(note)["command"] == "prepare"
    assert str(patients) not in note.read_text(), "where patients lie is private"
    kept = here / "my work" / "private" / "commands" / "tiny.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_command_that_broke_off_says_how_to_go_on(
    here: Path, experiment: str, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comparison in surroundings in which nothing can be trained: its jobs fail, with the
    reason."""
    shutil.copytree(prepared, here / "harness-work", dirs_exist_ok=True)

    def faulty(_: object) -> None:
        raise EnvironmentFault("no device")

    monkeypatch.setattr("harness.work.train.segmenter.train_segmenter", faulty)
    words = ["compare", experiment, "-s", "replicates.count=1", "--engine", "inline"]
    words += ["-s", "arms=[none,traditional]", "-s", "decision.candidate=traditional"]
    words += ["-s", "decision.baseline=none", "-s", "decision.secondary=[]"]
    broke = run_cli(*words)
    assert broke.code == 3, broke.err
    answer = run_cli("status", experiment)
    assert "tiny: a job failed: harness compare did not end, process" in answer.out
    assert "failed: segmenter none, replicate" in answer.out
    assert answer.then == ["harness", *words]
