"""Worker processes of this one."""

from __future__ import annotations

import psutil


def workers() -> list[psutil.Process]:
    """Living ones; this process may have other children, of multiprocessing say."""
    return [child for child in psutil.Process().children() if is_worker(child)]


def is_worker(process: psutil.Process) -> bool:
    try:
        return "harness.jobs.worker" in process.cmdline()
    except psutil.Error:  # it just ended
        return False
