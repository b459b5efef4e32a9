"""The journal: what is covered stays, the rest is cut, what is made again keeps its first time."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.base.files import write_text
from harness.jobs.journal import (
    Journal,
    JournalLine,
    mark_covered,
    read_covered,
    read_lines,
    series,
)


def write(path: Path, *steps: int, covered: int = 0) -> int:
    journal = Journal(path, covered)
    for step in steps:
        journal.log(step, {"a": step * 0.5, "b": -step})
    length = journal.sync()
    journal.close()
    return length


def test_a_line_is_json_with_its_time_in_milliseconds(tmp_path: Path) -> None:
    length = write(tmp_path / "deep" / "j.jsonl", 3)
    text = (tmp_path / "deep" / "j.jsonl").read_bytes()
    assert len(text) == length
    first, second = (json.loads(line) for line in text.splitlines())
    assert (first["step"], first["name"], first["value"]) == (3, "a", 1.5)
    assert (second["name"], second["value"]) == ("b", -3.0)
    assert 1_600_000_000_000 < first["time"] < 4_000_000_000_000


@given(st.lists(st.floats(), min_size=1, max_size=8))
def test_any_float_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    path = tmp_path_factory.mktemp("j") / "j.jsonl"
    journal = Journal(path)
    for step, value in enumerate(values):
        journal.log(step, {"v": value})
    journal.close()
    for line, value in zip(read_lines(path)[0], values, strict=True):
        same = math.isnan(line.value) if math.isnan(value) else line.value == value
        assert same
        assert math.copysign(1, line.value) == math.copysign(1, value) or math.isnan(value)


@pytest.mark.parametrize(
    ("value", "flag"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")]
)
def test_what_json_cannot_say_is_null_with_a_flag(value: float, flag: str, tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    journal.log(1, {"v": value})
    journal.close()
    plain = json.loads(path.read_text())
    assert plain["value"] is None
    assert plain["flag"] == flag


def test_what_lies_behind_the_covered_length_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    covered = write(path, 1, 2)
    kept = path.read_bytes()
    write(path, 3, 4, covered=covered)
    Journal(path, covered).close()
    assert path.read_bytes() == kept


@pytest.mark.parametrize("cut", [1, 5, 20, 40])
def test_half_a_line_of_a_crash_goes(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    covered = write(path, 1)
    torn = b'{"step":2,"name":"a","value":1.0,"time":1790000000000}\n'[:cut]
    path.write_bytes(path.read_bytes() + torn)
    assert len(read_lines(path)[0]) == 2, "a reader sees whole lines only"
    write(path, 2, covered=covered + len(torn))
    assert series(path, "a") == ([1, 2], [0.5, 1.0])


def test_a_value_made_again_keeps_its_line_and_its_time(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    covered = write(path, 1, 2, 3)
    before = path.read_bytes()
    journal = Journal(path, covered)
    journal.log(2, {"a": 99.0, "new": 7.0})
    journal.log(2, {"new": 8.0})
    assert journal.sync() == path.stat().st_size
    journal.close()
    after = path.read_bytes()
    assert after.startswith(before)
    assert [line.name for line in read_lines(path)[0]].count("new") == 1
    assert series(path, "a")[1] == [0.5, 1.0, 1.5]


def test_the_length_counts_bytes(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    journal.log(1, {"größe/µ": 1.0})
    assert journal.sync() == path.stat().st_size
    journal.close()
    assert read_lines(path)[0][0].name == "größe/µ"


# --- readers --------------------------------------------------------------------------------------


def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    assert read_lines(path) == ([], 0)
    first = write(path, 1)
    lines, at = read_lines(path)
    assert (len(lines), at) == (2, first)
    write(path, 2, covered=first)
    more, end = read_lines(path, at)
    assert [(line.step, line.name) for line in more] == [(2, "a"), (2, "b")]
    assert end == path.stat().st_size
    assert read_lines(path, end) == ([], end)
    assert read_lines(path, 0, first)[0] == lines, "up to a given length"


def line(step: int, name: str) -> bytes:
    return f'{{"step":{step},"name":"{name}","value":0.5,"time":17}}\n'.encode()


def test_a_reader_ahead_of_a_journal_that_was_cut_starts_anew(tmp_path: Path) -> None:
    """The display follows a journal whose owner is killed: lines that no state covers go, and
    others come that end elsewhere."""
    path = tmp_path / "j.jsonl"
    path.write_bytes(line(1, "a") + line(2, "a long name"))
    _, ahead = read_lines(path)
    path.write_bytes(line(1, "a"))
    assert read_lines(path, ahead)[0] == [JournalLine(1, "a", 0.5, 17)]
    path.write_bytes(line(1, "a") + line(2, "b") + line(3, "b"))
    lines, at = read_lines(path, ahead)
    assert [line.step for line in lines] == [1, 2, 3]
    assert at == path.stat().st_size
    path.unlink()
    assert read_lines(path, at) == ([], 0)


def test_a_series_is_in_step_order_and_may_end_early(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    write(path, 3, 1, 2)
    assert series(path, "a") == ([1, 2, 3], [0.5, 1.0, 1.5])
    assert series(path, "a", until=2) == ([1, 2], [0.5, 1.0])
    assert series(path, "unknown") == ([], [])


def test_covered_is_what_was_last_marked(tmp_path: Path) -> None:
    assert read_covered(tmp_path) == (0, 0)
    write_text(tmp_path / "journal.jsonl", "-" * 130)
    mark_covered(tmp_path, 120, 4)
    assert read_covered(tmp_path) == (120, 4)
    write_text(tmp_path / "journal.jsonl", "-" * 100)
    assert read_covered(tmp_path) == (0, 0), "a journal that is shorter is another one"
