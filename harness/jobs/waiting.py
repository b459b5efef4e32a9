"""Waiting for what comes back by itself: a server that is away, a disk that is full.

A driver waits here. Which errors of Optuna's database are an outage stands in `sweep.storage`;
MLflow, which must never stop a run, is tried again by its own thread (`tracking.sync_thread`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from harness.base.console import Console
from harness.base.errors import Outage

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
BACK = "what was away is back; going on"

T = TypeVar("T")


class Waiting:
    """Says once that something is away, once that it is back, and how long to wait meanwhile."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tries = 0

    def failed(self, reason: str) -> float:
        """Note another try in vain; returns the seconds to wait before the next."""
        if not self._tries:
            self._console.warn(f"{reason}; waiting for it, nothing is lost (Ctrl-C stops)")
        self._tries += 1
        return float(min(FIRST_WAIT_S * 2 ** min(self._tries - 1, 10), LONGEST_WAIT_S))

    def worked(self) -> None:
        """Note that it is there."""
        if self._tries:
            self._tries = 0
            self._console.warn(BACK)


def wait_out(console: Console, operation: Callable[[], T]) -> T:
    """Do what is safe to repeat until no outage is in its way, while no job runs."""
    waiting = Waiting(console)
    while True:
        try:
            result = operation()
        except Outage as outage:
            time.sleep(waiting.failed(str(outage)))
            continue
        waiting.worked()
        return result
