"""One owner at a time.

A lease names its owner: host, boot, PID namespace, process and the process's start time, and a
token drawn for this lease alone. The owner refreshes it by touching the file, and keeps a lock
(flock) on that file for life, where the file system has locks. It may be taken over

- from an owner that is silent: it did not refresh for `LAPSE_SECONDS`, be it dead, stopped, asleep
  or cut off from the disk, and whatever its lock says;
- at once from an owner that is dead: by its process where host, boot and PID namespace are ours;
  from another namespace of the same boot, by its lock.

Of others, and of a lease that cannot be read, only the age tells. An executor that hears of a death
elsewhere has that host bury the lease; the owner on a host that went silent may come back.

An owner looks whether the file still has its token before it refreshes, and before anything appears
below the lease's folder (`base.owned`): one that was silent too long is `Lost` before it writes. It
touches no other's lease: it refreshes the file that it made, not whatever has its name. Taking
happens under a lock file, so two takers cannot both win.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.base.denied import is_denied, why
from harness.base.errors import EnvironmentFault, Lost
from harness.base.files import atomic, locked
from harness.base.owned import owning

LAPSE_SECONDS = 120.0
REFRESH_SECONDS = 15.0
# Start times count from the boot time, which moves a little when the clock is set.
SAME_START_SECONDS = 2.0
PLACE = ("host", "boot", "pids")
UNREADABLE: dict[str, Any] = {"host": "unknown", "pid": 0, "started": 0.0}
"""The owner that a lease names which cannot be read."""


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


def _clock() -> float:
    """Seconds, those of a machine's sleep included where the system counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _place() -> dict[str, Any]:
    """Where process ids mean the same: host, boot and PID namespace. The latter two are None on
    systems without them, and the namespace is "" where /proc shows that of others."""
    place: dict[str, Any] = {"host": socket.gethostname(), "boot": None, "pids": None}
    with contextlib.suppress(OSError):
        place["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        shown = os.readlink("/proc/self") == str(os.getpid())
        place["pids"] = os.readlink("/proc/self/ns/pid") if shown else ""
    return place


def me() -> dict[str, Any]:
    """This process, as an owner is named: host, boot, PID namespace, pid, start time."""
    return {**_place(), "pid": os.getpid(), "started": _started(os.getpid()) or 0.0}


def same_owner(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two names of an owner are those of one process."""
    alike = all(one.get(key) == other.get(key) for key in (*PLACE, "pid"))
    return alike and abs(one["started"] - other["started"]) < SAME_START_SECONDS


def named(owner: Mapping[str, Any]) -> str:
    """An owner in a sentence."""
    known = f"process {owner['pid']} on {owner['host']}"
    return known if owner["pid"] else "somebody whose lease cannot be read"


def _owner(path: Path) -> dict[str, Any] | None:
    """Whom the lease at `path` names; None where there is none."""
    try:
        read = json.loads(path.read_bytes())
        kinds = (read["host"], str), (read["pid"], int), (read["started"], float)
        sound = all(isinstance(value, kind) for value, kind in kinds)
        return read if sound and read["pid"] > 0 and read["started"] >= 0 else UNREADABLE
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return UNREADABLE


def _dead(owner: Mapping[str, Any], path: Path) -> bool:
    """Whether an owner is known to be dead; False also where nobody here can know."""
    here = _place()
    # Leases of earlier versions name the host alone.
    if here["pids"] != "" and all(owner.get(key, here[key]) == here[key] for key in PLACE):
        started = _started(owner["pid"])
        return started is None or not same_owner({**owner, "started": started}, owner)
    return here["boot"] is not None and owner.get("boot") == here["boot"] and _free(owner, path)


def _free(owner: Mapping[str, Any], path: Path) -> bool:
    """Whether nobody keeps the lock that the owner of the lease had on this very file."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        stat = os.fstat(file.fileno())
        if owner.get("lock") == [stat.st_dev, stat.st_ino]:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
    return False


def holder(path: Path) -> dict[str, Any] | None:
    """The living owner of the lease at `path`, or None if it is free to take; only reads."""
    try:
        silent = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return None
    owner = _owner(path) if silent < LAPSE_SECONDS else None
    return None if owner is None or _dead(owner, path) else owner


class Lease:
    """A lease in hand, which its maker must be free to take.

    Args:
        what: it is about, in messages.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path, self.what = path, what
        self._token = secrets.token_hex(16).encode()
        name = {**me(), "token": self._token.decode(), "lock": None}
        with atomic(path) as file:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                stat = os.fstat(file.fileno())
                name["lock"] = [stat.st_dev, stat.st_ino]
            file.write(json.dumps(name, indent=1).encode() + b"\n")
            file.flush()
            self._file = os.dup(file.fileno())  # the lock lives as long as this

    def mine(self) -> bool:
        """Whether the file is still this lease's own."""
        try:
            return self._token in self.path.read_bytes()
        except FileNotFoundError:
            return False

    def look(self) -> None:
        """Raises Lost where it has another owner by now, or none."""
        while True:
            began = _clock()
            if not self.mine():
                break
            if _clock() - began < LAPSE_SECONDS / 10:
                return  # else it was stopped in the middle of this, and saw what is long past
        taker = _owner(self.path)
        raise Lost(
            f"{self.what} has one owner at a time, but while this process was silent (stopped, "
            f"asleep or cut off from the disk) {named(taker) if taker else 'somebody'} took it "
            "over; it writes nothing more there"
        )

    def refresh(self, ended: threading.Event) -> None:
        """Touch the file every `REFRESH_SECONDS`, until the event or another owner."""
        while not ended.wait(REFRESH_SECONDS):
            with contextlib.suppress(OSError):  # a disk that is away may come back
                if not self.mine():
                    return
                os.utime(self._file)

    def give_back(self) -> None:
        try:
            if self.mine():
                with locked(self.path):
                    if self.mine():
                        self.path.unlink()
        finally:
            os.close(self._file)


@contextlib.contextmanager
def lease(path: Path, what: str) -> Iterator[Lease]:
    """Hold the lease at `path` while the block runs, refreshing it from a thread; the block owns
    the folder that it lies in.

    Raises:
        EnvironmentFault: a living owner holds it; the message names host and process. Or its folder
            cannot be written.
        Lost: while the block ran, another owner took it over.
    """
    try:
        with locked(path):
            owner = holder(path)
            if owner is not None:
                raise EnvironmentFault(
                    f"{what} has one owner at a time, but {named(owner)} holds it; wait for it or "
                    "end it"
                )
            held = Lease(path, what)
    except OSError as error:
        if not is_denied(error):
            raise
        raise EnvironmentFault(
            f"{what} must be in a folder that can be written, but got '{path.parent}' "
            f"({why(error)}); name another --workdir, or have this one's owner do it"
        ) from error
    ended = threading.Event()
    keeper = threading.Thread(target=held.refresh, args=(ended,), daemon=True)
    keeper.start()
    try:
        with owning(path.parent, held.look):
            yield held
    finally:
        ended.set()
        keeper.join()
        held.give_back()


def bury(path: Path) -> bool:
    """Free a lease whose owner died on this host: other hosts could only wait for its lapse.

    Returns:
        Whether nobody on this host owns it now.
    """
    with locked(path):
        owner = _owner(path)
        if owner is None or owner["host"] != socket.gethostname():
            return True
        if _dead(owner, path):
            path.unlink()
            return True
        return False
