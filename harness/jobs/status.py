"""What is done and what is not, read from the folders."""

from __future__ import annotations

from typing import Any

from harness.jobs.folder import SMALL, WorkFolder
from harness.jobs.kinds import KINDS
from harness.jobs.spec import Request, Spec


def finished(work: WorkFolder, spec: Spec, epoch: int | None = None) -> dict[str, Any] | None:
    """The valid result of a job or checkpoint; None if it is missing, damaged (noted), or stale:
    computed from inputs whose content is no longer theirs."""
    folder = work.job(spec)
    result = folder.result(epoch)
    if result is not None:
        for name, reference in spec.inputs.items():
            now = work.result(reference)
            if now is None or now["content"] != result["inputs"].get(name):
                return None
    return result if result is not None and folder.sound(epoch, SMALL) else None


def missing(work: WorkFolder, request: Request) -> list[int | None]:
    """What of the request has no valid result: epochs for a training, [None] for a plain job."""
    wanted = request.epochs if KINDS.get(request.spec.kind).training else (None,)
    return [epoch for epoch in wanted if finished(work, request.spec, epoch) is None]


def ready(work: WorkFolder, spec: Spec) -> bool:
    """True if every input has a result."""
    return all(work.result(reference) is not None for reference in spec.inputs.values())
