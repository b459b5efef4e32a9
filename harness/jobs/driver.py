"""The driver: plan, submit what is ready, wait, plan again, until nothing is missing."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from harness.base import damage
from harness.base.console import Console
from harness.base.disk import free_bytes, full_words, is_full
from harness.base.errors import Damaged, JobFailed, Outage, Stopped
from harness.base.owned import look_before
from harness.base.signals import ending_signals, leave_closed_terminal
from harness.jobs.executors.base import Event, Executor
from harness.jobs.folder import WorkFolder
from harness.jobs.forecast import Forecast, UnderWay, first_epoch
from harness.jobs.graph import JobGraph
from harness.jobs.journal import JournalLine, in_words, read_lines
from harness.jobs.runner import Outcome
from harness.jobs.spec import Request
from harness.jobs.status import missing
from harness.jobs.waiting import Waiting

Planner = Callable[[JobGraph], Any]

LOST_RETRIES = 2
POLL_SECONDS = 0.5
LEAST_ROOM = 16_000_000
"""Bytes to ask for at least where the disk is full."""


@dataclass
class _Run:
    """A submitted request; `began` (monotonic seconds) and `first` (epoch) when it was taken up,
    `seen` both when its first epoch here had ended (what comes before is imports and data), `last`
    when the newest had."""

    request: Request
    offset: int = 0
    began: float | None = None
    first: int = 0
    epoch: int = 0
    seen: tuple[float, int] | None = None
    last: float = 0.0

    @property
    def key(self) -> str:
        return self.request.spec.digest

    def under_way(self) -> UnderWay:
        since, epoch = self.seen or (self.began or time.monotonic(), self.first)
        until = self.last if self.seen else time.monotonic()
        return UnderWay(self.request, self.epoch, self.epoch - epoch, until - since)


@dataclass
class Driver:
    """Drives planners to their end on one executor; `graph` makes the graph of a planning pass.

    Attributes:
        forecast: gives that of the command that this is a part of, once there is one.
        begun: called when jobs were submitted, before it is waited for them.
    """

    work: WorkFolder
    executor: Executor
    console: Console
    graph: Callable[[], JobGraph]
    forecast: Callable[[], Forecast | None] = lambda: None
    begun: Callable[[], None] = lambda: None
    running: dict[int, _Run] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    room_wanted: int = 0
    asked_to_stop: bool = False
    submitted: bool = False

    def drive(self, planner: Planner) -> Any:
        """Run `planner` to its end; returns what its last pass returned.

        A pass that meets an outage is thrown away and made again, after growing pauses, while
        running jobs go on: like a killed driver's, the next one begins by reading what is there.

        Raises:
            JobFailed: a job failed; the others were finished first.
            Stopped: SIGINT, SIGTERM or SIGHUP; running jobs saved their state.
            Lost: another command took over the work folder.
        """
        with self.console.progress() as progress, self._signals():
            away = Waiting(self.console)
            while True:
                look_before(self.work.root)
                graph, trouble = self.graph(), ""
                try:
                    plan = planner(graph)
                    pending = graph.pending()
                    for words in damage.take("it is made again"):
                        self.console.warn(words)
                    if (forecast := self.forecast()) is not None:
                        forecast.ask(self.work, graph.wanted(), pending)
                    self._need_room()
                except (Outage, OSError) as error:
                    trouble = self._why(error)
                if trouble:
                    self._sit_out(away.failed(trouble), progress)
                    continue
                away.worked()
                # A result can be there a moment before its worker says so.
                if not pending and not self.running:
                    break
                if pending and not self.asked_to_stop:
                    self._submit(graph)
                if not self.running:
                    self._give_up()
                self.begun()
                self._wait(progress)
        if self.asked_to_stop:  # the last job ended all the same; the executor takes no other
            self._give_up()
        return plan

    def _submit(self, graph: JobGraph) -> None:
        busy = {run.key for run in self.running.values()}
        for request in graph.ready():
            digest = request.spec.digest
            if digest in busy or digest in self.failures:
                continue
            self.running[self.executor.submit(request)] = _Run(request)
            self.submitted = True

    def _wait(self, progress: Any) -> None:
        """Wait for at least one end, showing progress meanwhile."""
        while self.running and not self._poll(progress):
            pass

    def _poll(self, progress: Any) -> bool:
        """Take in what happened in a moment; whether a job ended."""
        look_before(self.work.root)
        self._show(progress)
        events = self.executor.wait(POLL_SECONDS)
        for event in events:
            self._end(event, progress)
        if self.asked_to_stop:
            active = self.executor.active()
            self.running = {h: run for h, run in self.running.items() if h in active}
        return bool(events)

    def _sit_out(self, seconds: float, progress: Any) -> None:
        """Let an outage pass while running jobs go on."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.running:
                self._poll(progress)
            elif self.asked_to_stop:
                self._give_up()
            else:
                time.sleep(POLL_SECONDS)

    def _need_room(self) -> None:
        """Raises Outage while a job that found the disk full would find it so again."""
        if self.room_wanted and free_bytes(self.work.root) < self.room_wanted:
            raise Outage(full_words(self.work.root, self.room_wanted))
        self.room_wanted = 0

    def _why(self, error: Outage | OSError) -> str:
        """An outage in words; what is none is raised again."""
        if isinstance(error, Outage):
            return str(error)
        if not is_full(error):
            raise error
        return full_words(self.work.root, LEAST_ROOM, error)

    def _lacks_room(self, run: _Run, wrote: int) -> bool:
        """Whether the disk is as full as a job says, for which there may be other reasons: a quota.

        A job may write as much again as it has, and more than the write that failed.
        """
        own = self.work.job(run.request.spec).size()
        wanted = max(LEAST_ROOM, 2 * own, 2 * wrote)
        if free_bytes(self.work.root) >= wanted:
            return False
        self.room_wanted = max(self.room_wanted, wanted)
        return True

    def _end(self, event: Event, progress: Any) -> None:
        run = self.running.pop(event.handle)
        if run.began is None:
            self._take_up(run, progress)
        outcome = event.outcome
        if outcome.state == "done" and missing(self.work, run.request):
            outcome = Outcome("failed", "it ended without its results", 1)
        if outcome.state == "done":
            self._measure(run)
            progress.finish(run.key, outcome.reason)
        elif outcome.state == "stopped":
            progress.finish(run.key, "state saved", "stopped")
            self._stop()
        elif outcome.state == "crowded":
            progress.finish(run.key, outcome.reason, "failed")
        elif outcome.state == "full" and self._lacks_room(run, outcome.wrote):
            progress.finish(run.key, f"{outcome.reason}; goes on from its saved state", "failed")
        elif outcome.state in ("lost", "full", "stale") and self.lost[run.key] < LOST_RETRIES:
            self.lost[run.key] += 1
            then = (
                "it is made again" if outcome.state == "stale" else "goes on from its saved state"
            )
            progress.finish(run.key, f"{outcome.reason}; {then}", "failed")
        else:
            reason = f"{run.request.label}: {outcome.reason}"
            if outcome.state == "lost":
                reason += ", every time"
                reason += "; where memory ran out, take fewer --workers" if outcome.spent else ""
            self.failures[run.key] = reason
            progress.finish(run.key, outcome.reason.splitlines()[0], "failed")

    def _give_up(self) -> None:
        if self.asked_to_stop:
            saved = "running jobs saved their state, " if self.submitted else ""
            raise Stopped(f"stopped; {saved}repeat the command to go on")
        if self.failures:
            raise JobFailed("; ".join(self.failures.values()))
        raise JobFailed(
            "every planned job must be able to start, but some wait for inputs that nobody plans"
        )

    def _stop(self) -> None:
        self.asked_to_stop = True
        self.executor.stop()

    def _show(self, progress: Any) -> None:
        for handle in self.executor.busy() & set(self.running):
            run = self.running[handle]
            if run.began is None:
                self._take_up(run, progress)
            lines = self._new_lines(run)
            if lines and run.request.epochs:
                run.epoch = lines[-1].step
                run.last = time.monotonic()
                run.seen = run.seen or (run.last, run.epoch)
                values = {line.name: line.value for line in lines if line.step == run.epoch}
                progress.update(run.key, run.epoch, ", ".join(in_words(values)))
        if (forecast := self.forecast()) is not None:
            left = forecast.left([run.under_way() for run in self.running.values()])
            progress.overall(*forecast.counts(), left)

    def _take_up(self, run: _Run, progress: Any) -> None:
        """A worker began with it, where an earlier one may have left it."""
        epochs = run.request.epochs
        label = run.request.label or run.request.spec.kind
        progress.start(run.key, label, epochs[-1] if epochs else None, minor=not epochs)
        run.began = time.monotonic()
        lines = self._new_lines(run) if epochs else []
        first = first_epoch(run.request)
        # A journal that is further belongs to a longer training: this one goes back.
        further = bool(lines) and lines[-1].step >= epochs[-1]
        run.first = run.epoch = lines[-1].step if lines and not further else first

    def _new_lines(self, run: _Run) -> list[JournalLine]:
        try:
            lines, run.offset = read_lines(self.work.job(run.request.spec).journal, run.offset)
        except Damaged:  # the job that takes it up begins it anew
            return []
        return lines

    def _measure(self, run: _Run) -> None:
        """Tell the forecast what a finished job took."""
        if (forecast := self.forecast()) is not None:
            run.epoch = run.request.epochs[-1] if run.request.epochs else run.first + 1
            run.seen = None  # all of it counts
            forecast.measure(run.under_way())

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """First SIGINT, SIGTERM or SIGHUP stops cleanly, a second SIGINT at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(number: int, _: object) -> None:
            if self.asked_to_stop and number == signal.SIGINT:
                raise KeyboardInterrupt
            if number == signal.SIGHUP:
                leave_closed_terminal()
            self._stop()

        before = {n: signal.signal(n, ask) for n in (signal.SIGINT, *ending_signals())}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
