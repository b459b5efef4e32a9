"""Runs each request in this process when waited for: friendly to debuggers."""

from __future__ import annotations

import gc
from pathlib import Path

from harness.jobs.executors.base import Event, Queue
from harness.jobs.folder import WorkFolder
from harness.jobs.runner import run_request


class InlineExecutor(Queue):
    """One worker: the driver itself."""

    workers = 1

    def __init__(self, root: Path, workers: int = 1, threads: int = 1) -> None:
        super().__init__()
        self._work = WorkFolder(root)
        self._crowded: set[str] = set()

    def wait(self, timeout: float) -> list[Event]:
        if not self._queue or self._stopping:
            return []
        handle, request = self._queue.popleft()
        fresh = request.spec.digest in self._crowded  # as fresh as this process becomes
        outcome = run_request(request, self._work, lambda: self._stopping, fresh)
        if outcome.state == "crowded":
            self._crowded.add(request.spec.digest)
        if outcome.spent:
            gc.collect()  # what the failed job's traceback held
        return [Event(handle, outcome)]

    def busy(self) -> set[int]:
        return {handle for handle, _ in list(self._queue)[:1]}

    def active(self) -> set[int]:
        return self.queued()

    def close(self) -> None:
        self._queue.clear()
