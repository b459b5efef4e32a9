"""`chosen.yaml`: the settings that the sweeps found, frozen for the comparison.

A later sweep that finds other settings writes a new version and leaves the earlier ones alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from harness.base.files import write_text

HEAD = "# Settings chosen by the sweeps, on validation patients and sweep seeds alone.\n"


def newest_chosen(folder: Path) -> Path | None:
    """The file of the newest version, None before the first."""
    return max(folder.glob("chosen-*.yaml"), key=_number, default=None)


def read_chosen(folder: Path) -> dict[str, Any] | None:
    """The newest version, or None before the first."""
    newest = newest_chosen(folder)
    return yaml.safe_load(newest.read_text(encoding="utf-8")) if newest else None


def write_chosen(folder: Path, choice: Mapping[str, Any]) -> Path:
    """Store a choice; the same choice again stays the version it is. Returns the file."""
    newest = newest_chosen(folder)
    if newest is not None and read_chosen(folder) == dict(choice):
        return newest
    number = 1 if newest is None else _number(newest) + 1
    path = folder / f"chosen-{number:03d}.yaml"
    write_text(path, HEAD + yaml.safe_dump(dict(choice), sort_keys=False))
    return path


def _number(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])
