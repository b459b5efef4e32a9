"""The user's register of openings: which test patients were opened, over all work folders.

A work folder has a register of its own (`work/evaluate/opening.py`), which alone withdraws
verdicts. The command that drives a comparison copies its entries into one file of the user's,
`$XDG_STATE_HOME/harness/openings.jsonl` (`~/.local/state` where that is unset), before any test
score is submitted. The command, not the job: jobs may run on the nodes of a cluster, as another
user or under another home; the command runs where the person is. What a kill left out is entered by
the next one.

A line holds the time, the digests of rule and segmenters, and HMACs of the patients' content
digests and of the opening, under a random key that lies beside the file; no path and no name. The
opening stands for its whole entry in the work folder, time included: it stays the same where that
folder is moved or copied, and one deleted and begun anew cannot hide it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from harness.base.files import canonical_json
from harness.base.text import counted, day, first_of
from harness.data.dicom.private import PRIVATE, private_folder, private_key

Model = TypeVar("Model", bound=BaseModel)
SHOWN = 5
"""Earlier openings that a sentence lists."""
PLACE = "harness/openings.jsonl with its key in $XDG_STATE_HOME or ~/.local/state"
"""The register in words: a page shows nobody's paths."""


class _Entry(BaseModel, strict=True):
    """An opening in a work folder's register."""

    patients: list[str]
    rule: str
    segmenters: str
    extended: bool
    time: Annotated[float, Field(gt=0, lt=1e11, allow_inf_nan=False)]
    continues: bool = False


class _Line(BaseModel, strict=True):
    """An opening in the user's register; `key` tells which key it is under."""

    key: str
    opening: str
    patients: list[str]
    rule: str
    segmenters: str
    time: Annotated[float, Field(gt=0, lt=1e11, allow_inf_nan=False)]
    continues: bool = False

    @classmethod
    def of(cls, entry: _Entry, key: bytes) -> _Line:
        return cls(
            key=_mark(key),
            # What is usual is left out: openings are known by what they held before there was more.
            opening=_seal(key, canonical_json(entry.model_dump(exclude_defaults=True))),
            patients=sorted(_seal(key, patient) for patient in entry.patients),
            rule=entry.rule,
            segmenters=entry.segmenters,
            time=entry.time,
            continues=entry.continues,
        )


@dataclass(frozen=True)
class EarlierOpening:
    """An opening in another work folder.

    Attributes:
        date: in UTC.
        patients: how many of the test patients asked about it opened.
        same_rule, same_segmenters: it was under their rule, for their very segmenters.
        continues: it was a later look of a comparison that had opened them before.
    """

    date: str
    patients: int
    same_rule: bool
    same_segmenters: bool
    continues: bool = False


