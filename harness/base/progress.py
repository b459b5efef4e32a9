"""Progress of jobs: a live display on a terminal, plain lines at a modest rate elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

from harness.base.text import duration

if TYPE_CHECKING:
    from rich.progress import TaskID

SHOWN = 3
"""Jobs under way that a line of plain progress names."""


class JobProgress(Protocol):
    """Progress of jobs; every method may be called from any thread."""

    def start(self, key: str, title: str, total: float | None = None, minor: bool = False) -> None:
        """A job begins; `total` is what `done` counts up to, if known. Of a minor one only a
        failure leaves a line."""

    def update(self, key: str, done: float | None = None, text: str = "") -> None:
        """How far a job is, with a few words (losses, rate)."""

    def finish(self, key: str, text: str = "", word: str = "done") -> None:
        """A job ended; it leaves a line behind, which begins with `word`: done, failed, stopped."""

    def overall(self, done: int, total: int, left: float | None) -> None:
        """How many jobs of all are done, and the seconds that the others will take."""


@dataclass
class _Job:
    title: str
    total: float | None
    began: float
    shown: float
    minor: bool = False
    done: float | None = None
    text: str = ""

    def where(self) -> str:
        share = "" if self.done is None else f" {self.done:g}"
        share += f"/{self.total:g}" if share and self.total else ""
        return f"{self.title}{share}" + (f"  {self.text}" if self.text else "")


class _Jobs:
    """What both displays keep: the jobs under way and how many have ended."""

    def __init__(self, say: Callable[[str], None], total_jobs: int | None) -> None:
        self.say = say
        self.total_jobs = total_jobs
        self.ended = 0
        self.unit = ""
        self.left: float | None = None
        self.jobs: dict[str, _Job] = {}
        self.lock = threading.RLock()

    def begin(self, key: str, title: str, total: float | None, minor: bool) -> _Job:
        now = time.monotonic()
        self.jobs[key] = _Job(title, total, now, now, minor)
        return self.jobs[key]

    def end(self, key: str, text: str, word: str) -> None:
        """Forget the job; say the line it leaves behind."""
        job = self.jobs.pop(key, None) or _Job(key, None, time.monotonic(), 0.0)
        self.ended += 1
        took = elapsed(time.monotonic() - job.began)
        words = f"{text}, {took}" if text else took
        if word != "done" or not job.minor:
            self.say(f"{word:<7} {self.count()}{job.title}  {words}")

    def tell(self, done: int, total: int, left: float | None) -> None:
        self.ended, self.total_jobs, self.left, self.unit = done, total, left, " jobs"

    def count(self) -> str:
        return f"[{self.ended}/{self.total_jobs}{self.unit}] " if self.total_jobs else ""

    def rest(self) -> str:
        return "" if self.left is None else f"about {duration(self.left)} left"


class PlainProgress(_Jobs):
    """Lines: one when a job starts, one when it ends, between them one in `interval_s` at most, or
    in a hundredth of the time so far: of each job, or of all where `overall` is told."""

    def __init__(
        self, say: Callable[[str], None], total_jobs: int | None, interval_s: float
    ) -> None:
        super().__init__(say, total_jobs)
        self.interval_s = interval_s
        self.began = self.shown = time.monotonic()

    def start(self, key: str, title: str, total: float | None = None, minor: bool = False) -> None:
        with self.lock:
            self.begin(key, title, total, minor)
            if not minor:
                self.say(f"{'start':<7} {title}")

    def update(self, key: str, done: float | None = None, text: str = "") -> None:
        with self.lock:
            job = self.jobs.get(key) or self.begin(key, key, None, False)
            job.done, job.text = done, text
            now = time.monotonic()
            if self.left is None and now - job.shown >= self.interval_s:
                job.shown = now
                self.say(f"{'at':<7} {self.count()}{job.where()}")

    def finish(self, key: str, text: str = "", word: str = "done") -> None:
        with self.lock:
            self.end(key, text, word)

    def overall(self, done: int, total: int, left: float | None) -> None:
        with self.lock:
            self.tell(done, total, left)
            now = time.monotonic()
            if left is None or now - self.shown < max(self.interval_s, (now - self.began) / 100):
                return
            self.shown = now
            shown = [job.where() for job in self.jobs.values() if not job.minor] or [
                job.where() for job in self.jobs.values()
            ]
            self.say(f"{'at':<7} {self.count()}{self.rest()}: {'; '.join(shown[:SHOWN])}")


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

    def start(self, key: str, title: str, total: float | None = None, minor: bool = False) -> None:
        with self.lock:
            self.begin(key, title, total, minor)
            self.tasks[key] = self.progress.add_task(title, total=total, text="")

    def update(self, key: str, done: float | None = None, text: str = "") -> None:
        with self.lock:
            if key not in self.tasks:
                self.start(key, key)
            self.progress.update(self.tasks[key], completed=done, text=text)

    def finish(self, key: str, text: str = "", word: str = "done") -> None:
        with self.lock:
            if key in self.tasks:
                self.progress.remove_task(self.tasks.pop(key))
            self.end(key, text, word)
            self.progress.update(self.all, completed=self.ended)

    def overall(self, done: int, total: int, left: float | None) -> None:
        with self.lock:
            self.tell(done, total, left)
            self.progress.update(
                self.all,
                completed=done,
                total=total,
                visible=True,
                text=f"{self.count()}{self.rest()}",
            )


def elapsed(seconds: float) -> str:
    """`8 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
