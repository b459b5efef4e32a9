"""What goes on in a work folder: read from its leases, notes and journals; nothing is written."""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.base.disk import free_bytes
from harness.base.errors import ConfigError, Damaged
from harness.base.files import read_record
from harness.base.text import first_of, meant
from harness.commands.typed import again
from harness.jobs.folder import WorkFolder
from harness.jobs.journal import read_lines
from harness.jobs.kinds import KINDS
from harness.jobs.lease import holder, same_owner
from harness.jobs.planned import Planned, PlannedJob
from harness.jobs.spec import Input, Request
from harness.jobs.status import missing

PACE_OVER = 20
"""Epochs whose median duration is the pace: a pause between two commands is no pace."""
FAILURES = 5


@dataclass(frozen=True)
class Running:
    """A job under way; epochs, values and time left are those of a training's journal.

    Attributes:
        left: seconds to its last wanted epoch at its own pace; None before two epochs.
    """

    label: str
    kind: str
    host: str
    pid: int
    epoch: int | None = None
    epochs: int | None = None
    values: Mapping[str, float] | None = None
    left: float | None = None


def status(root: Path, experiment: Path | None = None) -> dict[str, Any]:
    """{"workdir", "bytes", "free_bytes", "driver", "experiments"}: as `look` tells of each.

    Args:
        experiment: its file or its name; None: every one.

    Raises:
        ConfigError: there is no such experiment in the folder, or the folder is of another format.
        DataError: there is no such work folder.
    """
    work = WorkFolder.existing(root)
    names = sorted(path.name for path in (root / "experiments").glob("*") if path.is_dir())
    if experiment is not None:
        names = [_named(experiment, names, root)]
    driver = holder(root / "driver.lease.json")
    return {
        "workdir": str(root),
        "bytes": folder_bytes(root),
        "free_bytes": free_bytes(root),
        "driver": driver,
        "experiments": [look(work, name, driver) for name in names],
    }


def look(work: WorkFolder, name: str, driver: Mapping[str, Any] | None) -> dict[str, Any]:
    """One experiment: its state, its last command, that command's jobs, its pages.

    The state is "running", "finished", "failed" (a job is to blame), "refused" (a user's error,
    which the command said), "stopped", or "new" where no
    command of it was noted.

    Args:
        driver: the living owner of the work folder.
    """
    home = work.root / "experiments" / name
    planned = Planned.read(home)
    pages = {"report": home / "report" / "index.html", "quality": home / "quality" / "index.html"}
    found: dict[str, Any] = {
        "experiment": name,
        "state": "new",
        "pages": {
            what: {"file": str(page), "written": page.stat().st_mtime}
            for what, page in pages.items()
            if page.exists()
        },
    }
    if planned is None:
        return found
    jobs = _Jobs(work, planned)
    foreseen = None
    if planned.foreseen is not None:
        total, until = planned.foreseen
        foreseen = {"jobs": total, "seconds_left": max(0.0, until - time.time())}
    runs = driver is not None and same_owner(driver, planned.owner)
    return found | {
        "state": "running" if runs else "finished" if planned.ended else jobs.why_not(planned),
        "command": {"name": planned.command, **planned.owner, "ended": planned.ended},
        "jobs": jobs.counts(),
        "foreseen": foreseen,
        "running": [asdict(job) for job in jobs.running],
        "failures": jobs.failures[:FAILURES],
        "again": again(work.root, name),
    }


class _Jobs:
    """The jobs that a command planned, sorted by what became of them."""

    def __init__(self, work: WorkFolder, planned: Planned) -> None:
        self.work = work
        self.states: list[tuple[str, str]] = []
        self.running: list[Running] = []
        self.failures: list[dict[str, Any]] = []
        for job in planned.jobs.values():
            self.states.append((job.kind, self._state(job)))
        self.failures.sort(key=lambda failure: -failure["time"])

    def counts(self) -> dict[str, dict[str, int]]:
        """Jobs done, running, failed and waiting, by kind in the order of the plan."""
        words = ("done", "running", "failed", "waiting")
        found = {kind: dict.fromkeys(words, 0) for kind, _ in self.states}
        for kind, state in self.states:
            found[kind][state] += 1
        return found

    def why_not(self, planned: Planned) -> str:
        """The state of a command that did not come to its end."""
        return "failed" if self.failures else "refused" if planned.refused else "stopped"

    def _state(self, job: PlannedJob) -> str:
        path = self.work.jobs / job.kind / job.digest
        owner = holder(path / "lease.json")
        if owner is not None:
            self.running.append(_running(job, path, owner))
            return "running"
        if self._done(job, path):
            return "done"
        try:  # a job that is tried again forgets its failure at any moment
            failure = read_record(path / "failure.json")
        except (FileNotFoundError, Damaged):  # it is tried again
            return "waiting"
        about = {"label": job.label, "folder": str(path), "time": failure["time"]}
        self.failures.append({**about, "reason": failure["reason"].splitlines()[0]})
        return "failed"

    def _done(self, job: PlannedJob, path: Path) -> bool:
        try:
            spec = self.work.job(Input(job.kind, job.digest)).spec()
        except Damaged:  # the next command writes it
            return False
        return not missing(self.work, Request(spec, job.epochs))


def _running(job: PlannedJob, path: Path, owner: Mapping[str, Any]) -> Running:
    where = job.label, job.kind, owner["host"], owner["pid"]
    if not KINDS.get(job.kind).training or not job.epochs:
        return Running(*where)
    lines, _ = read_lines(path / "journal.jsonl")
    total = job.epochs[-1]
    if not lines:
        return Running(*where, epoch=0, epochs=total)
    epoch = lines[-1].step
    values = {line.name: line.value for line in lines if line.step == epoch}
    ends = {line.step: line.time / 1000 for line in lines}
    return Running(*where, epoch, total, values, _left(ends, total))


def _left(ends: Mapping[int, float], total: int) -> float | None:
    """Seconds to epoch `total`, from the times at which epochs ended."""
    steps = sorted(ends)[-PACE_OVER - 1 :]
    took = [ends[b] - ends[a] for a, b in itertools.pairwise(steps)]
    if not took:
        return None
    return max(0.0, statistics.median(took) * (total - steps[-1]) - (time.time() - ends[steps[-1]]))


def _named(experiment: Path, names: list[str], root: Path) -> str:
    """The name of an experiment that was given as such, or as its file."""
    name = str(experiment)
    if experiment.is_file():
        from harness.config.load import load_experiment

        name = load_experiment(experiment, []).name
    if name not in names:
        known = f"it has {first_of(names, 5)}" if names else "it has none yet"
        raise ConfigError(
            f"EXPERIMENT must be one of the work folder '{root}' (a file or a name), but got "
            f"'{name}'{meant(name, names, f'; {known}')}"
        )
    return name


def folder_bytes(root: Path) -> int:
    """Bytes of all files below a folder; those that vanish meanwhile count as none."""
    return sum(_bytes(os.path.join(at, name)) for at, _, names in os.walk(root) for name in names)


def _bytes(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:  # a temporary file of a writer that is at work
        return 0
