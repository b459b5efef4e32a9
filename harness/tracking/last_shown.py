"""Whether a store that is a file still shows all there is, without opening it: MLflow takes seconds
to import, and a command that is repeated has nothing new.

The note lies beside the database: a digest of what a sync reads (views, their journals, pictures
and files) and of the database's size and time, which any write changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness.base.files import digest_of, read_note, write_record
from harness.jobs.identity import folder_identity
from harness.jobs.journal import read_covered
from harness.tracking.run_view import JournalPart, RunView


def note_shown(database: Path, workdir: Path, name: str, views: Sequence[RunView]) -> None:
    """Note that the database shows these views of an experiment, after a closing sync."""
    write_record(_note(database, workdir, name), {"shown": _state(database, views)})


def still_shown(database: Path, workdir: Path, name: str, views: Sequence[RunView]) -> bool:
    """Whether neither the views nor the database changed since that was noted."""
    note = _note(database, workdir, name)
    known = read_note(note) if database.exists() else None
    return known == {"shown": _state(database, views)}


def _note(database: Path, workdir: Path, name: str) -> Path:
    return database.with_name(f"shown-{digest_of([folder_identity(workdir), name])[:12]}.json")


def _state(database: Path, views: Sequence[RunView]) -> str:
    shown = [
        [
            repr(replace(view, parts=(), artifacts=())),
            [_part(part) for part in view.parts],
            [[folder, *_file(path)] for path, folder in view.artifacts],
        ]
        for view in views
    ]
    return digest_of([str(database), _stamp(database), shown])


def _part(part: JournalPart) -> list[Any]:
    folder = part.folder
    pictures = sorted(path.name for path in (folder / "samples").glob("*.png"))
    journal = _stamp(folder / "journal.jsonl")
    return [repr(part), *read_covered(folder), journal, pictures]


def _file(path: Path) -> list[str]:
    """Name and content: a page that is written again mostly says the same."""
    return [path.name, sha256(path.read_bytes()).hexdigest() if path.exists() else ""]


def _stamp(path: Path) -> list[int]:
    state = path.stat() if path.exists() else None
    return [state.st_size, state.st_mtime_ns] if state is not None else []
