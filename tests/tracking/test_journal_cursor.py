"""What of a job folder is final and was not sent yet."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.jobs.journal import Journal, mark_covered
from harness.tracking.journal_cursor import (
    Cursor,
    Picture,
    Sent,
    find_pictures,
    part_name,
    read_batch,
    span,
)
from harness.tracking.run_view import JournalPart


def fill(folder: Path, epochs: range, covered: int | None = None) -> None:
    """Two values an epoch; everything is covered unless told otherwise."""
    length = sum(path.stat().st_size for path in folder.glob("journal.jsonl"))
    journal = Journal(folder / "journal.jsonl", covered=length)
    for epoch in epochs:
        journal.log(epoch, {"a": float(epoch), "b": -float(epoch)})
        if epoch == covered:
            mark_covered(folder, journal.sync(), epoch)
    if covered is None and len(epochs):
        mark_covered(folder, journal.sync(), epochs[-1])
    journal.close()


def steps(lines: object) -> list[int]:
    return sorted({line.step for line in lines})  # type: ignore[attr-defined]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "jobs" / "mask-stage" / ("a" * 24)
    made.mkdir(parents=True)
    return made


def test_a_folder_without_anything_has_nothing_new(folder: Path) -> None:
    for part in (
        JournalPart(folder),
        JournalPart(folder, whole=True),
        JournalPart(folder / "missing", whole=True),
    ):
        batch = read_batch(part, Cursor())
        assert (batch.lines, batch.pictures, batch.remade) == ([], [], False)


def test_only_covered_lines_are_read_and_each_once(folder: Path) -> None:
    fill(folder, range(1, 6), covered=3)
    first = read_batch(JournalPart(folder), Cursor())
    assert steps(first.lines) == [1, 2, 3]
    assert len(first.lines) == 6
    assert read_batch(JournalPart(folder), first.after).lines == []
    fill(folder, range(6, 8))
    second = read_batch(JournalPart(folder), first.after)
    assert steps(second.lines) == [4, 5, 6, 7]
    assert len(second.lines) == 8


def test_a_whole_feed_ends_at_its_last_whole_line(folder: Path) -> None:
    fill(folder, range(1, 3))
    with open(folder / "journal.jsonl", "ab") as file:
        file.write(b'{"step": 3, "name": "a", "val')
    assert steps(read_batch(JournalPart(folder, whole=True), Cursor()).lines) == [1, 2]


def test_a_limit_leaves_later_epochs_out_until_it_is_raised(folder: Path) -> None:
    fill(folder, range(1, 9))
    short = read_batch(JournalPart(folder, until=3), Cursor())
    assert steps(short.lines) == [1, 2, 3]
    assert read_batch(JournalPart(folder, until=3), short.after).lines == []
    longer = read_batch(JournalPart(folder, until=6), short.after)
    assert {4, 5, 6} <= set(steps(longer.lines)) <= set(range(1, 7))
    assert read_batch(JournalPart(folder, until=6), longer.after).lines == []
    assert {7, 8} <= set(steps(read_batch(JournalPart(folder), longer.after).lines))


def test_a_lowered_limit_brings_nothing_twice(folder: Path) -> None:
    fill(folder, range(1, 9))
    far = read_batch(JournalPart(folder, until=6), Cursor())
    assert read_batch(JournalPart(folder, until=3), far.after).lines == []


def test_a_journal_that_was_made_anew_is_noticed(folder: Path) -> None:
    fill(folder, range(1, 4))
    cursor = read_batch(JournalPart(folder), Cursor()).after
    lines = (folder / "journal.jsonl").read_text().splitlines()
    later = [json.loads(line) | {"time": json.loads(line)["time"] + 5000} for line in lines]
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in later))
    mark_covered(folder, (folder / "journal.jsonl").stat().st_size, 3)
    batch = read_batch(JournalPart(folder), cursor)
    assert batch.remade
    assert batch.lines == []
    assert steps(read_batch(JournalPart(folder), Cursor()).lines) == [1, 2, 3]


def test_a_journal_that_is_gone_is_no_new_one(folder: Path) -> None:
    """Deleted work stays shown: nobody can say that it was wrong."""
    fill(folder, range(1, 4))
    cursor = read_batch(JournalPart(folder), Cursor()).after
    shutil.rmtree(folder)
    assert not read_batch(JournalPart(folder), cursor).remade


def test_pictures_up_to_the_covered_epoch(folder: Path) -> None:
    fill(folder, range(1, 9), covered=5)
    samples = folder / "samples"
    samples.mkdir()
    for name in ("a-000001", "b-000005", "a-000005", "a-000008", "no-epoch", "a-12", "-000002"):
        (samples / f"{name}.png").write_bytes(b"")
    (samples / ".a-000003.png.tmp").write_bytes(b"")
    first = read_batch(JournalPart(folder), Cursor())
    assert [(p.key, p.epoch) for p in first.pictures] == [("a", 1), ("a", 5), ("b", 5)]
    assert read_batch(JournalPart(folder), first.after).pictures == []
    mark_covered(folder, 10**6, 8)
    assert [p.epoch for p in read_batch(JournalPart(folder), first.after).pictures] == [8]
    assert [p.epoch for p in read_batch(JournalPart(folder, until=1), Cursor()).pictures] == [1]


def test_keys_of_pictures_may_hold_dashes(tmp_path: Path) -> None:
    path = tmp_path / "mask-truth-prediction-000120.png"
    path.write_bytes(b"")
    assert find_pictures(tmp_path, -1, 200) == [Picture(path, "mask-truth-prediction", 120)]


def test_a_span_is_from_the_first_line_to_the_newest_sent(tmp_path: Path) -> None:
    for name, times in (("a", (3000, 4000, 9000)), ("b", (2000, 5000))):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "journal.jsonl").write_text(
            "".join(
                json.dumps({"step": n, "name": "x", "value": 1.0, "time": time}) + "\n"
                for n, time in enumerate(times)
            )
        )
    parts = [JournalPart(tmp_path / name, whole=True) for name in ("a", "b", "missing")]
    assert span(parts, None) == (2000, 0)
    after = {part_name(part): read_batch(part, Cursor()).after for part in parts}
    assert span(parts, Sent(after)) == (2000, 9000)
    assert span([], None) == (0, 0)


def test_the_note_of_what_was_sent_survives_as_text() -> None:
    sent = Sent(
        {"abc": Cursor(1, 2, 3, 4, 5)},
        {"quality/kid": (0.1, 1_790_000_000_000), "nan": (float("inf"), 3)},
        {"report/index.html": [10, 20]},
    )
    assert Sent.read(sent.text()) == sent


@pytest.mark.parametrize(
    "text", ["", "{}", "null", "[]", "{", '{"parts": {"a": "xy"}}', '{"parts": 3}',
             '{"parts": {}, "summary": {"a": 1}, "artifacts": {}}']
)  # fmt: skip
def test_a_note_that_cannot_be_read_counts_as_nothing_sent(text: str) -> None:
    assert Sent.read(text) == Sent()


def test_a_feed_keeps_its_name_when_the_work_folder_moves() -> None:
    name = part_name(JournalPart(Path("/one/jobs/mask-stage/abc")))
    assert part_name(JournalPart(Path("/two/other/jobs/mask-stage/abc"))) == name
    assert part_name(JournalPart(Path("/one/jobs/image-stage/abc"))) != name
    assert part_name(JournalPart(Path("/one/jobs/mask-stage/abd"))) != name
