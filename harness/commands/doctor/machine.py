"""Cores, memory, and the disk of the work folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psutil

from harness.base.denied import why
from harness.base.errors import ConfigError
from harness.base.text import counted, size
from harness.commands.doctor.finding import Finding
from harness.jobs.folder import WorkFolder

A_WORKER = 1_000_000_000
"""Bytes that a worker takes at least, about: torch, MONAI and a small network."""
LITTLE_DISK, LEAST_DISK = 5_000_000_000, 100_000_000
NETWORK = ("nfs", "cifs", "smb", "lustre", "beegfs", "ceph", "gluster", "gpfs", "afs", "9p", "ssh")
"""How the names of network file systems begin, `fuse.` left out."""
IN_MEMORY = "it lies in memory and is gone after a restart: name a --workdir on a disk"
PASSING = {
    "tmpfs": IN_MEMORY,
    "ramfs": IN_MEMORY,
    "overlay": "it is a container's own and goes with it: mount a folder for --workdir",
}


def cores() -> Finding:
    """Whether the default number of workers is what this process may use."""
    count, usable = os.cpu_count() or 1, usable_cores()
    if usable < count:
        return Finding(
            "cores",
            "warning",
            f"{usable} of {count} may be used here, but a command starts {counted(count, 'worker')}"
            f" unless it is told; add --workers {usable}",
        )
    said = f"{count}, of {count} workers with a thread each where no GPU is taken"
    return Finding("cores", "ok", said)


def usable_cores() -> int:
    """Cores that this process may use: affinity, and the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quotas = [text.split() for text in _limits("cpu.max")]
    shares = [int(quota) / int(period) for quota, period in quotas if quota != "max"]
    return max(1, int(min([cores or 1, *shares])))


def memory() -> Finding:
    """Whether memory is there for the workers."""
    total, free = _total_memory(), free_memory()
    said = f"{size(free)} of {size(total)} free"
    fitting = max(1, free // A_WORKER)
    if fitting < usable_cores():
        said += f", a worker takes about {size(A_WORKER)} or more; add --workers {fitting}"
        return Finding("memory", "warning", said)
    return Finding("memory", "ok", said)


def free_memory() -> int:
    """Bytes that may still be taken: of the machine, or of the process's control group."""
    return min(psutil.virtual_memory().available, _total_memory())


def _total_memory() -> int:
    limits = (int(text) for text in _limits("memory.max") if text != "max")
    return min([psutil.virtual_memory().total, *limits])


def _limits(name: str, root: Path = Path("/sys/fs/cgroup")) -> list[str]:
    """What a control group (version 2) and those above it say about `name`."""
    own = Path("/proc/self/cgroup")
    lines = own.read_text(encoding="utf-8").splitlines() if own.exists() else []
    folder = root / next((line[3:].lstrip("/") for line in lines if line.startswith("0::")), "")
    files = [place / name for place in (folder, *folder.parents) if place.is_relative_to(root)]
    return [file.read_text(encoding="utf-8").strip() for file in files if file.exists()]


def place(workdir: Path) -> Finding:
    """Whether the work folder can be made and written."""
    try:
        WorkFolder(workdir).check_format()
        tempfile.TemporaryFile(dir=_existing(workdir)).close()
    except ConfigError as error:
        return Finding("work folder", "fault", str(error))
    except OSError as error:
        said = f"'{workdir}' must be a folder that can be written, but got {why(error)}; "
        said += "name another --workdir"
        return Finding("work folder", "fault", said)
    can = "can be written" if workdir.exists() else "can be made"
    return Finding("work folder", "ok", f"'{workdir}' {can}")


def disk(workdir: Path) -> Finding:
    """Room on the work folder's disk, and what kind of disk it is."""
    usage, kind = shutil.disk_usage(_existing(workdir)), file_system(_existing(workdir))
    said = f"{size(usage.free)} of {size(usage.total)} free ({kind or 'of unknown kind'})"
    if usage.free < LEAST_DISK:
        return Finding("disk", "fault", f"{said}; make room, or name another --workdir")
    if usage.free < LITTLE_DISK:
        said += "; `harness run EXPERIMENT --dry-run` says what a run takes"
        return Finding("disk", "warning", said)
    if kind in PASSING:
        return Finding("disk", "warning", f"{said}; {PASSING[kind]}")
    if kind.removeprefix("fuse.").startswith(NETWORK):
        said += (
            "; sqlite on a network disk is slow, and its locks may not hold between machines: "
            "name a local --workdir, or servers (docs/servers.md)"
        )
        return Finding("disk", "warning", said)
    return Finding("disk", "ok", said)


def file_system(folder: Path) -> str:
    """The kind of file system that a folder lies on, e.g. "ext4"; "" where it is not told."""
    at = folder.resolve()
    mounts = [m for m in psutil.disk_partitions(all=True) if at.is_relative_to(m.mountpoint)]
    # Of two on one another, the later one is seen.
    nearest = max(enumerate(mounts), key=lambda m: (len(m[1].mountpoint), m[0]), default=None)
    return nearest[1].fstype if nearest else ""


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    at = folder.absolute()
    return next(place for place in (at, *at.parents) if place.exists())
