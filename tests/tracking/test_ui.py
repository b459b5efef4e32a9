"""`harness ui`: the right store, the links, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient
from sqlalchemy import URL

from harness.base.errors import EnvironmentFault, UserError
from harness.jobs.folder import WorkFolder
from harness.tracking.run_view import RunView
from harness.tracking.store import open_client, resolve, server_environment
from harness.tracking.sync import MlflowSync
from harness.tracking.ui import ui

OF_ANOTHER_SERVER = {
    "MLFLOW_SERVER_ALLOWED_HOSTS": "mlflow.example.org",
    "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "https://mlflow.example.org",
    "MLFLOW_STATIC_PREFIX": "/mlflow",
    "MLFLOW_ENABLE_WORKSPACES": "true",
    "MLFLOW_WORKSPACE": "team",
    "MLFLOW_ARTIFACTS_ONLY": "true",
    "MLFLOW_SERVE_ARTIFACTS": "false",
    "MLFLOW_ARTIFACTS_DESTINATION": "s3://bucket",
    "MLFLOW_BACKEND_STORE_URI": "sqlite:////nowhere/mlflow.db",
    "MLFLOW_READ_REPLICA_BACKEND_STORE_URI": "sqlite:////nowhere/mlflow.db",
    "MLFLOW_REGISTRY_URI": "http://127.0.0.1:9",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    "MLFLOW_UVICORN_OPTS": "--no-such-option",
    "MLFLOW_GUNICORN_OPTS": "--no-such-option",
    "MLFLOW_EXPERIMENT_ID": "77",
    "MLFLOW_RUN_ID": "77",
    "_MLFLOW_SERVER_ARTIFACTS_ONLY": "true",
    "UVICORN_UDS": "/nowhere/socket",
    "UVICORN_ROOT_PATH": "/mlflow",
}
"""Variables of a shell whose user runs MLflow servers; most of them alone break ours."""

NOTHING = (
    "MLflow's pages need tracked runs of 'demo', but got none; run a command of the experiment "
    "first"
)


def test_a_work_folder_without_runs_has_no_pages(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        ui(tmp_path, None, "demo", 0, print)
    assert str(error.value) == NOTHING
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_named_without_its_login(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault) as error:
        ui(tmp_path, "http://me:hunter2@127.0.0.1:9", "demo", 0, print)
    said = str(error.value)
    assert said.startswith("the tracking server http://127.0.0.1:9 must answer, but got ")
    assert "hunter2" not in said
    assert said.endswith("start it, or check tracking.uri")


def test_an_experiment_that_was_deleted_is_said_with_what_restores_it(workdir: Path) -> None:
    view = RunView(("a",), "run", status="finished")
    MlflowSync(workdir, "demo", None).sync([view])
    client = open_client(resolve(workdir, None))
    tracked = client.get_experiment_by_name("demo")
    assert tracked is not None

    def said() -> str:
        client.delete_experiment(tracked.experiment_id)
        with pytest.raises(UserError) as error:
            ui(workdir, None, "demo", 0, print)
        return str(error.value)

    told = said()
    assert told.startswith(
        "MLflow's experiment 'demo' must be there to be shown, but it was deleted in MLflow; "
        "repeat a command of the experiment, which restores it, or type `"
    )
    MlflowSync(workdir, "demo", None).sync([view])  # as a command does
    assert client.get_experiment(tracked.experiment_id).lifecycle_stage == "active"
    (line,) = re.findall("`(.*)`", said())
    subprocess.run(line, shell=True, check=True, capture_output=True)
    assert client.get_experiment(tracked.experiment_id).lifecycle_stage == "active"


def test_of_the_shell_what_reaches_a_server_passes_and_no_more(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = {
        "MLFLOW_TRACKING_USERNAME": "anna",
        "MLFLOW_TRACKING_PASSWORD": "secret",
        "MLFLOW_TRACKING_TOKEN": "token",
        "MLFLOW_TRACKING_SERVER_CERT_PATH": "/ca.pem",
        "MLFLOW_TRACKING_CLIENT_CERT_PATH": "/me.pem",
        "MLFLOW_TRACKING_INSECURE_TLS": "false",
        "MLFLOW_S3_ENDPOINT_URL": "http://127.0.0.1:9000",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "77",
        "AWS_ACCESS_KEY_ID": "key",
        "PGPASSWORD": "secret",
        "SSL_CERT_FILE": "/ca.pem",
    }
    for name, value in {**passed, **OF_ANOTHER_SERVER}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    store = resolve(workdir, None)
    found = server_environment(store)
    assert found.items() >= passed.items()
    assert found["MLFLOW_BACKEND_STORE_URI"] == store.uri
    assert found["MLFLOW_DISABLE_TELEMETRY"] == "true"
    gone = OF_ANOTHER_SERVER.keys() - {"MLFLOW_BACKEND_STORE_URI", "MLFLOW_TRACKING_URI"}
    assert not gone & found.keys()
    assert not {name for name in gone if name.startswith("MLFLOW_")} & os.environ.keys()


def test_a_port_that_is_taken_is_refused(workdir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentFault) as error:
            ui(workdir, None, "demo", port, print)
    assert str(error.value) == (
        f"the port must be free, but got {port}, which is taken; name another one, or 0 for any"
    )


def test_links_open_while_it_runs_and_ctrl_c_leaves_nothing(workdir: Path, tmp_path: Path) -> None:
    """In a folder whose name is part of a URL, and a shell full of another server's settings."""
    workdir = workdir.rename(tmp_path / "w?x=1 #ü'%20")
    beside = sorted(path.name for path in tmp_path.iterdir())
    sweep = RunView(
        ("a",),
        "sweep mask",
        params={"objective": "quality/kid"},
        tags={"kind": "sweep", "stage": "mask"},
        status="finished",
    )
    trial = RunView(("a", "b"), "trial", ("a",), tags={"kind": "trial"}, status="finished")
    seed = RunView(("a", "b", "c"), "seed 0", ("a", "b"), tags={"kind": "seed", "stage": "mask"})
    WorkFolder(workdir).begin()
    MlflowSync(workdir, "demo", None).sync([sweep, trial, seed])
    (tmp_path / "e.yaml").write_text("name: demo\nsweep: {mask: {space: {width: {values: [4]}}}}\n")
    database = workdir / "studies" / "mask.db"
    database.parent.mkdir()
    database.touch()
    url = URL.create("sqlite", database=str(database)).render_as_string()
    dashboard = f"optuna-dashboard {shlex.quote(url)}"
    command = [sys.executable, "-m", "harness", "ui", "e.yaml", "--workdir", str(workdir)]
    process = subprocess.Popen(
        [*command, "--port", "0", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **OF_ANOTHER_SERVER},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        said = [process.stderr.readline().strip() for _ in range(5)]
        text = ""
        while not text.endswith("\n}\n"):
            text += process.stdout.readline()
        links = json.loads(text)
        base = links["runs"].partition("/#/")[0]
        with urllib.request.urlopen(base) as answer:
            assert b"<title>MLflow" in answer.read()
        assert said == [
            f"runs: {links['runs']}",
            f"mask leaderboard: {links['mask leaderboard']}",
            f"mask sweep: {links['mask sweep']}",
            f"mask study in Optuna's dashboard: {dashboard}",
            "Ctrl-C ends it",
        ]
        assert "image sweep" not in links  # which nobody has run
        assert links["dashboards"] == {"mask": dashboard}
        # The same server as someone's own tracking server: named, not started.
        heard: list[str] = []
        ui(tmp_path, base.replace("://", "://me:hunter2@"), "demo", 0, heard.append)
        assert heard == said[:3]  # nothing is said of studies where there are none
        with pytest.raises(UserError, match="need tracked runs of 'other'"):
            ui(workdir, base, "other", 0, heard.append)
        MlflowClient(base).create_experiment("begun")
        with pytest.raises(UserError, match="need tracked runs of 'begun'"):
            ui(workdir, base, "begun", 0, heard.append)
        assert sorted(path.name for path in tmp_path.iterdir()) == [*sorted([*beside, "e.yaml"])]
        servers = psutil.Process(process.pid).children(recursive=True)
        assert servers
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert process.returncode == 0
    assert process.stderr.read() == ""
    _, alive = psutil.wait_procs(servers, timeout=5)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", int(base.rpartition(":")[2])))
