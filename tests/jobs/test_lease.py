"""One owner at a time, among real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from harness.base.errors import EnvironmentFault
from harness.base.files import read_json, write_json
from harness.jobs import lease as module
from harness.jobs.lease import bury, holder, lease

HOLD = """
import sys, time
from pathlib import Path
from harness.jobs.lease import lease
with lease(Path(sys.argv[1]), "the job"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def owner(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lease until its standard input closes."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_living_owner_is_named_and_not_disturbed(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    with owner(path) as process:
        with pytest.raises(EnvironmentFault) as caught, lease(path, "mask stage, seed 3"):
            pass
        assert str(caught.value) == (
            f"mask stage, seed 3 has one owner at a time, but process {process.pid} on "
            f"{socket.gethostname()} holds it; wait for it or end it"
        )
        assert read_json(path)["pid"] == process.pid
        process.communicate("")
    with lease(path, "mask stage, seed 3"):
        assert read_json(path)["pid"] == os.getpid()
    assert not path.exists()


def test_a_dead_owners_lease_is_taken_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    with owner(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert path.exists(), "a killed owner leaves it behind"
        started = time.monotonic()
        with lease(path, "the job"):
            assert read_json(path)["pid"] == os.getpid()
        assert time.monotonic() - started < 2


def test_a_host_buries_its_own_dead_and_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    assert bury(path), "nobody owns it"
    with owner(path) as process:
        assert not bury(path)
        assert path.exists(), "a living one is not disturbed"
        process.kill()
        process.wait()
        assert bury(path)
        assert not path.exists()
    write_json(path, {"host": "another-host", "pid": process.pid, "started": 0.0})
    assert bury(path)
    assert path.exists(), "whether that one lives its own host knows"


def test_a_corpse_that_nobody_has_buried_is_dead(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    with owner(path) as process:
        os.kill(process.pid, signal.SIGKILL)
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert holder(path) is None


def test_another_process_of_the_same_number_is_not_the_owner(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    me = {"host": socket.gethostname(), "pid": os.getpid()}
    started = psutil.Process().create_time()
    write_json(path, {**me, "started": started - 3600})
    assert holder(path) is None
    # The clock was set by a little since: the same process.
    write_json(path, {**me, "started": started + 1.0})
    assert holder(path) is not None


def test_an_owner_elsewhere_is_believed_until_its_lease_lapses(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    write_json(path, {"host": "another-host", "pid": 1, "started": 0.0})
    with (
        pytest.raises(EnvironmentFault, match="process 1 on another-host holds it"),
        lease(path, "the job"),
    ):
        pass
    old = time.time() - module.LAPSE_SECONDS - 1
    os.utime(path, (old, old))
    assert holder(path) is None
    with lease(path, "the job"):
        assert read_json(path)["host"] == socket.gethostname()


def test_an_owner_refreshes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0.05)
    path = tmp_path / "lease.json"
    with lease(path, "the job"):
        os.utime(path, (0, 0))
        until = time.monotonic() + 5
        while path.stat().st_mtime == 0 and time.monotonic() < until:
            time.sleep(0.02)
        assert time.time() - path.stat().st_mtime < 60


def test_a_lease_ends_with_its_block_also_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    with pytest.raises(ZeroDivisionError), lease(path, "the job"):
        raise ZeroDivisionError
    assert not path.exists()


def test_what_another_took_over_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "lease.json"
    other = {"host": "another-host", "pid": 1, "started": 0.0}
    with lease(path, "the job"):
        write_json(path, other)
    assert read_json(path) == other


RACE = """
import sys, time
from pathlib import Path
from harness.base.errors import EnvironmentFault
from harness.jobs.lease import lease
path, log = Path(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for turn in range(25):
    try:
        with lease(path, "the job"):
            with open(log, "a") as file:
                file.write("in\\n"); file.flush()
                time.sleep(0.002)
                file.write("out\\n")
    except EnvironmentFault:
        time.sleep(0.001)
"""


def test_two_takers_cannot_both_win(tmp_path: Path) -> None:
    path, log = tmp_path / "lease.json", tmp_path / "log"
    # It starts as a dead owner's, which all of them want to take over.
    write_json(path, {"host": socket.gethostname(), "pid": 2**22 - 3, "started": 0.0})
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(path), str(log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        racer.communicate()
        assert racer.returncode == 0
    lines = log.read_text().split()
    assert len(lines) >= 20
    assert lines == ["in", "out"] * (len(lines) // 2), "never two inside"
