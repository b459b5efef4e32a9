"""A team's servers, started as a team starts them: `deploy/servers`, on free ports of loopback."""

from __future__ import annotations

import copy
import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from factories.chaos import (
    assert_same_results,
    assert_same_runs,
    mlflow,
    shown,
    small,
    studies,
    studies_at,
)

from harness.jobs.identity import folder_identity

SCRIPT = Path(__file__).parents[2] / "deploy" / "servers"
PLACES = ("/usr/lib/postgresql/*/bin/initdb", "/usr/pgsql-*/bin/initdb")


class Team:
    """PostgreSQL and MLflow for several work folders.

    Attributes:
        password: in the environment of the tests, and nowhere else.
        storage, tracking: `sweep.storage` and `tracking.uri`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.tracking_port = free_port(), free_port()
        self.password = f"Geheim-{secrets.token_hex(8)}"
        self.storage = f"postgresql://harness@127.0.0.1:{self.port}/studies"
        self.tracking = f"http://127.0.0.1:{self.tracking_port}"

    def start(self) -> None:
        self._run("start")

    def stop(self, mode: str = "fast") -> None:
        """Both servers; `immediate` leaves PostgreSQL to recover as after a crash."""
        self._run("stop", STOP_MODE=mode)

    def _run(self, what: str, **more: str) -> None:
        settings = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PGPASSWORD": self.password,
            "PGPORT": str(self.port),
            "MLFLOW_PORT": str(self.tracking_port),
            "MLFLOW_WORKERS": "1",
            "POSTGRES_OPTIONS": "-c fsync=off",
        }
        done = subprocess.run(
            [SCRIPT, what, self.folder],
            env={**os.environ, **settings, **more},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr

    def studies(self, folder: str) -> dict[str, Any]:
        """Trials of the studies of one work folder, as `factories.chaos.studies` has them."""
        found = studies_at(self.storage.replace("://", "+psycopg://"))
        mine = {name: t for name, t in found.items() if name.startswith(f"{folder}/")}
        return {name.partition("/")[2]: trials for name, trials in mine.items()}

    def runs(self, folder: str) -> Any:
        """What MLflow's database shows of one work folder."""
        import psycopg

        where = f"host=127.0.0.1 port={self.port} user=harness dbname=mlflow"
        with psycopg.connect(where) as database:
            return shown(database, folder)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def assert_same_sweep(team: Team, workdir: Path, reference: Path) -> None:
    """Trials, scores, weights and runs are those of the sweep without servers."""
    folder = folder_identity(workdir)
    assert team.studies(folder) == studies(reference)
    assert_same_results(workdir, reference)
    assert_same_runs(team.runs(folder), mlflow(reference))


def on_servers(team: Team, experiment: dict[str, Any] | None = None) -> dict[str, Any]:
    """An experiment, `small()` if none is given, with its study and runs at the team's."""
    moved = copy.deepcopy(experiment or small())
    moved["sweep"]["storage"] = team.storage
    moved["tracking"]["uri"] = team.tracking
    return moved
