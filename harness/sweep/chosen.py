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


def read_chosen(folder: Path) -> dict[str, Any] | None:
    """The newest version, or None before the first."""
    versions = sorted(folder.glob("chosen-*.yaml"))
    return yaml.safe_load(versions[-1].read_text(encoding="utf-8")) if versions else None


def write_chosen(folder: Path, choice: Mapping[str, Any]) -> Path:
    """Store a choice; the same choice again stays the version it is. Returns the file."""
    versions = sorted(folder.glob("chosen-*.yaml"))
    if versions and read_chosen(folder) == dict(choice):
        return versions[-1]
    path = folder / f"chosen-{len(versions) + 1:03d}.yaml"
    write_text(path, HEAD + yaml.safe_dump(dict(choice), sort_keys=False))
    return path
