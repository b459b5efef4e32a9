"""What a training of each arm saw stands on the page and in report.json."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from page_checks import Smaller, check, written

from harness.work.slots import Exposure


def test_passes_and_pairs_stand_beside_each_arm(smaller: Smaller, tmp_path: Path) -> None:
    seen = {"traditional": Exposure(4.25, 6.54, 0), "gan": Exposure(2.1, 2.26, 16000)}
    page, found = written(replace(smaller(10, 5), exposures=seen), tmp_path)
    check(page)
    rows = {row[0]: row[2:5] for row in page.rows if len(row) == 6}
    assert rows["traditional"] == ["4.2", "6.5", "0"]
    assert rows["gan"] == ["2.1", "2.3", "16000"]
    assert rows["none"] == ["\u2013"] * 3
    assert found["arms"]["gan"]["exposure"] == {
        "real_passes": 2.1,
        "structure_passes": 2.26,
        "synthetic_pairs": 16000,
    }
    assert found["arms"]["none"]["exposure"] is None


def test_the_headline_says_which_question_it_answers(smaller: Smaller, tmp_path: Path) -> None:
    _, found = written(smaller(10, 5), tmp_path)
    asked = "traditional+gan against traditional (synthetic pairs in the place of real ones)"
    assert found["headline"].startswith(f"{asked}: ")
    assert found["effects"][0]["question"] == "replace"
    extended, _ = written(smaller(10, 5, extended=True), tmp_path)
    assert "traditional+gan minus traditional (synthetic pairs in the place" in extended.html
