"""`harness report` shows what other commands made: it reads no patient and cuts no pair."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from factories.cli import run_cli

import harness
from harness.base.errors import DataError

UNREAD = (
    "error: the patients of 'tiny' must have been read under these settings of data, but "
    "'harness-work' knows of none; harness prepare reads them\n"
)


def test_a_fresh_work_folder_stays_as_it_is(here: Path, experiment: str) -> None:
    answer = run_cli("report", experiment)
    assert (answer.code, answer.out, answer.err) == (2, "", UNREAD)
    assert list((here / "harness-work").iterdir()) == []
    with pytest.raises(DataError, match=r"which has no format\.json"):
        harness.results(here / "harness-work", here / experiment)


def test_other_settings_of_the_data_are_other_patients(
    here: Path, experiment: str, prepared: Path
) -> None:
    shutil.copytree(prepared, here / "harness-work")
    before = sorted((here / "harness-work").rglob("*"))
    assert run_cli("report", experiment, "-s", "data.spacing_mm=3").err == UNREAD
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
    assert run_cli("report", experiment).err == UNREAD
