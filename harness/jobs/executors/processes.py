"""Local worker processes, each with its own threads, each computing one request at a time.

A worker is `python -m harness.jobs.worker`; driver and worker exchange one JSON line per request
and outcome, and per question and answer. A worker that dies is an event, and another takes its
place.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from harness.base.gpu_share import GpuShare
from harness.jobs.executors.base import Event, Queue
from harness.jobs.runner import Outcome
from harness.jobs.spec import Request
from harness.jobs.worker import packed, unpacked

# Memory that is not handed back between steps saves page faults (pix2pix: 1.04-1.14x).
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": "536870912", "MALLOC_MMAP_THRESHOLD_": "536870912"}


def worker_environment(share: GpuShare, threads: int) -> dict[str, str]:
    """Variables of a worker's process."""
    return {
        **KEEP_MEMORY,
        **share.environment(),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }


class _Worker:
    """One child process and what it is computing."""

    def __init__(self, root: Path, threads: int, log: IO[bytes], share: GpuShare) -> None:
        self.share = share
        self.handle: int | None = None
        self.told_to_stop = False
        self.used = False
        self.buffer = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness.jobs.worker", str(root), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **worker_environment(share, threads)},
            start_new_session=True,  # a Ctrl-C at the terminal reaches the driver alone
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests, self.outcomes = self.process.stdin, self.process.stdout

    def send(self, handle: int, request: Request) -> bool:
        self.handle = handle
        self.used = True
        return self.write(request.to_dict())

    def write(self, line: Mapping[str, Any]) -> bool:
        try:
            self.requests.write(json.dumps(line).encode() + b"\n")
            self.requests.flush()
        except BrokenPipeError:
            return False
        return True

    def stop(self) -> None:
        if self.handle is not None and not self.told_to_stop and self.process.poll() is None:
            self.told_to_stop = True
            self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # it died with a request unread
            self.requests.close()  # an idle worker leaves at the end of its input
        if self.process.poll() is None:
            # A busy one saves its state first; one that only loads modules has none.
            (self.process.terminate if self.used else self.process.kill)()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.outcomes.close()


class ProcessExecutor(Queue):
    """`workers` local processes with `threads` threads each."""

    def __init__(self, root: Path, workers: int, threads: int) -> None:
        super().__init__()
        self.workers = workers
        self._root = root
        self._threads = threads
        self._lost: list[Event] = []
        self._selector = selectors.DefaultSelector()
        log = root / "logs" / "workers.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log: IO[bytes] = open(log, "ab")  # noqa: SIM115 - closed by `close`
        self._pool: list[_Worker] = []

    def submit(self, request: Request) -> int:
        handle = super().submit(request)
        self._feed()
        return handle

    def warm(self, modules: Sequence[str]) -> None:
        worker = self._idle()
        if worker is not None:
            worker.write({"load": list(modules)})

    def ask(self, place: str, *given: Any) -> Any:
        worker = self._idle()
        if worker is None:
            return super().ask(place, *given)
        worker.write({"call": packed((place, given))})
        while not worker.buffer.endswith(b"\n"):
            block = os.read(worker.outcomes.fileno(), 1 << 16)
            if not block:
                self._bury(worker)
                return super().ask(place, *given)
            worker.buffer += block
        found, error = unpacked(json.loads(worker.buffer)["answer"])
        worker.buffer = b""
        if error is not None:
            raise error
        return found

    def wait(self, timeout: float) -> list[Event]:
        if self._stopping:
            self._queue.clear()
            for worker in self._pool:
                worker.stop()
        self._feed()
        events, self._lost = self._lost, []
        if events:
            return events
        if not any(worker.handle is not None for worker in self._pool):
            return []
        for key, _ in self._selector.select(timeout):
            events += self._read(key.data)
        self._feed()
        return events

    def busy(self) -> set[int]:
        return {worker.handle for worker in self._pool if worker.handle is not None}

    def active(self) -> set[int]:
        return self.busy() | self.queued() | {event.handle for event in self._lost}

    def close(self) -> None:
        for worker in self._pool:
            worker.end()
        self._pool.clear()
        self._selector.close()
        self._log.close()

    def _feed(self) -> None:
        while self._queue and not self._stopping:
            worker = self._idle()
            if worker is None:
                return
            handle, request = self._queue.popleft()
            if not worker.send(handle, request):
                self._lost += self._bury(worker)

    def _idle(self) -> _Worker | None:
        idle = next((worker for worker in self._pool if worker.handle is None), None)
        if idle is not None or len(self._pool) >= self.workers:
            return idle
        free = set(range(self.workers)) - {worker.share.number for worker in self._pool}
        share = GpuShare(min(free), self.workers)
        worker = _Worker(self._root, self._threads, self._log, share)
        self._selector.register(worker.outcomes, selectors.EVENT_READ, worker)
        self._pool.append(worker)
        return worker

    def _read(self, worker: _Worker) -> list[Event]:
        block = os.read(worker.outcomes.fileno(), 1 << 16)
        if not block:
            return self._bury(worker)
        worker.buffer += block
        *whole, worker.buffer = worker.buffer.split(b"\n")
        events = []
        for line in whole:
            if worker.handle is not None:
                outcome = Outcome(**json.loads(line))
                events.append(Event(worker.handle, outcome))
                worker.handle = None
                if outcome.spent:
                    self._bury(worker)
        return events

    def _bury(self, worker: _Worker) -> list[Event]:
        self._selector.unregister(worker.outcomes)
        self._pool.remove(worker)
        worker.end()
        if worker.handle is None:
            return []
        reason = f"its worker process died (exit status {worker.process.returncode})"
        return [Event(worker.handle, Outcome("lost", reason, 3, spent=True))]
