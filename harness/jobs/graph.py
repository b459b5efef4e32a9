"""What a planner plans on.

A planner is a function that asks `graph.need(spec)` for results and goes on where it gets them.
What it could not get becomes the list of requests to run. It is called again after each
completion, until it asks for nothing that is missing: so a plan can depend on results (the next
trial, the chosen epoch, the opening of the test) and a killed plan needs no memory of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.jobs.folder import JobFolder, WorkFolder
from harness.jobs.spec import Phases, Request, Spec
from harness.jobs.status import finished, missing, ready


class JobGraph:
    """One pass of planning over the present results.

    Args:
        runtime: what jobs need to find source data; goes into every request, never into a spec.
        pictures: about how many sample grids a training should leave.
    """

    def __init__(
        self, work: WorkFolder, runtime: Mapping[str, Any] | None = None, pictures: int = 8
    ) -> None:
        self.work = work
        self.pictures = pictures
        self._runtime = dict(runtime or {})
        self._wanted: dict[str, Request] = {}
        self._there: dict[str, Request] = {}

    def need(
        self, spec: Spec, epoch: int | None = None, label: str = "", branch: bool = False
    ) -> dict[str, Any] | None:
        """The result, or None after noting that it is wanted.

        Args:
            epoch: the checkpoint wanted of a training; None for a plain job.
            branch: whether the checkpoint should keep its full state, for another job to go on
            from.
        """
        result = finished(self.work, spec, epoch)
        epochs = () if epoch is None else (epoch,)
        branches = epochs if branch else ()
        request = Request(spec, epochs, self.pictures, self._runtime, label, branches)
        known = self._wanted.get(spec.digest)
        self._wanted[spec.digest] = known.merged(request) if known else request
        return result

    def train(self, training: Phases, epoch: int, label: str = "") -> dict[str, Any] | None:
        """The checkpoint of a training at an epoch, with the phase that it stands on."""
        if epoch <= training.steady_epochs or training.decay is None:
            return self.need(training.steady, epoch, label)
        self.need(training.steady, training.steady_epochs, label, branch=True)
        return self.need(training.decay, epoch, f"{label}, decay")

    def folder(self, spec: Spec) -> JobFolder:
        return self.work.job(spec)

    def part(self) -> JobGraph:
        """A graph for a part of a plan, to be kept for later passes once all of it is there."""
        return JobGraph(self.work, self._runtime, self.pictures)

    def take(self, part: JobGraph, there: bool) -> None:
        """Ask for what a part asked for.

        Args:
            there: an earlier pass of this process found all of it, and it is not looked at again.
        """
        for digest, request in part._wanted.items():
            known = self._wanted.get(digest)
            if known is not None and known.covers(request):
                continue
            self._wanted[digest] = known.merged(request) if known else request
            if there and known is None:
                self._there[digest] = request

    def _missing(self, request: Request) -> list[int | None]:
        """What of a request is missing; nothing where a part that is there asked for the same."""
        if self._there.get(request.spec.digest) is request:
            return []
        return missing(self.work, request)

    def wanted(self) -> list[Request]:
        """Everything this pass asked for, finished or not."""
        return list(self._wanted.values())

    def pending(self) -> list[Request]:
        """What was asked for and has no valid result, and what it needs of which that is so."""
        left = [request for request in self._wanted.values() if self._missing(request)]
        ahead = left
        while ahead:
            ahead = [lost for request in ahead for lost in self._lost_inputs(request.spec)]
            left += ahead
        return left

    def _lost_inputs(self, spec: Spec) -> list[Request]:
        """Inputs that were there once, have no valid result now, and were asked for by nobody."""
        lost = []
        for reference in spec.inputs.values():
            epochs = () if reference.epoch is None else (reference.epoch,)
            known = self._wanted.get(reference.digest)
            folder = self.work.job(reference)
            if {*epochs} <= {*known.epochs} if known else not folder.path.exists():
                continue
            asked = known.spec if known else folder.spec()
            label = known.label if known else reference.kind
            wish = Request(asked, epochs, self.pictures, self._runtime, label)
            if missing(self.work, wish):
                lost.append(known.merged(wish) if known else wish)
                self._wanted[reference.digest] = lost[-1]
        return lost

    def ready(self) -> list[Request]:
        """Pending requests whose inputs all have results that are not to be made again."""
        left = {digest: self._missing(request) for digest, request in self._wanted.items()}
        absent = {
            self._wanted[d].spec.done(epoch) for d, epochs in left.items() for epoch in epochs
        }
        return [
            request
            for digest, request in self._wanted.items()
            if left[digest]
            and absent.isdisjoint(request.spec.inputs.values())
            and ready(self.work, request.spec)
        ]
