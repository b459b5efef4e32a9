"""Disks and quotas without room, real ones: which it is, and that it counts as a full disk."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from factories.disk import fill_inodes, mounted

from harness.base.console import run_guarded
from harness.base.disk import DiskFull, as_full, free_bytes, full_words, is_full
from harness.base.files import write_text

KEPT = "; finished work is kept: once it is, repeat the command\n"
Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    with contextlib.ExitStack() as disks:
        yield lambda *options: disks.enter_context(mounted(tmp_path / "disk", *options))


def test_a_disk_without_inodes_is_full(mount: Mount, capsys: pytest.CaptureFixture[str]) -> None:
    disk = mount("nr_inodes=20")
    assert free_bytes(disk) > 3_000_000
    fill_inodes(disk)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        (disk / "one more").touch()
    assert os.statvfs(disk).f_bavail > 900
    assert free_bytes(disk) == 0
    assert run_guarded(lambda: write_text(disk / "a.txt", "words")) == 3
    said = capsys.readouterr().err
    assert said.startswith(f"error: the disk of '{disk}/.a.txt.")
    assert said.endswith(
        ".tmp' must be free to hold more files, but got 'No space left on device': 67.1 MB are "
        f"free, but no inode; delete files, however small{KEPT}"
    )
    assert full_words(disk, 10) == (
        f"the disk of '{disk}' must be free to hold more files, but got 'No space left on device': "
        "67.1 MB are free, but no inode; delete files, however small"
    )
    # A library's own error for it, which has no number.
    assert isinstance(as_full(RuntimeError("no"), disk / "a", disk / "b"), DiskFull)
    (disk / "0").unlink()
    assert free_bytes(disk) > 3_000_000
    assert as_full(RuntimeError("no"), disk / "a", disk / "b") is None


def test_a_disk_without_bytes_is_full_as_ever(
    mount: Mount, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = mount("size=4m")
    assert run_guarded(lambda: write_text(disk / "a.txt", "words" * 1_000_000)) == 3
    assert capsys.readouterr().err == (
        f"error: the disk of '{disk}/a.txt' must be writable and have room, but got 'No space left "
        f"on device'{KEPT}"
    )
    assert [*disk.iterdir()] == []


OVER_QUOTA = """
import os, sys
from pathlib import Path
from harness.base.console import run_guarded
from harness.base.disk import is_full, full_words
from harness.base.files import write_text
disk = Path(sys.argv[1])
os.setgid(65534)
os.setuid(65534)  # root has no quota; from here on nothing can be imported
code = run_guarded(lambda: write_text(disk / "a.txt", "words" * 100_000))
try:
    write_text(disk / "a.txt", "words" * 100_000)
except OSError as error:
    print(code, error.errno, is_full(error))
    print(full_words(disk, 10, error))
"""


def test_a_quota_is_named_as_one(mount: Mount) -> None:
    disk = mount("mode=1777", "usrquota", "usrquota_block_hardlimit=100k")
    command = [sys.executable, "-c", OVER_QUOTA, str(disk)]
    done = subprocess.run(command, capture_output=True, text=True)
    said = "must be free enough, but got 'Disk quota exceeded'; delete files of yours, or have it "
    assert done.stderr == f"error: your quota on the disk of '{disk}/a.txt' {said}raised{KEPT}"
    assert done.stdout.splitlines() == [
        f"3 {errno.EDQUOT} True",
        f"your quota on the disk of '{disk}' {said}raised",
    ]
    assert is_full(OSError(errno.EDQUOT, ""))
