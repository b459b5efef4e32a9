"""What a job folder has to show beyond what the tracker already has.

Nothing here knows MLflow. Only what is final is read: journal lines that a state or a result
covers, and pictures up to the covered epoch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path

from harness.base import damage
from harness.base.errors import Damaged
from harness.jobs.journal import JournalLine, read_covered, read_lines
from harness.tracking.run_view import JournalPart

_PICTURE = re.compile(r"(?P<key>.+)-(?P<epoch>\d{6,})\.png")
_NO_LIMIT = 2**62


@dataclass(frozen=True)
class Cursor:
    """How much of a part was sent.

    Attributes:
        born: time of the journal's first line (ms); another one means that it was made anew.
        length: bytes of the journal.
        until: the part's limit at that time.
        epoch: last epoch whose pictures were sent.
        ended: time of the newest line sent (ms).
    """

    born: int = 0
    length: int = 0
    until: int = 0
    epoch: int = -1
    ended: int = 0


@dataclass(frozen=True)
class Picture:
    """A sample grid: `samples/<key>-<epoch>.png`."""

    path: Path
    key: str
    epoch: int


@dataclass(frozen=True)
class Batch:
    """What is new in a part, and where the cursor stands once it is sent."""

    lines: list[JournalLine]
    pictures: list[Picture]
    after: Cursor
    remade: bool = False


@dataclass
class Sent:
    """What one run already has; kept at the run itself as a tag, so that a restart knows it.

    Attributes:
        parts: cursor by part.
        summary: value and time (ms) by name.
        artifacts: size and modification time (ns) by "folder/name".
    """

    parts: dict[str, Cursor] = field(default_factory=dict)
    summary: dict[str, tuple[float, int]] = field(default_factory=dict)
    artifacts: dict[str, list[int]] = field(default_factory=dict)

    def text(self) -> str:
        parts = {name: astuple(cursor) for name, cursor in self.parts.items()}
        sent = {"parts": parts, "summary": self.summary, "artifacts": self.artifacts}
        return json.dumps(sent, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Sent:
        """From a tag; what cannot be read counts as nothing sent, which only costs a replay."""
        try:
            sent = json.loads(text)
            return cls(
                {name: Cursor(*numbers) for name, numbers in sent["parts"].items()},
                {name: (float(value), int(at)) for name, (value, at) in sent["summary"].items()},
                dict(sent["artifacts"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()


def part_name(part: JournalPart) -> str:
    """A short name of the part that does not depend on where the work folder lies."""
    return hashlib.sha256("/".join(part.folder.parts[-2:]).encode()).hexdigest()[:8]


def read_batch(part: JournalPart, cursor: Cursor) -> Batch:
    """What `cursor` has not seen; `remade`, and nothing else, if the journal was made anew. Of a
    damaged journal, which is noted, nothing."""
    try:
        return _read(part, cursor)
    except Damaged as damaged:
        damage.note(damaged)
        return Batch([], [], cursor)


def _read(part: JournalPart, cursor: Cursor) -> Batch:
    length, epoch = read_covered(part.folder)
    journal = part.folder / "journal.jsonl"
    if part.whole:
        length, epoch = journal.stat().st_size if journal.exists() else 0, _NO_LIMIT
    born = _born(journal)
    if cursor.length and born not in (0, cursor.born):
        return Batch([], [], Cursor(), remade=True)
    until = _NO_LIMIT if part.until is None else part.until
    grown = cursor.length > 0 and until > cursor.until
    start = 0 if grown else cursor.length  # what was left out before counts now; doubles collapse
    lines, end = read_lines(journal, start, length) if length > start else ([], start)
    wanted = [line for line in lines if part.after < line.step <= until]
    sent = max(cursor.epoch, part.after)
    pictures = find_pictures(part.folder / "samples", sent, min(epoch, until))
    ended = max([cursor.ended, *(line.time for line in wanted)])
    seen = max([cursor.epoch, *(picture.epoch for picture in pictures)])
    after = Cursor(born if end else 0, end, max(until, cursor.until), seen, ended)
    return Batch(wanted, pictures, after)


def find_pictures(folder: Path, after: int, until: int) -> list[Picture]:
    """Pictures with `after` < epoch <= `until`, by epoch, then by key."""
    pictures = []
    for path in folder.glob("*.png") if folder.is_dir() else ():
        parts = _PICTURE.fullmatch(path.name)
        if parts and after < int(parts["epoch"]) <= until:
            pictures.append(Picture(path, parts["key"], int(parts["epoch"])))
    return sorted(pictures, key=lambda picture: (picture.epoch, picture.key))


def span(parts: Sequence[JournalPart], sent: Sent | None) -> tuple[int, int]:
    """Time (ms) of the earliest line and of the newest line sent; zeros where there is none."""
    starts = [born for part in parts if (born := _born(part.folder / "journal.jsonl"))]
    ends = [cursor.ended for cursor in sent.parts.values()] if sent else []
    return min(starts, default=0), max(ends, default=0)


def _born(journal: Path) -> int:
    if not journal.exists():
        return 0
    with open(journal, "rb") as file:
        first = file.readline()
    try:
        return int(json.loads(first)["time"]) if first.endswith(b"\n") else 0
    except (KeyError, TypeError, ValueError):
        return 0
