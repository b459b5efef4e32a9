"""The contract of an executor."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.base.registry import Registry, call_place
from harness.jobs.runner import Outcome
from harness.jobs.spec import Request


@dataclass(frozen=True)
class Event:
    """A submitted request ended. `lost` means that its worker died without a word."""

    handle: int
    outcome: Outcome


class Executor(Protocol):
    """Runs requests. One job at a time per worker."""

    workers: int

    def submit(self, request: Request) -> int:
        """Queue a request; returns its handle."""
        ...

    def wait(self, timeout: float) -> list[Event]:
        """Requests that ended, after at most `timeout` seconds; [] if none did."""
        ...

    def busy(self) -> set[int]:
        """Handles that are being computed now."""
        ...

    def active(self) -> set[int]:
        """Handles that will still produce an event."""
        ...

    def stop(self) -> None:
        """Ask every running job to save its state and leave; queued ones are dropped.

        Safe in a signal handler; takes effect at the next `wait`.
        """
        ...

    def close(self) -> None:
        """End all workers."""
        ...

    def warm(self, modules: Sequence[str]) -> None:
        """Start a worker ahead of the first request, with modules that it will need."""
        ...

    def ask(self, place: str, *given: Any) -> Any:
        """What the function at "module:function" returns or raises, called by an idle worker; in
        this process where there is none, or it dies."""
        ...


class Queue:
    """What every executor does alike: number requests, keep those that wait, note a stop."""

    def __init__(self) -> None:
        self._queue: deque[tuple[int, Request]] = deque()
        self._next = 0
        self._stopping = False

    def submit(self, request: Request) -> int:
        self._next += 1
        self._queue.append((self._next, request))
        return self._next

    def queued(self) -> set[int]:
        """Handles that wait, and will be computed."""
        return set() if self._stopping else {handle for handle, _ in self._queue}

    def warm(self, modules: Sequence[str]) -> None:
        pass

    def ask(self, place: str, *given: Any) -> Any:
        return call_place(place, *given)

    def stop(self) -> None:
        # A signal handler may call this in the middle of anything else: `wait` does the rest.
        self._stopping = True


class ExecutorFactory(Protocol):
    def __call__(self, root: Path, workers: int, threads: int) -> Executor: ...


EXECUTORS: Registry[ExecutorFactory] = Registry(
    "--engine",
    "harness.executors",
    {
        "processes": "harness.jobs.executors.processes:ProcessExecutor",
        "ray": "harness.jobs.executors.ray:RayExecutor",
        "inline": "harness.jobs.executors.inline:InlineExecutor",
    },
)
