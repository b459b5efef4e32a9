"""The command line that an experiment's last command was typed as: what goes on after a kill.

It may name folders of patients (`-s data.root=...`), so it is kept in the work folder's private
part, which nobody else can read.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from harness.base.files import read_note, with_digest


def keep(root: Path, experiment: str, typed: Sequence[str]) -> None:
    """Keep a command line and the folder it was typed in; one from Python has none."""
    from harness.data.dicom.private import write_private_json

    kept = with_digest({"typed": list(typed), "folder": os.getcwd()})
    write_private_json(_file(root, experiment), kept)


def again(root: Path, experiment: str) -> str:
    """The command to type again; "" where none is kept, or another user keeps it."""
    path = _file(root, experiment)
    if not os.access(path, os.R_OK):
        return ""
    kept = read_note(path)
    if kept is None or not kept["typed"]:
        return ""
    there = "" if kept["folder"] == os.getcwd() else f"cd {shlex.quote(kept['folder'])} && "
    return there + shlex.join(["harness", *kept["typed"]])


def _file(root: Path, experiment: str) -> Path:
    return root / "private" / "commands" / f"{experiment}.json"
