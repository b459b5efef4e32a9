"""How much of a command is left: its work by kind of job, at the pace measured so far.

The unit of work is an epoch of a training, else a job. What a command will ask for later (the next
trials of a sweep, the scores of the test) is expected; what it has asked for is counted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.jobs.folder import WorkFolder
from harness.jobs.kinds import KINDS
from harness.jobs.spec import Request
from harness.jobs.status import missing

TRAINING_IN_JOBS = 12
"""A training takes as long as so many jobs of a kind that was neither timed nor measured yet."""

LEAST_TIMED_S = 10.0
"""Seconds that the work of a kind would have taken as it was timed, before others are corrected by
what it took."""


@dataclass
class Work:
    """Work by kind of job: how many jobs, how many units."""

    jobs: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, requests: Iterable[Request]) -> Work:
        """What requests come to, each done from its beginning."""
        found = cls()
        for request in requests:
            found.add(request)
        return found

    def add(self, request: Request, times: int = 1) -> None:
        """Count a request in; -1 time takes it back."""
        self.jobs[request.spec.kind] += times
        self.units[request.spec.kind] += times * units_after(request, first_epoch(request))


def first_epoch(request: Request) -> int:
    """The epoch after which a training begins: a decay goes on from another one's checkpoint."""
    return max((entry.epoch or 0 for entry in request.spec.inputs.values()), default=0)


def units_after(request: Request, epoch: int) -> int:
    """Units of a request that are left when a training of it has come to an epoch."""
    if not KINDS.get(request.spec.kind).training:
        return 1
    return max(0, max(request.epochs, default=0) - epoch)


@dataclass(frozen=True)
class UnderWay:
    """A job that a worker computes now.

    Attributes:
        epoch: that a training has reached.
        units, seconds: that it did since it was taken up, and took for them.
    """

    request: Request
    epoch: int
    units: int
    seconds: float


@dataclass
class Forecast:
    """What is left of one command.

    Attributes:
        expect: counts all of its work, as far as that can be known.
        seconds: of a worker for a unit of a kind, before any was measured.
        workers: that share the work.
        expected: what `expect` counted last.
    """

    expect: Callable[[], Work]
    seconds: Mapping[str, float]
    workers: int = 1
    expected: Work = field(default_factory=Work)
    _asked: dict[str, Request] = field(default_factory=dict)
    _work: Work = field(default_factory=Work)
    _open: dict[str, tuple[Request, int]] = field(default_factory=dict)
    _took: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Count anew what is expected: a sweep has asked for trials that nobody could foresee."""
        self.expected = self.expect()

    def ask(
        self, work: WorkFolder, requests: Iterable[Request], pending: Iterable[Request]
    ) -> None:
        """Take in a planning pass: what was asked for, and what of it is not there yet."""
        for request in requests:
            digest = request.spec.digest
            known = self._asked.get(digest)
            if known is not request:
                self._asked[digest] = request
                self._work.add(request)
                if known is not None:
                    self._work.add(known, -1)
            self._open.pop(digest, None)
        for request in pending:
            lacking = missing(work, request)
            there = [epoch for epoch in request.epochs if epoch not in lacking]
            self._open[request.spec.digest] = request, max([first_epoch(request), *there])

    def measure(self, job: UnderWay) -> None:
        """Take in what a job that ended took."""
        self._took.setdefault(job.request.spec.kind, []).append((job.units, job.seconds))

    def foreseen(self) -> tuple[int, float] | None:
        """Jobs in all, and the time at which they will be done; None where that cannot be told."""
        left = self.left([])
        return None if left is None else (self.counts()[1], time.time() + left)

    def counts(self) -> tuple[int, int]:
        """Jobs that are done, and jobs in all."""
        in_all = self._work.jobs | self.expected.jobs
        return len(self._asked) - len(self._open), sum(in_all.values())

    def left(self, running: Sequence[UnderWay]) -> float | None:
        """Seconds to the end; None where nothing is known of the pace."""
        pace = self._pace(running)
        at = {job.request.spec.digest: job.epoch for job in running}
        units, longest = Counter[str](), 0.0
        for digest, (request, epoch) in self._open.items():
            kind, more = request.spec.kind, units_after(request, max(epoch, at.get(digest, 0)))
            units[kind] += more
            longest = max(longest, more * pace.get(kind, 0.0))
        units += self.expected.units - self._work.units
        trainings = {k: n for k, n in self.expected.jobs.items() if KINDS.get(k).training and n}
        whole = [self.expected.units[k] / n * pace[k] for k, n in trainings.items() if k in pace]
        if not pace:
            return None
        other = sum(whole) / max(1, len(whole)) / TRAINING_IN_JOBS
        total = sum(count * pace.get(kind, other) for kind, count in units.items())
        return max(total / self.workers, longest)

    def _pace(self, running: Sequence[UnderWay]) -> dict[str, float]:
        """Seconds for a unit by kind: as measured here, else as timed before, corrected by what
        those of other kinds took beside what was timed of them. A worker's first job of a kind also
        loads what the kind needs, so that the first ones count only until there are others."""
        done, taken = {}, {}
        for kind, took in self._took.items():
            counted = took[self.workers :] or took
            done[kind] = sum(units for units, _ in counted)
            taken[kind] = sum(seconds for _, seconds in counted)
        for job in running:
            if job.units:
                kind = job.request.spec.kind
                done[kind] = done.get(kind, 0) + job.units
                taken[kind] = taken.get(kind, 0) + job.seconds
        pace = {kind: taken[kind] / count for kind, count in done.items() if count}
        # Of a training of seconds most goes to loading, which tells nothing of another's epochs.
        timed = {kind: done[kind] * self.seconds[kind] for kind in pace if kind in self.seconds}
        told = [kind for kind, seconds in timed.items() if seconds >= LEAST_TIMED_S]
        slower = sum(taken[k] for k in told) / sum(timed[k] for k in told) if told else 1.0
        return {kind: slower * seconds for kind, seconds in self.seconds.items()} | pace
