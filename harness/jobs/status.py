"""What is done and what is not, read from the folders."""

from __future__ import annotations

from typing import Any

from harness.jobs.folder import WorkFolder
from harness.jobs.kinds import KINDS
from harness.jobs.spec import Request, Spec


def stale_inputs(work: WorkFolder, spec: Spec, result: dict[str, Any]) -> list[str]:
    """Names of inputs whose content is no longer what the result was computed from."""
    changed = []
    for name, reference in spec.inputs.items():
        now = work.result(reference)
        if now is None or now["content"] != result["inputs"].get(name):
            changed.append(name)
    return changed


def finished(work: WorkFolder, spec: Spec, epoch: int | None = None) -> dict[str, Any] | None:
    """The valid result of a job or checkpoint; None if it is missing or stale."""
    result = work.job(spec).result(epoch)
    if result is None or stale_inputs(work, spec, result):
        return None
    return result


def missing(work: WorkFolder, request: Request) -> list[int | None]:
    """What of the request has no valid result: epochs for a training, [None] for a plain job."""
    wanted: list[int | None] = (
        list(request.epochs) if KINDS.get(request.spec.kind).training else [None]
    )
    return [epoch for epoch in wanted if finished(work, request.spec, epoch) is None]


def ready(work: WorkFolder, spec: Spec) -> bool:
    """True if every input has a result."""
    return all(work.result(reference) is not None for reference in spec.inputs.values())
