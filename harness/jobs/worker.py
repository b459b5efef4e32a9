"""A worker process: reads one request a line, runs it, answers with one outcome a line.

    python -m harness.jobs.worker WORK_FOLDER DRIVER_PID

SIGTERM, or the death of the driver, makes the running job save its state and leave.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from harness.jobs.folder import WorkFolder
from harness.jobs.runner import run_request
from harness.jobs.spec import Request


class _Stop:
    """Turns true on SIGTERM or when the parent is no longer the process `driver`."""

    def __init__(self, driver: int) -> None:
        self.asked = False
        self._driver = driver
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked or os.getppid() != self._driver


def main() -> None:
    """Serve until standard input closes."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes to the log, not among the answers
    work = WorkFolder(Path(sys.argv[1]))
    stop = _Stop(int(sys.argv[2]))
    fresh = True
    for line in sys.stdin:
        outcome = run_request(Request.from_dict(json.loads(line)), work, stop, fresh)
        fresh = False
        try:
            answers.write(json.dumps(vars(outcome)) + "\n")
        except BrokenPipeError:
            return
        if stop():
            return


if __name__ == "__main__":
    main()
