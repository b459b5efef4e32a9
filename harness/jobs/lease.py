"""One owner at a time.

A lease names its owner: host, process and the process's start time. It is refreshed by touching
the file. It is taken over at once if the owner's process is dead on this host, else when it was
not refreshed for `LAPSE_SECONDS`. An executor that hears of a death elsewhere has that host
bury the lease; the owner on a host that went silent may be writing still, so that one lapses.
Taking happens under a lock file, so two takers cannot both win.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.base.errors import EnvironmentFault
from harness.base.files import locked, read_json, write_json

LAPSE_SECONDS = 120.0
REFRESH_SECONDS = 15.0
# Start times count from the boot time, which moves a little when the clock is set.
SAME_START_SECONDS = 2.0


def _started(pid: int) -> float | None:
    """Start time of a process on this host, None if there is none (or only its corpse)."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except psutil.NoSuchProcess:
        return None


def me() -> dict[str, Any]:
    """This process, as an owner is named: host, pid, start time."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid())}


def same_owner(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two names of an owner are those of one process."""
    named = all(one[key] == other[key] for key in ("host", "pid"))
    return named and abs(one["started"] - other["started"]) < SAME_START_SECONDS


def holder(path: Path) -> dict[str, Any] | None:
    """The living owner of the lease at `path`, or None if it is free to take."""
    try:
        owner = read_json(path)
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return None
    if owner["host"] == socket.gethostname():
        now = {**owner, "started": _started(owner["pid"])}
        return owner if now["started"] is not None and same_owner(now, owner) else None
    return owner if age < LAPSE_SECONDS else None


@contextlib.contextmanager
def lease(path: Path, what: str) -> Iterator[None]:
    """Hold the lease at `path` while the block runs, refreshing it from a thread.

    Raises:
        EnvironmentFault: a living owner holds it; the message names host and process.
    """
    with locked(path):
        owner = holder(path)
        if owner is not None:
            raise EnvironmentFault(
                f"{what} has one owner at a time, but process {owner['pid']} on {owner['host']} "
                "holds it; wait for it or end it"
            )
        mine = me()
        write_json(path, mine)
    ended = threading.Event()
    keeper = threading.Thread(target=_refresh, args=(path, ended), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()
        with locked(path):
            if path.exists() and read_json(path) == mine:
                path.unlink()


def bury(path: Path) -> bool:
    """Free a lease whose owner died on this host: other hosts could only wait for its lapse.

    Returns:
        Whether nobody on this host owns it now.
    """
    with locked(path):
        if not path.exists() or read_json(path)["host"] != socket.gethostname():
            return True
        if holder(path) is not None:
            return False
        path.unlink()
        return True


def _refresh(path: Path, ended: threading.Event) -> None:
    while not ended.wait(REFRESH_SECONDS):
        with contextlib.suppress(FileNotFoundError):
            os.utime(path)
