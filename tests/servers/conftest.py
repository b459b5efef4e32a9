"""A team's servers, started as a team starts them: `deploy/servers`, on free ports of loopback."""

from __future__ import annotations

import copy
import glob
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaos_material import EXPERIMENT, finish, shown, studies_at, written

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
        """Trials of the studies of one work folder, as `chaos_material.studies` has them."""
        found = studies_at(self.storage.replace("://", "+psycopg://"))
        mine = {name: t for name, t in found.items() if name.startswith(f"{folder}/")}
        return {name.partition("/")[2]: trials for name, trials in mine.items()}

    def runs(self, folder: str) -> Any:
        """What MLflow's database shows of one work folder."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="harness",
            password=self.password,
            dbname="mlflow",
        ) as database:
            return shown(database, folder)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="session")
def team() -> Iterator[Team]:
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install -e '.[dev]')")
    if not shutil.which("initdb") and not any(glob.glob(place) for place in PLACES):
        pytest.skip("PostgreSQL's server is not installed (apt-get install postgresql)")
    # Not below pytest's own folder, which nobody but its owner may enter: root's PostgreSQL runs as
    # another user.
    folder = Path(tempfile.mkdtemp(prefix="team-"))
    folder.chmod(0o755)
    made = Team(folder)
    try:
        made.start()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PGPASSWORD", made.password)
            yield made
    finally:
        made.stop("immediate")
        shutil.rmtree(folder)


def small() -> dict[str, Any]:
    """A sweep of one stage: two trials, of two seeds each, long enough to be met in the middle."""
    experiment = copy.deepcopy(EXPERIMENT)
    experiment["sweep"]["image"] = None
    space = experiment["sweep"]["mask"]["space"]
    space["schedule.epochs"] = {"values": [20, 40]}
    return experiment


def on_servers(team: Team) -> dict[str, Any]:
    """The same experiment, its study and runs at the team's."""
    moved = small()
    moved["sweep"]["storage"] = team.storage
    moved["tracking"]["uri"] = team.tracking
    return moved


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of an undisturbed sweep that keeps everything itself."""
    home = tmp_path_factory.mktemp("reference")
    finish(written(home / "chaos.yaml", small()), home / "whole", "--workers", "2")
    return home / "whole"
