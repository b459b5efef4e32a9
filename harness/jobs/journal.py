"""The journal of a job: one JSON line a value.

    {"step": 12, "name": "train/d_loss", "value": 0.41, "time": 1790000000000}

`time` is in milliseconds since 1970. A value that is not finite is stored as null with a `flag`
("nan", "inf", "-inf"). Lines up to the *covered* length belong to a saved state, a checkpoint or a
result and are never rewritten: when a job goes back to an older state, it computes those values
again (the same values) and the journal keeps the lines, times included, that it already has.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from harness.base.errors import Damaged
from harness.base.files import check_sum, read_record, sha256_file, write_bytes, write_record
from harness.base.owned import look_before
from harness.base.text import short


@dataclass(frozen=True)
class JournalLine:
    """One value: `step` is an epoch for trainings; `time` in milliseconds since 1970."""

    step: int
    name: str
    value: float
    time: int


def _encode(line: JournalLine) -> bytes:
    entry: dict[str, Any] = dict(vars(line))
    if not math.isfinite(line.value):
        entry |= {"value": None, "flag": str(line.value)}
    return json.dumps(entry, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _decode(text: bytes) -> JournalLine:
    entry = json.loads(text)
    value = entry["value"] if entry["value"] is not None else float(entry["flag"])
    return JournalLine(entry["step"], entry["name"], float(value), entry["time"])


def in_words(values: Mapping[str, float]) -> list[str]:
    """What a person wants to see of an epoch: losses, Dice, rate."""
    words = []
    for name, value in values.items():
        word = name.rpartition("/")[2].replace("_", " ")
        if word == "images per second":
            words.append(f"{value:.0f} images/s")
        elif word.endswith(("loss", "dice")):
            short_forms = {"d loss": "D loss", "g loss": "G loss", "dice": "Dice"}
            words.append(f"{short_forms.get(word, word)} {short(value)}")
    return words


def read_lines(path: Path, start: int = 0, end: int | None = None) -> tuple[list[JournalLine], int]:
    """Whole lines between two byte positions, and the position after the last one.

    `start` is a position that an earlier call returned. If no line ends there any more (the journal
    was cut back and grew again), reading begins anew.

    Raises:
        Damaged: a line is none of a journal.
    """
    if not path.exists():
        return [], 0
    with open(path, "rb") as file:
        file.seek(max(0, start - 1))
        if start and file.read(1) != b"\n":
            start = 0
        file.seek(start)
        block = file.read() if end is None else file.read(max(0, end - start))
    whole = block[: block.rfind(b"\n") + 1]
    try:
        return [_decode(text) for text in whole.split(b"\n")[:-1]], start + len(whole)
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(path, "a line cannot be read") from error


def series(path: Path, name: str, until: int | None = None) -> tuple[list[int], list[float]]:
    """Steps and values of one name, in step order; the last line of a step counts."""
    values = {line.step: line.value for line in read_lines(path)[0] if line.name == name}
    steps = sorted(step for step in values if until is None or step <= until)
    return steps, [values[step] for step in steps]


class Journal:
    """Appends values; opened by the one owner of the job.

    Args:
        path: `journal.jsonl`.
        covered: bytes that a state, checkpoint or result stands for. What lies behind is cut away.

    The journal begins as a new file with the lines that it keeps: what an owner before, stopped in
    the middle of an append, may write when it wakes goes into the old one.
    """

    def __init__(self, path: Path, covered: int = 0) -> None:
        kept, self._length = read_lines(path, 0, covered)
        write_bytes(path, path.read_bytes()[: self._length] if kept else b"")
        self._path = path
        self._file: IO[bytes] = open(path, "ab")  # noqa: SIM115 - closed by `close`
        self._known = {(line.step, line.name) for line in kept}

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append the values of one step; those that the journal already holds stay as they are."""
        look_before(self._path)
        now = time.time_ns() // 1_000_000
        for name, value in values.items():
            if (step, name) in self._known:
                continue
            text = _encode(JournalLine(step, name, float(value), now))
            self._file.write(text)
            self._length += len(text)
            self._known.add((step, name))
        self._file.flush()

    def sync(self) -> int:
        """Make the journal durable; returns its length in bytes, to be stored as covered."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._length

    def close(self) -> None:
        self._file.close()


def mark_covered(folder: Path, length: int, epoch: int) -> None:
    """Publish how much of the journal (bytes) and of the samples (epoch) is final."""
    journal_sum = sha256_file(folder / "journal.jsonl", length)
    mark = {"journal": length, "epoch": epoch, "journal_sum": journal_sum}
    write_record(folder / "covered.json", mark)


def read_covered(folder: Path) -> tuple[int, int]:
    """Bytes and epoch last published by `mark_covered`; zeros before the first, and where mark or
    journal are not what was written."""
    try:
        mark = read_record(folder / "covered.json")
        check_sum(folder / "journal.jsonl", mark["journal_sum"], mark["journal"])
    except (FileNotFoundError, Damaged):
        return 0, 0
    return int(mark["journal"]), int(mark["epoch"])
