"""What a command plans, noted for those who look on.

experiments/<name>/planned.json
    owner      the command's process, as leases name it
    command    its name, e.g. "run"
    jobs       what it asked for so far: kind, digest, epochs, label
    foreseen   jobs in all, and when they will be done (seconds since 1970), as of one of the
               last jobs that ended; null where nobody can tell
    ended      seconds since 1970; null while it runs, and where it stopped or was killed
    refused    whether it ended with a user's error, which it said
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.base.files import read_note, write_record
from harness.jobs.lease import me
from harness.jobs.spec import Request

FILE = "planned.json"
SHARE = 1 / 100
"""Of the driver's time, that noting nothing but when a command will end may take."""


@dataclass(frozen=True)
class PlannedJob:
    """A job that a command asked for; `epochs` are the checkpoints wanted of a training."""

    kind: str
    digest: str
    epochs: tuple[int, ...]
    label: str


@dataclass
class Planned:
    """The note of one command; written when it changes."""

    folder: Path
    command: str = ""
    owner: dict[str, Any] = field(default_factory=me)
    jobs: dict[str, PlannedJob] = field(default_factory=dict)
    ended: float | None = None
    foreseen: tuple[int, float] | None = None
    refused: bool = False
    _due: float = 0.0

    @classmethod
    def read(cls, folder: Path) -> Planned | None:
        """The note in an experiment's folder; None before its first command."""
        if (note := read_note(folder / FILE)) is None:
            return None
        listed = [
            PlannedJob(kind, digest, tuple(e), label) for kind, digest, e, label in note["jobs"]
        ]
        jobs = {job.digest: job for job in listed}
        seen = note.get("foreseen")
        foreseen = None if seen is None else (int(seen[0]), float(seen[1]))
        refused = bool(note.get("refused"))
        return cls(folder, note["command"], note["owner"], jobs, note["ended"], foreseen, refused)

    def add(self, requests: Iterable[Request], foreseen: tuple[int, float] | None = None) -> None:
        """Note what a planning pass asked for, and how many jobs until when are foreseen; where
        that alone is new, now and then."""
        new = {}
        for request in requests:
            digest, label = request.spec.digest, request.label or request.spec.kind
            known = self.jobs.get(digest)
            if known and known.label == label and {*request.epochs} <= {*known.epochs}:
                continue
            epochs = tuple(sorted({*request.epochs, *(known.epochs if known else ())}))
            new[digest] = PlannedJob(request.spec.kind, digest, epochs, label)
        if new or (foreseen is not None and time.monotonic() >= self._due):
            self.foreseen = foreseen
            began = time.monotonic()
            self._write({**self.jobs, **new}, None)
            self._due = time.monotonic() + (time.monotonic() - began) / SHARE

    def end(self) -> None:
        """Note that the command came to its end."""
        self._write(self.jobs, time.time())

    def refuse(self) -> None:
        """Note that the command ended with a user's error."""
        self.refused = True
        self.write()

    def write(self) -> None:
        self._write(self.jobs, self.ended)

    def _write(self, jobs: dict[str, PlannedJob], ended: float | None) -> None:
        listed = [[job.kind, job.digest, list(job.epochs), job.label] for job in jobs.values()]
        note = {
            "owner": self.owner,
            "command": self.command,
            "jobs": listed,
            "foreseen": self.foreseen,
            "ended": ended,
            "refused": self.refused,
        }
        write_record(self.folder / FILE, note)
        self.jobs, self.ended = jobs, ended  # after the file: a full disk is tried again
