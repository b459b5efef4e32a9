"""A terminal that is closed while jobs run: their state is saved, and the command ends itself."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from factories.tiny import Tiny

TRAIN = """
import sys
from pathlib import Path
from factories.tiny import Tiny
from harness.base.console import Console, prepare_streams, run_guarded
from harness.jobs.driver import Driver
from harness.jobs.executors.processes import ProcessExecutor
from harness.jobs.graph import JobGraph

root = Path(sys.argv[1])
tiny = Tiny(root)
executor = ProcessExecutor(root, 1, 1)
driver = Driver(tiny.work, executor, Console(), lambda: JobGraph(tiny.work))

def drive():
    try:
        driver.drive(lambda graph: graph.need(tiny.mask(), 100_000, "mask stage"))
    finally:
        executor.close()

prepare_streams()
code = run_guarded(drive)
(root / "code").write_text(str(code))
"""


def awaited(path: Path) -> None:
    limit = time.monotonic() + 120
    while not (path.exists() and path.stat().st_size):
        assert time.monotonic() < limit, path
        time.sleep(0.02)


@pytest.mark.parametrize("terminal", ["xterm", "dumb"])
def test_a_closed_terminal_saves_the_state(tmp_path: Path, terminal: str) -> None:
    folder = Tiny(tmp_path).work.job(Tiny(tmp_path).mask())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": terminal}
    pid, master = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", TRAIN, str(tmp_path)], environment)
    awaited(folder.journal)
    with contextlib.suppress(OSError):
        os.read(master, 1 << 16)
    os.close(master)
    awaited(tmp_path / "code")
    _, status = os.waitpid(pid, 0)
    assert ((tmp_path / "code").read_text(), os.waitstatus_to_exitcode(status)) == ("130", 0)
    assert folder.state.exists()
    assert not (folder.path / "lease.json").exists()


def test_nohup_goes_on(tmp_path: Path) -> None:
    folder = Tiny(tmp_path).work.job(Tiny(tmp_path).mask())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = ["nohup", sys.executable, "-c", TRAIN, str(tmp_path)]
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        awaited(folder.journal)
        process.send_signal(signal.SIGHUP)
        size = folder.journal.stat().st_size
        limit = time.monotonic() + 60
        while folder.journal.stat().st_size <= size + 1000 and time.monotonic() < limit:
            time.sleep(0.05)
        assert process.poll() is None
        assert folder.journal.stat().st_size > size + 1000
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert (tmp_path / "code").read_text() == "130"
