"""Patients read side by side, each in one of several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import TypeVar

from harness.base.errors import EnvironmentFault
from harness.data.scan import Source

T = TypeVar("T")
R = TypeVar("R")

MOST = 16
"""Processes: each holds a patient, and they share a disk."""

LEAST = 4
"""Patients for which starting processes is worth its second or two."""

_source: Source


def read_each(
    function: Callable[[Source, T], R],
    patients: Sequence[T],
    source: Source,
    readers: int,
) -> Iterator[R]:
    """`function(source, patient)` of each patient, in their order.

    Args:
        function: of a module, so that other processes find it.
        source: every process gets a copy.
        readers: processes; below two, or of few patients, all are read in this one.

    Raises:
        EnvironmentFault: a process was ended from outside, most likely for want of memory.
    """
    count = min(readers, MOST, len(patients))
    if count < 2 or len(patients) < LEAST:
        yield from (function(source, patient) for patient in patients)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, _begin, (source, os.getpid())) as pool:
        try:
            yield from pool.map(partial(_call, function), patients)
        except BrokenProcessPool as error:
            raise EnvironmentFault(
                f"patients must be readable {count} at a time, but a process that read one was "
                "ended, most likely for want of memory; use fewer --workers"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin(source: Source, parent: int) -> None:
    global _source
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent, which is asked as well, ends this
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    _source = source


def _leave_with(parent: int) -> None:
    """Nobody waits for what is read once the parent was killed."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _call(function: Callable[[Source, T], R], patient: T) -> R:
    return function(_source, patient)
