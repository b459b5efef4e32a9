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

    def wanted(self) -> list[Request]:
        """Everything this pass asked for, finished or not."""
        return list(self._wanted.values())

    def pending(self) -> list[Request]:
        """What was asked for and has no valid result, and what it needs of which that is so."""
        left = [request for request in self._wanted.values() if missing(self.work, request)]
        ahead = left
        while ahead:
            ahead = [lost for request in ahead for lost in self._lost_inputs(request.spec)]
            left += ahead
        return left

    def _lost_inputs(self, spec: Spec) -> list[Request]:
        """Inputs that were there once, have no valid result now, and were asked for by nobody."""
        lost = []
        for reference in spec.inputs.values():
            known = self._wanted.get(reference.digest)
            epochs = () if reference.epoch is None else (reference.epoch,)
            folder = self.work.job(reference)
            if known is None and folder.path.exists():
                known = Request(folder.spec(), (), self.pictures, self._runtime, reference.kind)
            if known is None or finished(self.work, known.spec, reference.epoch) is not None:
                continue
            if reference.digest not in self._wanted or not {*epochs} <= {*known.epochs}:
                more = Request(known.spec, epochs, self.pictures, self._runtime, known.label)
                self._wanted[reference.digest] = known.merged(more)
                lost.append(self._wanted[reference.digest])
        return lost

    def ready(self) -> list[Request]:
        """Pending requests whose inputs all have results that are not to be made again."""
        left = {digest: missing(self.work, r) for digest, r in self._wanted.items()}
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
