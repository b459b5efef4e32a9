"""What a command takes on this machine: its jobs, known ahead, and time from timed steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.base.errors import OutOfMemory
from harness.commands.audit import read_audits
from harness.commands.chosen_settings import choice, stage_sweep, tuning_under
from harness.commands.compute import Precisions, default_workers
from harness.commands.session import Session
from harness.commands.steps import comparison_of
from harness.data.pairs.store import Store
from harness.jobs.forecast import Forecast, Work
from harness.jobs.graph import JobGraph
from harness.jobs.kinds import KINDS
from harness.jobs.spec import Request
from harness.jobs.status import missing

NAMES = {
    "mask": "mask sweep",
    "image": "image sweep",
    "segmentation": "segmenters' settings",
    "comparison": "comparison",
}
"""What a command may consist of, in its order."""

TRAININGS = {
    "mask": ("mask-stage",),
    "image": ("image-stage", "image-decay"),
    "segmentation": ("segmenter",),
}
"""Kinds of jobs that train the network of a section."""


@dataclass(frozen=True)
class Part:
    """A part of a command.

    Attributes:
        requests: jobs that the parts before it do not ask for; finished ones are among them.
    """

    key: str
    requests: tuple[Request, ...]

    @property
    def name(self) -> str:
        return NAMES[self.key]

    @property
    def trainings(self) -> int:
        """Trainings, each with its decay."""
        kinds = [request.spec.kind for request in self.requests]
        return sum(KINDS.get(k).training and not k.endswith("-decay") for k in kinds)


def plan_ahead(session: Session, keys: Iterable[str]) -> list[Part]:
    """The jobs of a command's parts, as far as they can be known before they are asked for.

    Trials that a sampler would choose are drawn at random; what a sweep would choose has the
    experiment's settings, or those of an earlier choice.
    """
    seen: dict[str, Request] = {}
    found = []
    for key in keys:
        graph = JobGraph(session.work)
        if key in ("mask", "image"):
            stage_sweep(session, key).preview(graph)
        elif key == "segmentation":
            tuning_under(session, choice(session)).plan(graph, ahead=True)
        else:
            plan = comparison_of(session, choice(session)).plan(graph, ahead=True)
            read_audits(session, plan, graph)
        wanted = {request.spec.digest: request for request in graph.wanted()}
        found.append(Part(key, tuple(r for digest, r in wanted.items() if digest not in seen)))
        seen |= wanted
    return found


def seconds_per_unit(
    session: Session, now: bool = False, sections: Iterable[str] = tuple(TRAININGS)
) -> dict[str, float]:
    """Seconds of a worker for an epoch of each kind of training, from steps on this machine.

    Args:
        now: time steps now; else those that were timed when precisions were chosen will do.
        sections: whose network is trained.
    """
    store = Store.open(session.work.job(session.store).verified() / "store")
    pairs = len(store.select(role="train", selected=True))
    settings = session.experiment.segmentation
    images = {
        "mask": pairs,
        "image": pairs,
        "segmentation": settings.updates_per_epoch * settings.batch_size,
    }
    rates = {section: image_rate(session, section, now) for section in sections}
    return {kind: images[name] / rate for name, rate in rates.items() for kind in TRAININGS[name]}


def image_rate(session: Session, section: str, now: bool = False) -> float:
    """Images per second of a network's steps: as frozen in the work folder, else timed now."""
    precisions = session.compute["precision"]
    known = isinstance(precisions, Precisions) and not now
    frozen = precisions.rate(section) if known else None
    if frozen:
        return frozen
    from harness.commands.costs.step_timing import image_rate as timed  # takes torch

    return timed(session.experiment, section, session.specs.compute_of(TRAININGS[section][0]))


def forecast(session: Session, parts: Sequence[Part], per_unit: Mapping[str, float]) -> Forecast:
    """Of parts of a command; nothing of them is asked for yet."""
    return Forecast(lambda: _work(parts), per_unit, workers_of(session))


def workers_of(session: Session) -> int:
    """How many jobs the session runs side by side."""
    if session.engine == "inline":
        return 1
    return session.workers or default_workers(session.compute)


def _work(parts: Iterable[Part]) -> Work:
    return Work.of(request for part in parts for request in part.requests)


def seconds_left(session: Session, parts: Sequence[Part], per_unit: Mapping[str, float]) -> float:
    """How long the workers take for what of the parts is not done."""
    found = forecast(session, parts, per_unit)
    requests = [request for part in parts for request in part.requests]
    found.ask(session.work, requests, [r for r in requests if missing(session.work, r)])
    return found.left([]) or 0.0


def foresee(session: Session, keys: Sequence[str]) -> None:
    """Let the session's command say how long it takes, from its first job on."""

    def ahead() -> Forecast:
        here = session.address is None  # else the pace is known when the first jobs have ended
        found = Forecast(lambda: _work(plan_ahead(session, keys)), {}, workers_of(session))
        kinds = found.expected.jobs
        wanted = [name for name, trained in TRAININGS.items() if any(kinds[k] for k in trained)]
        with contextlib.suppress(OutOfMemory):  # which the job itself will meet, and say
            found.seconds = seconds_per_unit(session, sections=wanted) if here else {}
        return found

    session.ahead = ahead
