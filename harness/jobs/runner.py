"""Run one request in this process: lease, stale results, the job's code, stored failures."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from harness.base.errors import HarnessError, RuleError, Stopped
from harness.jobs.ledger import missing, stale_inputs
from harness.records.folder import WorkFolder
from harness.records.lease import lease
from harness.records.spec import Request
from harness.work.context import Context
from harness.work.kinds import KINDS

State = Literal["done", "failed", "stopped", "lost"]


@dataclass(frozen=True)
class Outcome:
    """How a request ended. `exit_code` is the one its error stands for."""

    state: State
    reason: str = ""
    exit_code: int = 0

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def run_request(
    request: Request, work: WorkFolder, stop: Callable[[], bool] = lambda: False
) -> Outcome:
    """Bring every result of `request` into its folder.

    A failure is stored in the folder before it is reported. A result whose inputs changed is
    dropped and computed again.
    """
    kind = KINDS.get(request.spec.kind)
    folder = work.job(request.spec)
    with lease(folder.path / "lease.json", request.label or request.spec.kind):
        if not missing(work, request):
            return Outcome("done")
        folder.open(request.spec)
        folder.forget_failure()
        _drop_stale(request, work)
        try:
            kind.load()(Context(request, work, stop))
        except Stopped as stopped:
            return Outcome("stopped", str(stopped))
        except HarnessError as error:
            folder.fail(str(error))
            return Outcome("failed", str(error), error.exit_code)
        except Exception as error:  # noqa: BLE001 - stored, reported, and the driver raises it
            reason = f"{type(error).__name__}: {error}"
            folder.fail(reason + "\n" + traceback.format_exc())
            return Outcome("failed", reason + "\n" + traceback.format_exc(), 1)
    return Outcome("done")


def _drop_stale(request: Request, work: WorkFolder) -> None:
    folder = work.job(request.spec)
    epochs: list[int | None] = [*folder.readouts()] if folder.readouts() else [None]
    for epoch in epochs:
        result = folder.result(epoch)
        if result is not None and stale_inputs(work, request.spec, result):
            if work.jobs.joinpath("opening").exists() and request.spec.kind == "segmenter":
                raise RuleError(
                    "after the test was opened no segmenter may change, but an input of "
                    f"{request.label or request.spec.kind} did; restore it, or name another "
                    "--workdir"
                )
            folder.clear()
            return
