"""Delete what nothing in a work folder needs any more: only what is certain from the folder itself.

Never touched: results, checkpoints, journals, samples, chosen settings, openings, studies, pages,
the private folder's keys, and any file while a command or a worker is at work.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base.errors import EnvironmentFault
from harness.base.text import counted, size
from harness.jobs.folder import LEFTOVERS, JobFolder, WorkFolder
from harness.jobs.journal import read_covered
from harness.jobs.kinds import KINDS
from harness.jobs.lease import holder, lease, named
from harness.jobs.planned import FILE, Planned
from harness.jobs.spec import Input
from harness.jobs.status import finished
from harness.sweep.retention import bytes_of, remove, states
from harness.work.prepare.kept_scan import kept_files

WRITTEN_IN = ("jobs", "experiments", "studies", "patient-index", "private")
LEFT_SECONDS = 3600.0
"""Age of an unfinished file whose writer is dead: `report` writes without a lease."""
SHOWN = 3


@dataclass(frozen=True)
class Rest:
    """Files of one sort that can go.

    Attributes:
        cost: what their absence may cost later.
    """

    what: str
    cost: str
    files: Sequence[Path]

    @property
    def bytes(self) -> int:
        """What becomes free without them."""
        return sum(map(bytes_of, self.files))

    def to_dict(self) -> dict[str, Any]:
        files = [str(path) for path in self.files]
        return {"what": self.what, "cost": self.cost, "bytes": self.bytes, "files": files}


def clean(root: Path, delete: bool = False) -> dict[str, Any]:
    """List what can go, or delete it.

    Returns:
        {"deleted", "bytes", "rests": [{"what", "cost", "bytes", "files"}], "others": {"jobs",
        "bytes"}}, where others are jobs of which nobody can say that they are needed no more.

    Raises:
        DataError: there is no such work folder.
        ConfigError: it is of another format.
        EnvironmentFault: a command or a worker is at work in it.
    """
    work = WorkFolder.existing(root)
    _refuse_beside([root / "driver.lease.json"])
    held = lease(root / "driver.lease.json", f"the work folder '{root.name}'")
    with held if delete else contextlib.nullcontext():
        _refuse_beside(list(work.jobs.glob("*/*/lease.json")))
        rests = find(work)
        freed = sum(rest.bytes for rest in rests)
        listed = [rest.to_dict() for rest in rests]
        if delete:
            for path in (path for rest in rests for path in rest.files):
                remove(path)
    return {"deleted": delete, "bytes": freed, "rests": listed, "others": others(work)}


def _refuse_beside(leases: Sequence[Path]) -> None:
    owner = next((owner for path in leases if (owner := holder(path)) is not None), None)
    if owner is not None:
        raise EnvironmentFault(
            f"a work folder must be at rest to be cleaned, but {named(owner)} is at work in it; "
            "wait for it or end it"
        )


def find(work: WorkFolder) -> list[Rest]:
    """What can go, by sort; sorts of which there is nothing are left out."""
    rests = [
        Rest(
            "saved states of trainings whose comparison is evaluated",
            "a longer training of one begins anew, and comes to the same weights",
            states(done_trainings(work)),
        ),
        Rest(
            "scans kept between reading and cutting",
            "where pairs are still to be cut, patients are read once more",
            kept_files(work.root / "patient-index"),
        ),
        Rest("unfinished files of dead writers", "nothing", _leftovers(work.root)),
    ]
    return [rest for rest in rests if rest.files]


def done_trainings(work: WorkFolder) -> list[JobFolder]:
    """Trainings behind an opened test: its segmenters may never change, so nothing that they
    were made from is trained on for them.

    Left out are those that somebody went on with, or whose last command did not get all it asked
    for.
    """
    wanted = _wanted(work.root)
    found = []
    for reference in _behind_openings(work):
        folder = work.job(reference)
        there = folder.checkpoints()
        at_rest = there and read_covered(folder.path)[1] <= there[-1]
        if at_rest and wanted.get(reference.digest, set()) <= set(there):
            found.append(folder)
    return found


def _behind_openings(work: WorkFolder) -> list[Input]:
    """Every training that a finished opening stands on, whatever lies between."""
    seen: dict[str, Input] = {}
    ahead = []
    for path in work.jobs.glob("opening/*/result.json"):
        spec = JobFolder(path.parent).spec()
        if finished(work, spec) is not None:
            ahead += list(spec.inputs.values())
    while ahead:
        reference = ahead.pop()
        spec_there = (work.job(reference).path / "spec.json").exists()
        if reference.digest not in seen and spec_there:
            seen[reference.digest] = reference
            ahead += list(work.job(reference).spec().inputs.values())
    return [reference for reference in seen.values() if KINDS.get(reference.kind).training]


def _wanted(root: Path) -> dict[str, set[int]]:
    """Epochs that each experiment's last command asked of a training."""
    wanted: dict[str, set[int]] = {}
    for planned in _plans(root):
        for job in planned.jobs.values():
            wanted.setdefault(job.digest, set()).update(job.epochs)
    return wanted


def _plans(root: Path) -> list[Planned]:
    plans = [Planned.read(path.parent) for path in root.glob(f"experiments/*/{FILE}")]
    return [planned for planned in plans if planned is not None]


def _leftovers(root: Path) -> list[Path]:
    old = time.time() - LEFT_SECONDS
    places = [root / name for name in WRITTEN_IN]
    found = [path for place in places for name in LEFTOVERS for path in place.rglob(name)]
    return sorted(path for path in found if path.is_file() and path.stat().st_mtime < old)


def others(work: WorkFolder) -> dict[str, int]:
    """Jobs that no experiment's last command asked for, and their bytes."""
    asked = {digest for planned in _plans(work.root) for digest in planned.jobs}
    folders = [JobFolder(path) for path in work.jobs.glob("*/*") if path.name not in asked]
    return {"jobs": len(folders), "bytes": sum(folder.size() for folder in folders)}


def lines(found: Mapping[str, Any]) -> list[str]:
    """What a person reads."""
    told = []
    for rest in found["rests"]:
        files = counted(len(rest["files"]), "file")
        told.append(f"{rest['what']}: {files}, {size(rest['bytes'], 1)}; costs: {rest['cost']}")
        more = len(rest["files"]) - SHOWN
        told += [f"  {path}" for path in rest["files"][:SHOWN]]
        told += [f"  and {more} more"] if more > 0 else []
    left = found["others"]
    if left["jobs"]:
        told.append(
            f"left alone: {counted(left['jobs'], 'job')} ({size(left['bytes'], 1)}) of earlier "
            "commands or settings: no experiment's latest command uses them, but a repeat of an "
            "earlier one would; they go with the whole work folder alone"
        )
    if not found["rests"]:
        return [*told, "nothing can go"]
    did = "deleted" if found["deleted"] else "can go (--yes deletes it)"
    return [*told, f"{size(found['bytes'], 1)} {did}"]
