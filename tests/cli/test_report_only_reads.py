"""`harness report` shows what other commands made: it reads no patient and cuts no pair."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest
from factories.cli import run_cli

import harness
from harness.base.errors import DataError
from harness.jobs.folder import WorkFolder
from harness.jobs.lease import lease


def unread(
    here: Path, then: str = "harness prepare reads them, and --workdir names another folder"
) -> str:
    return (
        "error: the patients of 'tiny' must have been read under these settings of data, but "
        f"'{here}/harness-work' knows of none; {then}\n"
    )


@pytest.mark.parametrize("command", ["report", "collapse", "ui", "status"])
def test_what_only_reads_makes_no_work_folder(here: Path, experiment: str, command: str) -> None:
    before = sorted(here.rglob("*"))
    answer = run_cli(command, experiment)
    assert (answer.code, answer.out) == (2, "")
    assert f"'{here}/harness-work', where there is no folder; name yours" in answer.err
    assert sorted(here.rglob("*")) == before


def test_a_fresh_work_folder_stays_as_it_is(here: Path, experiment: str) -> None:
    WorkFolder(here / "harness-work").begin()
    answer = run_cli("report", experiment)
    assert (answer.code, answer.out, answer.err) == (2, "", unread(here))
    assert [path.name for path in (here / "harness-work").iterdir()] == ["format.json"]
    with lease(here / "harness-work" / "driver.lease.json", "the work folder"):
        at_it = f"process {os.getpid()} on {socket.gethostname()} is at work there and may be"
        assert at_it in run_cli("report", experiment).err
    (here / "harness-work" / "driver.lease.json").write_bytes(b"\x00 half a le")
    at_it = "somebody whose lease cannot be read is at work there and may be"
    assert at_it in run_cli("report", experiment).err
    held = "a command holds the work folder: somebody whose lease cannot be read"
    assert held in run_cli("status").out
    (here / "harness-work" / "format.json").unlink()
    with pytest.raises(DataError, match=r"which has no format\.json"):
        harness.results(here / "harness-work", here / experiment)


def test_other_settings_of_the_data_are_other_patients(
    here: Path, experiment: str, prepared: Path
) -> None:
    shutil.copytree(prepared, here / "harness-work")
    before = sorted((here / "harness-work").rglob("*"))
    assert run_cli("report", experiment, "-s", "data.spacing_mm=3").err == unread(here)
    assert sorted((here / "harness-work").rglob("*")) == before


def test_the_page_needs_no_patients_where_they_were_read(
    here: Path, experiment: str, prepared: Path
) -> None:
    shutil.copytree(prepared, here / "harness-work")
    made = [here / "harness-work" / name for name in ("jobs", "patient-index")]
    before = [sorted(folder.rglob("*")) for folder in made]
    away = ["-s", "data.root=away"]
    answer = run_cli("report", experiment, *away)
    assert answer.code == 0
    assert "read patients" not in answer.err
    page = (here / "harness-work/experiments/tiny/report/index.html").read_text()
    assert "pt_1" in page
    assert [sorted(folder.rglob("*")) for folder in made] == before
    patients = harness.results(here / "harness-work", here / experiment, away[1:]).patients
    assert sorted(patients["patient"]) == [f"pt_{n}" for n in range(1, 6)]


def test_an_index_that_is_gone_is_said(here: Path, experiment: str, prepared: Path) -> None:
    shutil.copytree(prepared, here / "harness-work")
    next((here / "harness-work" / "patient-index").glob("*.json")).unlink()
    assert run_cli("report", experiment).err == unread(here)
