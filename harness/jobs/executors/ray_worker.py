"""What runs on the nodes of a Ray cluster: a look at the node, and a worker.

Imported there by name, so every node has `harness` installed; it needs neither mlflow nor optuna.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import __version__
from harness.jobs.folder import WorkFolder
from harness.jobs.kinds import KINDS
from harness.jobs.lease import bury, me
from harness.jobs.runner import run_request
from harness.jobs.spec import Request

DYING_SECONDS = 20.0


def look(mark: str) -> dict[str, Any]:
    """What decides whether this process may compute for a driver.

    Args:
        mark: a file that the driver wrote into the work folder.
    """
    try:
        seen = Path(mark).read_text(encoding="utf-8")
    except OSError:
        seen = ""
    recipes = {name: KINDS.get(name).recipe for name in KINDS}
    return {"mark": seen, "version": __version__, "recipes": recipes, "process": me()}


def look_there(mark: str) -> dict[str, Any]:
    """`look`, with the id of the node."""
    import ray

    return {**look(mark), "node": ray.get_runtime_context().get_node_id()}


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """What keeps a process that looked as `there` from computing for one that looked as `here`.

    Kinds that only one of them knows are left to the job that needs them.
    """
    if here["mark"] != there["mark"]:
        return ["the work folder is not there"]
    if here["version"] != there["version"]:
        return [f"it has harness {there['version']}, not {here['version']}"]
    return [
        f"its harness makes {kind} jobs by recipe {there['recipes'][kind]}, not {recipe}"
        for kind, recipe in here["recipes"].items()
        if there["recipes"].get(kind, recipe) != recipe
    ]


def bury_there(lease: str) -> bool:
    """Free the lease of a process that just died on this node; False if it lives after all."""
    limit = time.monotonic() + DYING_SECONDS
    while not bury(Path(lease)):
        if time.monotonic() > limit:
            return False
        time.sleep(0.2)
    return True


class JobWorker:
    """An actor: one request at a time, while `stop` and `hello` are answered beside it."""

    def __init__(self, root: str, folder: str, mark: str) -> None:
        # Relative paths of the experiment are meant from where the command was typed.
        with contextlib.suppress(OSError):
            os.chdir(folder)
        self._work = WorkFolder(Path(root))
        self._mark = mark
        self._stop = threading.Event()
        self._fresh = True

    def hello(self) -> dict[str, Any]:
        """What `look_there` sees in this process."""
        return look_there(self._mark)

    def run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Run a request (as plain data); returns its outcome as plain data."""
        asked = Request.from_dict(request)
        fresh, self._fresh = self._fresh, False
        return vars(run_request(asked, self._work, self._stop.is_set, fresh))

    def stop(self) -> None:
        """Make the running job save its state and leave."""
        self._stop.set()
