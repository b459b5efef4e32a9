"""Small disks of their own, in memory."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def mounted(path: Path, *options: str) -> Iterator[Path]:
    """A disk of 64 MB at `path`, with tmpfs's options; skips the test where none can be mounted."""
    path.mkdir()
    how = ["-t", "tmpfs", "-o", ",".join(["size=64m", *options])]
    if subprocess.run(["mount", *how, "tmpfs", str(path)], capture_output=True).returncode:
        pytest.skip(f"a disk with {options} could not be mounted")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill_inodes(disk: Path) -> None:
    """Files without content, until the disk takes no more."""
    with contextlib.suppress(OSError):
        for number in range(1000):
            (disk / str(number)).touch()
