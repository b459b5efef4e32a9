"""`chosen.yaml`: the settings that the sweeps found, frozen for the comparison.

A later sweep that finds other settings writes a new version and leaves the earlier ones alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from harness.base.errors import Damaged
from harness.base.files import CHANGED, digest_of, write_text

HEAD = "# Settings chosen by the sweeps, on validation patients and sweep seeds alone.\n"
DIGEST = "# digest: "


REMEDY = (
    "move it away and repeat the command that searched (run or sweep), which finds the same trials "
    "and chooses again; settings of your own belong into the experiment"
)


def newest_chosen(folder: Path) -> Path | None:
    """The file of the newest version, None before the first."""
    return max(folder.glob("chosen-*.yaml"), key=_number, default=None)


def read_chosen(folder: Path) -> dict[str, Any] | None:
    """The newest version, or None before the first.

    Raises:
        Damaged: it is not what the sweeps chose; one from before versions had digests is taken as
            it is.
    """
    newest = newest_chosen(folder)
    if newest is None:
        return None
    try:
        text = newest.read_text(encoding="utf-8")
        chosen = yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise Damaged(newest, "it cannot be read", REMEDY) from error
    said = [line for line in text.splitlines() if line.startswith(DIGEST)]
    if not isinstance(chosen, dict) or said not in ([], [DIGEST + digest_of(chosen)]):
        raise Damaged(newest, CHANGED, REMEDY)
    return chosen


def write_chosen(folder: Path, choice: Mapping[str, Any]) -> Path:
    """Store a choice; the same choice again stays the version it is. Returns the file."""
    newest = newest_chosen(folder)
    if newest is not None and read_chosen(folder) == dict(choice):
        return newest
    number = 1 if newest is None else _number(newest) + 1
    path = folder / f"chosen-{number:03d}.yaml"
    text = yaml.safe_dump(dict(choice), sort_keys=False)
    write_text(path, f"{HEAD}{DIGEST}{digest_of(yaml.safe_load(text))}\n{text}")
    return path


def _number(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])
