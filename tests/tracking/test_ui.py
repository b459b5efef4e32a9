"""`harness ui`: the right store, the links, and nothing left behind."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from harness.base.errors import EnvironmentFault, UserError
from harness.jobs.folder import WorkFolder
from harness.tracking.run_view import RunView
from harness.tracking.sync import MlflowSync
from harness.tracking.ui import ui

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
    dashboard = f"optuna-dashboard sqlite:///{database}"
    command = [sys.executable, "-m", "harness", "ui", "e.yaml", "--workdir", str(workdir)]
    process = subprocess.Popen(
        [*command, "--port", "0", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
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
