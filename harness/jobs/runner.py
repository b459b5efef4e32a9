"""Run one request in this process: lease, stale results, the job's code, stored failures."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from harness.base import damage
from harness.base.denied import denied_words, is_denied
from harness.base.disk import DiskFull, is_full
from harness.base.errors import (
    Damaged,
    EnvironmentFault,
    HarnessError,
    Lost,
    OutOfMemory,
    RuleError,
    Stopped,
)
from harness.jobs.context import Context, DamagedInput
from harness.jobs.folder import JobFolder, WorkFolder
from harness.jobs.kinds import KINDS
from harness.jobs.lease import holder, lease
from harness.jobs.memory import explain
from harness.jobs.spec import Request
from harness.jobs.status import missing

# A worker whose driver died saves its state and leaves; the next driver's worker waits for that.
LEAVE_SECONDS = 600.0
LOOK_SECONDS = 0.2

State = Literal["done", "failed", "stopped", "lost", "full", "crowded", "stale"]


@dataclass(frozen=True)
class Outcome:
    """How a request ended. `exit_code` is the one its error stands for.

    "full": the disk has no room; the job goes on from its saved state once there is some. `wrote`
    bytes were too many.

    "lost": its process died, or was silent until another one took the job over.

    "crowded": memory was refused in a process that had computed before and may hold some of it; in
    a new one the job may fit. `spent`: the process is to be replaced, or died.

    "stale": an input is damaged and has no result any more; it is made again first.
    """

    state: State
    reason: str = ""
    exit_code: int = 0
    wrote: int = 0
    spent: bool = False


def run_request(
    request: Request,
    work: WorkFolder,
    stop: Callable[[], bool] = lambda: False,
    fresh: bool = True,
) -> Outcome:
    """Bring every result of `request` into its folder.

    Args:
        fresh: this process has computed nothing before: a refusal of memory is the job's own.

    A failure is stored in the folder before it is reported. A result whose inputs changed is
    dropped and computed again; the outcome's reason names them.
    """
    path = work.job(request.spec).path / "lease.json"
    try:
        _wait_for_leaving(path, stop)
        with lease(path, _called(request)):
            return _attempt(request, work, stop, fresh)
    except Stopped as stopped:
        return Outcome("stopped", str(stopped))
    except Lost as lost:
        return Outcome("lost", str(lost), lost.exit_code)
    except EnvironmentFault as refused:
        return Outcome("failed", str(refused), refused.exit_code)
    except OSError as error:
        if not is_full(error):
            raise
        reason = f"no room on the disk ({error.strerror})"
        wrote = error.wrote if isinstance(error, DiskFull) else 0
        return Outcome("full", reason, EnvironmentFault.exit_code, wrote)


def _wait_for_leaving(path: Path, stop: Callable[[], bool]) -> None:
    until = time.monotonic() + LEAVE_SECONDS
    while holder(path) is not None and time.monotonic() < until:
        if stop():
            raise Stopped("stopped before it began")
        time.sleep(LOOK_SECONDS)


def _attempt(request: Request, work: WorkFolder, stop: Callable[[], bool], fresh: bool) -> Outcome:
    if not missing(work, request):
        return Outcome("done")
    folder = work.job(request.spec)
    folder.open(request.spec)
    folder.forget_failure()
    try:
        context = Context(request, work, stop)
        changed = _start_over(context)
        KINDS.get(request.spec.kind).load()(context)
    except (Stopped, Lost):
        raise
    except DamagedInput as damaged:
        work.job(damaged.reference).disown(damaged.reference.epoch)
        return Outcome("stale", str(damaged), damaged.exit_code)
    except HarnessError as error:
        return _failed(folder, error)
    except Exception as error:
        if is_full(error):
            raise  # nothing can be stored; the driver waits for room
        if isinstance(error, OSError) and is_denied(error):
            return _failed(folder, EnvironmentFault(denied_words(error)))
        refused = explain(error, context)
        if isinstance(refused, OutOfMemory) and not fresh:
            return Outcome("crowded", "refused memory; a new worker tries again", spent=True)
        if refused is not None:
            return replace(_failed(folder, refused), spent=True)
        reason = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
        folder.fail(reason)
        return Outcome("failed", reason, 1)
    again = [f"made again, for {_words(changed)} changed"] if changed else []
    return Outcome("done", "; ".join([*again, *damage.take("it is made again")]))


def _failed(folder: JobFolder, error: HarnessError) -> Outcome:
    folder.fail(str(error), too_large=isinstance(error, OutOfMemory))
    return Outcome("failed", str(error), error.exit_code)


def _start_over(context: Context) -> list[str]:
    """Clear what must not be gone on with; returns the names of inputs that changed."""
    folder, now = context.folder, context.contents()
    try:
        begun = folder.begun() or now
    except Damaged as damaged:
        damage.note(damaged)
        folder.clear()
        begun = now
    changed = [name for name, content in now.items() if begun.get(name) != content]
    if changed:
        _refuse_after_opening(context, changed)
    if changed or not KINDS.get(context.spec.kind).training:
        folder.clear()
    else:
        folder.drop_unsound()
    folder.begin(context.spec, now)
    return changed


def _refuse_after_opening(context: Context, changed: Sequence[str]) -> None:
    for path in context.work.jobs.glob("opening/*/result.json"):
        named = JobFolder(path.parent).spec().inputs.values()
        if any(reference.digest == context.spec.digest for reference in named):
            raise RuleError(
                "after the test was opened no segmenter may change, but "
                f"{_words(changed)} of {_called(context.request)} did; restore it, or name "
                "another --workdir"
            )


def _called(request: Request) -> str:
    return request.label or request.spec.kind


def _words(names: Sequence[str]) -> str:
    return "input " + " and ".join(f"'{name}'" for name in names)
