"""The list of published reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.base.errors import DataError
from harness.report.index import check_place, publish_index


def report(folder: Path, name: str, **changes: Any) -> None:
    values = {
        "question": "Does it help?",
        "date": "2026-09-21",
        "headline": "a against b: helps.",
        "verdict": "a against b: helps.",
        "status": "verdict",
        "conclusive": True,
    }
    (folder / name).mkdir(parents=True)
    (folder / name / "report.json").write_text(json.dumps({**values, **changes}))


def lines(folder: Path) -> list[str]:
    return publish_index(folder).read_text().splitlines()


def test_an_empty_folder_has_an_empty_list(tmp_path: Path) -> None:
    assert publish_index(tmp_path).name == "README.md"
    assert lines(tmp_path)[-1] == "None yet."


def test_the_newest_report_comes_first(tmp_path: Path) -> None:
    report(tmp_path, "b-old", date="2026-01-01")
    report(tmp_path, "a-old", date="2026-01-01")
    report(tmp_path, "new", date="2026-05-05")
    (tmp_path / "not-a-report").mkdir()
    rows = [line for line in lines(tmp_path) if line.startswith("| [")]
    assert [row.partition("]")[0] for row in rows] == ["| [new", "| [a-old", "| [b-old"]
    assert rows[0] == (
        "| [new](new/index.html) | Does it help? | a against b: helps. | 2026-05-05 |"
    )


def test_what_is_no_verdict_says_so(tmp_path: Path) -> None:
    report(tmp_path, "pilot", status="pilot", verdict=None, headline="mean +0.1.")
    report(tmp_path, "short", conclusive=False, headline="mean +0.2.")
    text = "\n".join(lines(tmp_path))
    assert "No verdict (pilot). mean +0.1." in text
    assert "Shows the path, too short to conclude. mean +0.2." in text


def test_a_sweep_without_a_comparison_is_answered_by_its_verdicts(tmp_path: Path) -> None:
    stages = {"mask": {"sentence": "mask stage: 27 of 75 trainings collapsed."}}
    report(tmp_path, "sweep", status="no comparison", verdict=None, collapse=stages)
    assert "| Mask stage: 27 of 75 trainings collapsed. |" in lines(tmp_path)[-1]


def test_words_cannot_break_the_table(tmp_path: Path) -> None:
    report(tmp_path, "odd name", question="a | b\n[x](http://e.example) <b> *c*")
    row = lines(tmp_path)[-1]
    assert "(odd%20name/index.html)" in row
    assert r"a \| b \[x\](http://e.example) \<b\> \*c\*" in row
    assert row.replace(r"\|", "").count("|") == 5


def test_a_report_is_replaced_by_one_of_the_same_question_alone(tmp_path: Path) -> None:
    report(tmp_path, "x")
    check_place(tmp_path / "x", "Does it help?")
    check_place(tmp_path / "new", "Does it harm?")
    with pytest.raises(
        DataError, match=r"but x asks 'Does it help\?'; give the experiment another"
    ):
        check_place(tmp_path / "x", "Does it harm?")


@pytest.mark.parametrize("text", ["{}", "[1]", "not json"])
def test_a_foreign_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "report.json").write_text(text)
    with pytest.raises(DataError, match=r"must be one that the report command wrote.*in x"):
        publish_index(tmp_path)
