"""Progress of jobs: a live display on a terminal, plain lines at a modest rate elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import TaskID


class JobProgress(Protocol):
    """Progress of jobs; every method may be called from any thread."""

    def start(self, key: str, title: str, total: float | None = None) -> None:
        """A job begins; `total` is what `done` counts up to, if known."""

    def update(self, key: str, done: float | None = None, text: str = "") -> None:
        """How far a job is, with a few words (losses, rate)."""

    def finish(self, key: str, text: str = "", failed: bool = False) -> None:
        """A job ended; it leaves a line behind."""


@dataclass
class _Job:
    title: str
    total: float | None
    began: float
    shown: float

    def line(self, word: str, done: float | None, text: str, count: str = "") -> str:
        share = "" if done is None else f" {done:g}" + (f"/{self.total:g}" if self.total else "")
        words = f"  {text}" if text else ""
        return f"{word:<7} {count}{self.title}{share}{words}"


class _Jobs:
    """What both displays keep: the jobs under way and how many have ended."""

    def __init__(self, say: Callable[[str], None], total_jobs: int | None) -> None:
        self.say = say
        self.total_jobs = total_jobs
        self.ended = 0
        self.jobs: dict[str, _Job] = {}
        self.lock = threading.RLock()

    def begin(self, key: str, title: str, total: float | None) -> _Job:
        now = time.monotonic()
        self.jobs[key] = _Job(title, total, now, now)
        return self.jobs[key]

    def end(self, key: str, text: str, failed: bool) -> str:
        """Forget the job; return the line it leaves behind."""
        job = self.jobs.pop(key, None) or _Job(key, None, time.monotonic(), 0.0)
        self.ended += 1
        count = f"[{self.ended}/{self.total_jobs}] " if self.total_jobs else ""
        took = elapsed(time.monotonic() - job.began)
        words = f"{text}, {took}" if text else took
        return job.line("failed" if failed else "done", None, words, count)


class PlainProgress(_Jobs):
    """Lines: one when a job starts, one when it ends, between them one in `interval_s` at most."""

    def __init__(
        self, say: Callable[[str], None], total_jobs: int | None, interval_s: float
    ) -> None:
        super().__init__(say, total_jobs)
        self.interval_s = interval_s

    def start(self, key: str, title: str, total: float | None = None) -> None:
        with self.lock:
            self.say(self.begin(key, title, total).line("start", None, ""))

    def update(self, key: str, done: float | None = None, text: str = "") -> None:
        with self.lock:
            job = self.jobs.get(key) or self.begin(key, key, None)
            now = time.monotonic()
            if now - job.shown >= self.interval_s:
                job.shown = now
                self.say(job.line("at", done, text))

    def finish(self, key: str, text: str = "", failed: bool = False) -> None:
        with self.lock:
            self.say(self.end(key, text, failed))


class TerminalProgress(_Jobs):
    """Bars of the jobs under way; an ended job leaves a line above them."""

    def __init__(self, say: Callable[[str], None], total_jobs: int | None, stream: TextIO) -> None:
        from rich import console as rich_console
        from rich import progress

        super().__init__(say, total_jobs)
        self.progress = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(bar_width=24),
            progress.TextColumn("{task.fields[text]}", markup=False),
            progress.TimeElapsedColumn(),
            console=rich_console.Console(file=stream, highlight=False),
            refresh_per_second=4,
            transient=True,
        )
        self.tasks: dict[str, TaskID] = {}
        self.all = self.progress.add_task("all jobs", total=total_jobs, text="")
        self.progress.update(self.all, visible=total_jobs is not None)

    def start(self, key: str, title: str, total: float | None = None) -> None:
        with self.lock:
            self.begin(key, title, total)
            self.tasks[key] = self.progress.add_task(title, total=total, text="")

    def update(self, key: str, done: float | None = None, text: str = "") -> None:
        with self.lock:
            if key not in self.tasks:
                self.start(key, key)
            self.progress.update(self.tasks[key], completed=done, text=text)

    def finish(self, key: str, text: str = "", failed: bool = False) -> None:
        with self.lock:
            if key in self.tasks:
                self.progress.remove_task(self.tasks.pop(key))
            self.say(self.end(key, text, failed))
            self.progress.update(self.all, completed=self.ended)


def elapsed(seconds: float) -> str:
    """`8 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
