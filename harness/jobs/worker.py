"""A worker process: reads one request a line, runs it, answers with one outcome a line.

    python -m harness.jobs.worker WORK_FOLDER DRIVER_PID

A line may also name modules to load, which have no answer, or a function to call, whose answer is a
line.

SIGTERM, SIGHUP or the death of the driver makes the running job save its state and leave.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import pickle
import signal
import sys
from pathlib import Path
from typing import Any

from harness.base.errors import HarnessError
from harness.base.registry import call_place
from harness.base.signals import ending_signals
from harness.jobs.folder import WorkFolder
from harness.jobs.runner import run_request
from harness.jobs.spec import Request


class _Stop:
    """Turns true on SIGTERM or SIGHUP, or when the parent is no longer the process `driver`."""

    def __init__(self, driver: int) -> None:
        self.asked = False
        self._driver = driver
        for number in ending_signals():
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked or os.getppid() != self._driver


def packed(value: Any) -> str:
    """Any value as text, for a process of the same program."""
    return base64.b64encode(pickle.dumps(value)).decode()


def unpacked(text: str) -> Any:
    return pickle.loads(base64.b64decode(text))


def _answer(place: str, given: tuple[Any, ...]) -> tuple[Any, HarnessError | None]:
    """What the function at "module:function" returns or raises on purpose."""
    try:
        return call_place(place, *given), None
    except HarnessError as error:
        return None, error


def main() -> None:
    """Serve until standard input closes."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes to the log, not among the answers
    work = WorkFolder(Path(sys.argv[1]))
    stop = _Stop(int(sys.argv[2]))
    fresh = True
    for line in sys.stdin:
        asked = json.loads(line)
        if "load" in asked:
            for module in asked["load"]:
                importlib.import_module(module)
            continue
        if "call" in asked:
            answer = {"answer": packed(_answer(*unpacked(asked["call"])))}
        else:
            answer = vars(run_request(Request.from_dict(asked), work, stop, fresh))
        fresh = False
        try:
            answers.write(json.dumps(answer) + "\n")
        except BrokenPipeError:
            return
        if stop():
            return


if __name__ == "__main__":
    main()