@dataclass(frozen=True)
class EarlierOpenings:
    """What the user's register knows of some test patients.

    Attributes:
        patients: number of test patients.
        openings: earlier ones in other work folders, by time.
        known: whether the register could be read.
        trouble: why it could not be read or, if `known`, not be written; else empty.
        unreadable: lines that were skipped.
    """

    patients: int
    openings: tuple[EarlierOpening, ...] = ()
    known: bool = True
    trouble: str = ""
    unreadable: int = 0

    @property
    def candidates(self) -> int:
        """How many candidates were looked at, one by an opening; the same trainings under the same
        rule, as a copy of the work folder has them, are the same look."""
        return sum(
            not (one.continues or (one.same_rule and one.same_segmenters)) for one in self.openings
        )

    @property
    def sentence(self) -> str:
        """All of it in words, without a path."""
        if not self.known:
            return f"Earlier openings in other work folders are not known: {self.trouble}."
        patients = f"of these {counted(self.patients, 'test patient')} in other work folders"
        if self.openings:
            text = f"{counted(len(self.openings), 'earlier opening')} {patients}: "
            text += first_of([self._words(opening) for opening in self.openings], SHOWN)
            text += "."
        else:
            text = f"No earlier opening {patients} is in the user's register."
        if self.unreadable:
            lines = counted(self.unreadable, "line")
            text += f" {lines} of the register could not be read (damaged, or under another key)."
        if self.trouble:
            text += f" Other work folders will not know of this opening: {self.trouble}."
        return text

    def _words(self, opening: EarlierOpening) -> str:
        of = f"{opening.patients} of {self.patients} patients"
        rule = "the same rule" if opening.same_rule else "another rule"
        segmenters = ", the same segmenters" if opening.same_segmenters else ""
        return f"{opening.date} ({of}, {rule}{segmenters})"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, with the sentence."""
        return {**asdict(self), "sentence": self.sentence}


def enter_openings(root: Path) -> str:
    """Enter the openings of the work folder `root` that the user's register lacks.

    Returns:
        Why that was impossible; empty if they stand there.
    """
    own = _folder_entries(root)
    if not own:
        return ""
    try:
        path = _place()
        private_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, PRIVATE)
        with open(descriptor, "a+", encoding="utf-8", errors="replace") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            key = private_key(path.with_name("key"))
            file.seek(0)
            text = file.read()
            known = {line.opening for line in _lines(text, key)[0]}
            lines = [line for entry in own if (line := _Line.of(entry, key)).opening not in known]
            if lines:
                # Half a line of a writer that was killed stays one by itself.
                file.write("\n" if text and not text.endswith("\n") else "")
                dumped = (line.model_dump(exclude_defaults=True) for line in lines)
                file.writelines(json.dumps(line) + "\n" for line in dumped)
                file.flush()
                os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:
        return _why(error)
    return ""


def earlier_openings(
    root: Path, patients: Sequence[str], rule: str, segmenters: str = "", trouble: str = ""
) -> EarlierOpenings:
    """What the user's register knows of test patients; makes and changes nothing.

    Args:
        root: the work folder, whose own openings are not counted.
        patients: content digests.
        rule, segmenters: digests of an opening in `root`, for what is earlier than it; of one that
            is not there, for all that is known.
        trouble: what `enter_openings` returned.
    """
    try:
        path = _place()
        with open(path, encoding="utf-8", errors="replace") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            text, key = file.read(), path.with_name("key").read_bytes()
    except (OSError, RuntimeError) as error:
        return EarlierOpenings(len(patients), known=False, trouble=trouble or _why(error))
    lines, unreadable = _lines(text, key)
    own = [_Line.of(entry, key) for entry in _folder_entries(root)]
    wanted = sorted(_seal(key, patient) for patient in patients)
    asked = (wanted, rule, segmenters)
    times = [line.time for line in own if (line.patients, line.rule, line.segmenters) == asked]
    until = min(times, default=float("inf"))
    found, seen = [], {line.opening for line in own}
    for line in sorted(lines, key=lambda line: line.time):
        overlap = len(set(wanted).intersection(line.patients))
        if overlap and line.time < until and line.opening not in seen:
            same_rule, same_segmenters = line.rule == rule, line.segmenters == segmenters
            found.append(
                EarlierOpening(day(line.time), overlap, same_rule, same_segmenters, line.continues)
            )
        seen.add(line.opening)
    return EarlierOpenings(len(patients), tuple(found), True, trouble, unreadable)


def folder_openings(root: Path, patients: Sequence[str]) -> list[str]:
    """The days on which any of these patients were opened in the work folder `root`."""
    return [day(e.time) for e in _folder_entries(root) if {*patients} & {*e.patients}]


def _place() -> Path:
    """The register; a variable that is no absolute path counts as unset.

    Raises:
        RuntimeError: nobody knows where this user's home is.
    """
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    state = given if given.is_absolute() else Path.home() / ".local" / "state"
    return state / "harness" / "openings.jsonl"


def _why(error: Exception) -> str:
    """The error without the path it may name."""
    if isinstance(error, FileNotFoundError):
        return f"there is no {PLACE}"
    return f"{PLACE}: {getattr(error, 'strerror', None) or error}".rstrip(".")


def _folder_entries(root: Path) -> list[_Entry]:
    """The entries of a work folder; lines that are none are the opening's job to complain of."""
    path = root / "openings.jsonl"
    text = path.read_text("utf-8", "replace") if path.exists() else ""
    return _parsed(_Entry, text[: text.rfind("\n") + 1])[0]


def _lines(text: str, key: bytes) -> tuple[list[_Line], int]:
    """The lines under this key, and how many others there are."""
    whole, damaged = _parsed(_Line, text)
    lines = [line for line in whole if line.key == _mark(key)]
    return lines, damaged + len(whole) - len(lines)


def _parsed(model: type[Model], text: str) -> tuple[list[Model], int]:
    """What each line holds, and how many hold something else."""
    found: list[Model] = []
    lines = [line for line in text.split("\n") if line]
    for line in lines:
        with contextlib.suppress(ValidationError):
            found.append(model.model_validate_json(line))
    return found, len(lines) - len(found)


def _seal(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:24]


def _mark(key: bytes) -> str:
    return _seal(key, "key")[:8]
