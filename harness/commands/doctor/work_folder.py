"""Is every file of a work folder what was written? Reads all of it, changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.base.errors import Damaged
from harness.base.files import CHANGED, check_sum, read_record, sha256_file
from harness.base.sqlite_file import check_database
from harness.base.text import counted, size
from harness.jobs.checkpoint import check_state
from harness.jobs.folder import JobFolder, WorkFolder
from harness.sweep.chosen import read_chosen

REPEAT = "the command that needs it makes it again"
COPIES = "mlflow/artifacts"
"""What MLflow has copied there is checked nowhere: no figure comes from it."""


def verify(root: Path) -> dict[str, Any]:
    """Compare everything with what was recorded of it.

    Returns:
        {"workdir", "files", "bytes", "damaged": [{"path", "why", "then"}]}; `path` as seen from the
        folder, `then` what becomes of it or what to do.

    Raises:
        DataError: there is no such work folder.
        ConfigError: it is of another format.
    """
    work = WorkFolder.existing(root)
    paths = [path for path in root.rglob("*") if path.is_file()]
    found: dict[str, dict[str, str]] = {}
    for damaged in _damaged(work, [p for p in paths if COPIES not in str(p.relative_to(root))]):
        name = str(damaged.path.relative_to(root))
        found.setdefault(name, {"path": name, "why": damaged.why, "then": damaged.then or REPEAT})
    return {
        "workdir": str(root),
        "files": len(paths),
        "bytes": sum(path.stat().st_size for path in paths),
        "damaged": [found[name] for name in sorted(found)],
    }


def _damaged(work: WorkFolder, paths: list[Path]) -> Iterator[Damaged]:
    for path in work.jobs.glob("*/*"):
        yield from _of_job(JobFolder(path))
    for path in paths:
        try:
            _look(path)
        except Damaged as damaged:
            yield damaged


def _of_job(folder: JobFolder) -> Iterator[Damaged]:
    try:
        folder.spec()
    except Damaged as damaged:
        yield damaged
    for epoch in (None, *folder.checkpoints()):
        if folder.result(epoch) is not None:  # one that cannot be read is met among all files
            yield from folder.damaged(epoch)
    for name, recorded in folder.picture_sums().items():
        try:
            check_sum(folder.samples / name, recorded)
        except Damaged as damaged:
            yield Damaged(damaged.path, damaged.why, "pages leave it out")


def _look(path: Path) -> None:
    """Raises Damaged where a file tells by itself that it is not what was written."""
    if path.suffix == ".json" and path.parent.name == "patient-index":
        for suffix, recorded in read_record(path).get("files", {}).items():
            check_sum(path.with_suffix(suffix), recorded)
    elif path.suffix == ".json" and path.name != "lease.json":
        read_record(path)
    elif path.suffix == ".pt":
        check_state(path)
    elif path.suffix == ".db":
        check_database(path, "move it away and repeat the command, which begins it anew")
    elif path.parent.name == "features" and path.suffix == ".npy":
        if not sha256_file(path).startswith(path.stem.partition("-")[2]):
            raise Damaged(path, CHANGED)
    elif path.name.startswith("chosen-") and path.suffix == ".yaml":
        read_chosen(path.parent)
    elif path.name == "openings.jsonl":
        _look_at_register(path)


def _look_at_register(path: Path) -> None:
    for line in path.read_bytes().splitlines():
        try:
            json.loads(line)
        except ValueError as error:
            then = "the next opening brings it in order from the results of openings"
            raise Damaged(path, "a line cannot be read", then) from error


def lines(found: Mapping[str, Any]) -> list[str]:
    """What a person reads."""
    listed = [f"damaged  {f['path']}: {f['why']}; {f['then']}" for f in found["damaged"]]
    seen = f"{counted(found['files'], 'file')}, {size(found['bytes'], 1)}"
    if not listed:
        return [f"{seen}: all that was recorded is as it was written"]
    return [*listed, f"{seen}: {len(listed)} not as it was written"]
