"""A disk that is full in the middle of a sweep, and has room again later."""

from __future__ import annotations

import contextlib
import errno
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories.chaos import (
    Command,
    amount,
    assert_equal,
    finish,
    small,
    started,
    wait_for,
    written,
)

from harness.base.errors import EnvironmentFault, Stopped
from harness.jobs.waiting import BACK

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

OPTIONS = ("--workers", "1")


class Disk:
    """A small disk of its own, which can be filled to the last byte."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        with contextlib.suppress(OSError), open(self._ballast, "ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(path)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a disk of 48 MB could not be mounted: {error}")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def told(log: Path, words: str, times: int) -> bool:
    return log.read_text().count(words) >= times


def test_a_sweep_waits_for_room_and_ends_as_an_undisturbed_one(disk: Disk, tmp_path: Path) -> None:
    experiment = small()
    experiment["sweep"]["mask"]["trials"] = 1
    file, workdir = written(tmp_path / "chaos.yaml", experiment), disk.path / "work"
    log = tmp_path / "work.log"  # elsewhere: it is what people see
    words = f"the disk of '{workdir}"

    def fill_until_told(command: Command, times: int) -> None:
        def full() -> bool:
            disk.fill()
            return told(log, words, times)

        assert wait_for(command, full), log.read_text()

    with started(file, workdir, *OPTIONS, log=log) as command:
        assert wait_for(command, lambda: any(workdir.glob("jobs/mask-stage/*/journal.jsonl")))
        fill_until_told(command, 1)
        time.sleep(3)
        assert not command.ended()
        disk.free()
        assert wait_for(command, lambda: told(log, BACK, 1)), log.read_text()
        before = amount(workdir)
        assert wait_for(command, lambda: amount(workdir) > before)
        fill_until_told(command, 2)
        command.process.send_signal(signal.SIGINT)
        assert command.process.wait(120) == Stopped.exit_code, log.read_text()
    with started(file, workdir, *OPTIONS, log=log) as command:
        assert command.process.wait(120) == EnvironmentFault.exit_code, log.read_text()
    said = log.read_text()
    assert said.splitlines()[-1].startswith(f"error: {words}")
    assert "Traceback" not in said
    disk.free()
    finish(file, workdir, *OPTIONS)
    reference = tmp_path / "whole"
    finish(file, reference, *OPTIONS)
    assert_equal(workdir, reference)


def test_the_reason_is_the_same_whoever_writes(disk: Disk) -> None:
    """Every writer of the work folder says ENOSPC and where, and leaves nothing half done."""
    import numpy as np
    import torch

    from harness.base.files import write_array, write_text
    from harness.jobs.checkpoint import save_state, save_weights

    values = torch.zeros(1 << 20)
    disk.fill()
    for write in (
        lambda path: save_state(path, {"values": values}),
        lambda path: save_weights(path, {"values": values}),
        lambda path: write_array(path, np.zeros(1 << 20)),
        lambda path: write_text(path, "words" * 10000),
    ):
        with pytest.raises(OSError, match="No space left on device") as found:
            write(disk.path / "file")
        assert found.value.errno == errno.ENOSPC
        assert str(disk.path) in str(found.value.filename)
        assert [path.name for path in disk.path.iterdir()] == ["ballast"]
