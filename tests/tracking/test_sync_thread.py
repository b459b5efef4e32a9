"""The tracker's thread: it keeps up, it never stops a run, it fills up what it missed."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.base.files import write_bytes
from harness.jobs.lease import lease
from harness.tracking import store, sync
from harness.tracking.run_view import JournalPart, RunView
from harness.tracking.store import resolve
from harness.tracking.sync import MlflowSync
from harness.tracking.sync_thread import SyncThread
from harness.tracking.ui import serving

KEY = ("sweep-mask", "trial-000", "seed-0")


def wait_for(seen: Callable[[], bool], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def trained(job):
    made = job("a" * 24)
    for epoch in range(1, 6):
        made.log(epoch, train__d_loss=1.0 / epoch)
    made.cover(5)
    return made


def statuses(workdir: Path) -> dict[str, str]:
    with sqlite3.connect(workdir / "mlflow" / "mlflow.db") as connection:
        return dict(connection.execute("SELECT name, status FROM runs"))


def test_a_database_that_is_damaged_is_said_once_and_not_waited_for(workdir, trained):
    view = RunView(KEY, "seed 0", parts=(JournalPart(trained.folder),))
    MlflowSync(workdir, "demo", None).sync([view])
    database = workdir / "mlflow" / "mlflow.db"
    database.write_bytes(b"garbage" * 1000)
    said: list[str] = []
    thread = SyncThread(MlflowSync(workdir, "demo", None), lambda: [view], 0.1, said.append)
    began = time.monotonic()
    thread.start()
    thread.stop()
    assert time.monotonic() - began < 10
    (sentence,) = said
    assert sentence.startswith(f"'{database}' must be ")
    assert "move it away and repeat the command" in sentence


def test_values_arrive_while_the_run_goes_on(workdir, trained, points):
    view = RunView(KEY, "seed 0", parts=(JournalPart(trained.folder),))
    thread = SyncThread(MlflowSync(workdir, "demo", None), lambda: [view], every_s=0.1)
    thread.start()
    wait_for(lambda: len(points()) == 5)
    trained.log(6, train__d_loss=0.1)
    trained.cover(6)
    wait_for(lambda: len(points()) == 6)
    counts = thread.stop()
    assert counts.pending == 0
    assert statuses(workdir) == {"seed 0": "KILLED"}


def test_what_came_last_is_sent_by_stopping(workdir, trained, points):
    views: list[RunView] = []
    thread = SyncThread(MlflowSync(workdir, "demo", None), lambda: views, every_s=3600)
    thread.start()
    views.append(RunView(KEY, "seed 0", parts=(JournalPart(trained.folder),), status="finished"))
    thread.stop()
    assert len(points()) == 5
    assert statuses(workdir) == {"seed 0": "FINISHED"}


def test_what_another_command_took_over_is_left_to_its_thread(workdir, trained):
    warned: list[str] = []
    view = RunView(KEY, "seed 0", parts=(JournalPart(trained.folder),))
    database, path = workdir / "mlflow" / "mlflow.db", workdir / "driver.lease.json"
    with lease(path, "the work folder"):
        thread = SyncThread(MlflowSync(workdir, "demo", None), lambda: [view], 0.1, warned.append)
        thread.start()
        wait_for(lambda: statuses(workdir) == {"seed 0": "RUNNING"})
        write_bytes(workdir / "theirs", b"{}")
        os.replace(workdir / "theirs", path)
        time.sleep(0.5)
        before = database.read_bytes()
        view = dataclasses.replace(view, status="finished", summary={"quality/kid": 0.1})
        counts = thread.stop()
    assert counts.pending == 0
    assert database.read_bytes() == before
    assert warned == []


def test_stopping_ends_what_a_killed_driver_left_running(workdir, trained):
    MlflowSync(workdir, "demo", None).sync([RunView(("old",), "old")])
    thread = SyncThread(
        MlflowSync(workdir, "demo", None), lambda: [RunView(KEY, "new", status="finished")]
    )
    thread.start()
    thread.stop()
    assert statuses(workdir) == {"old": "KILLED", "new": "FINISHED"}


class Busy(MlflowSync):
    """Takes a tenth of a second of a core for each sync."""

    syncs = 0

    def sync(self, views, closing=False):
        self.syncs += 1
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            pass
        return super().sync(views, closing)


def test_syncs_rest_in_proportion_to_what_they_took_of_a_core(workdir, trained, points):
    """Trainings want all cores: after a tenth of a second at least three are theirs."""
    view = RunView(KEY, "seed 0", parts=(JournalPart(trained.folder),))
    busy = Busy(workdir, "demo", None)
    thread = SyncThread(busy, lambda: [view], every_s=0.01)
    thread.start()
    wait_for(lambda: len(points()) == 5)
    time.sleep(2)
    assert busy.syncs == 1
    thread.stop()


def test_a_thread_that_never_started_can_be_stopped(workdir, trained, points):
    view = RunView(KEY, "seed 0", parts=(JournalPart(trained.folder),))
    SyncThread(MlflowSync(workdir, "demo", None), lambda: [view]).stop()
    assert len(points()) == 5


def test_what_is_still_shown_is_not_sent_again(workdir, trained, points, tmp_path, monkeypatch):
    """A command that is repeated opens no database; whatever changed is sent."""
    page = tmp_path / "index.html"
    page.write_text("as it was")
    part = JournalPart(trained.folder)
    views = [RunView(KEY, "seed 0", parts=(part,), artifacts=((page, "report"),))]
    database = workdir / "mlflow" / "mlflow.db"

    def opened(*shown: RunView) -> bool:
        """Whether the command opens the database, which it is made to do by its last sync."""
        tries: list[str] = []
        with monkeypatch.context() as patch:
            client = store.open_client
            patch.setattr(sync, "open_client", lambda at: tries.append("") or client(at))
            stopped = SyncThread(MlflowSync(workdir, "demo", None), lambda: list(shown or views))
            assert stopped.stop().pending == 0
        return bool(tries)

    assert opened()
    assert len(points()) == 5
    assert not opened()
    page.write_text("as it was")
    assert not opened(), "written again, with the same content"

    trained.log(6, train__d_loss=0.1)
    trained.cover(6)
    assert opened()
    assert len(points()) == 6
    assert not opened()
    page.write_text("as it is")
    assert opened()
    assert opened(dataclasses.replace(views[0], summary={"quality/kid": 0.1}))
    assert opened(), "back again"
    assert not opened()
    with sqlite3.connect(database) as connection:  # somebody else's change
        connection.execute("UPDATE runs SET lifecycle_stage = 'deleted'")
    assert opened()
    assert len(points()) == 6
    assert not opened()
    database.unlink()
    assert not MlflowSync(workdir, "demo", None).noted(views)


def test_a_tracker_that_is_not_there_costs_a_warning_and_no_run(workdir, trained):
    said: list[str] = []
    uri = f"http://me:hunter2@127.0.0.1:{free_port()}"
    view = RunView(
        KEY, "seed 0", parts=(JournalPart(trained.folder),), summary={"quality/kid": 0.1}
    )
    thread = SyncThread(
        MlflowSync(workdir, "demo", uri), lambda: [view], every_s=0.05, warn=said.append
    )
    thread.start()
    wait_for(lambda: bool(said))
    time.sleep(0.3)
    started = time.monotonic()
    counts = thread.stop(within_s=0.5)
    assert time.monotonic() - started < 30
    assert counts.pending == 6
    assert len(said) == 1
    assert said[0].startswith("MLflow must answer to be kept up to date, but got MlflowException")
    assert said[0].endswith("the folders keep everything and it is filled up when it answers again")
    assert "hunter2" not in said[0]
    assert "\n" not in said[0]


def test_views_that_cannot_be_read_do_not_stop_the_thread(workdir, trained, points):
    """A journal that cannot be opened: said, and the rest goes on once it is mended."""
    said: list[str] = []
    bad = trained.folder.parent / ("b" * 24)
    (bad / "journal.jsonl").mkdir(parents=True)
    views = [
        RunView(KEY, "good", parts=(JournalPart(trained.folder),)),
        RunView(("bad",), "bad", parts=(JournalPart(bad, whole=True),)),
    ]
    thread = SyncThread(
        MlflowSync(workdir, "demo", None), lambda: views, every_s=0.05, warn=said.append
    )
    thread.start()
    wait_for(lambda: bool(said))
    shutil.rmtree(bad)
    wait_for(lambda: len(said) == 2)
    assert said[1] == "MLflow answers again and is filled up"
    thread.stop()
    assert len(points()) == 5


@pytest.mark.chaos
def test_a_server_that_vanished_is_filled_up_when_it_is_back(workdir, trained, points):
    """`mlflow server` on loopback, killed without a word and started again on its database."""
    store, port, said = resolve(workdir, None), free_port(), []
    picture = trained.folder / "samples" / "samples-000005.png"
    trained.draw("samples", 5)
    assert picture.exists()
    view = RunView(
        KEY,
        "seed 0",
        params={"batch_size": "12"},
        parts=(JournalPart(trained.folder),),
        summary={"quality/kid": float("inf")},
        summary_time=1_790_000_000_000,
    )
    thread = SyncThread(
        MlflowSync(workdir, "demo", f"http://127.0.0.1:{port}"),
        lambda: [view],
        every_s=0.2,
        warn=said.append,
    )
    expected = {("seed 0", "train/d_loss", e): [1.0 / e] for e in range(1, 6)}
    expected |= {("seed 0", "quality/kid", 0): [None]}
    expected |= {("seed 0", "quality/kid_is_infinite", 0): [1.0]}
    with serving(store, workdir, port) as (_, server):
        thread.start()
        wait_for(lambda: points() == expected)
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        trained.log(6, train__d_loss=0.125)
        trained.cover(6)
        wait_for(lambda: len(said) == 1)
    with serving(store, workdir, port):
        wait_for(lambda: len(said) == 2)
        view = dataclasses.replace(view, status="finished")
        assert thread.stop().pending == 0
    assert said[1] == "MLflow answers again and is filled up"
    assert points() == expected | {("seed 0", "train/d_loss", 6): [0.125]}
    assert statuses(workdir) == {"seed 0": "FINISHED"}
    steps = [p.name.split("+")[2] for p in (workdir / "mlflow").rglob("images/*.png")]
    assert sorted(steps) == ["0", "5"]
