"""Outages: jobs go on, people hear of it twice, what is broken for good is not waited for."""

from __future__ import annotations

import errno
import io
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from factories.disk import fill_inodes, mounted
from factories.jobs import breaks, runs, text

from harness.base.console import Console
from harness.base.errors import JobFailed, Outage
from harness.jobs import waiting as waiting
from harness.jobs.driver import LOST_RETRIES, Driver
from harness.jobs.executors.inline import InlineExecutor
from harness.jobs.folder import WorkFolder
from harness.jobs.graph import JobGraph
from harness.jobs.waiting import BACK, LONGEST_WAIT_S, Waiting, wait_out

AWAY = "the server must answer, but got nothing"
SAID = f"warning: {AWAY}; waiting for it, nothing is lost (Ctrl-C stops)\n"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST_WAIT_S", 0.01)


def driver(root: Path) -> tuple[Driver, io.StringIO]:
    said = io.StringIO()
    work, console = WorkFolder(root), Console(stream=said, interval_s=0.0)
    return Driver(work, InlineExecutor(root), console, lambda: JobGraph(work)), said


def test_jobs_end_while_a_planner_waits(tmp_path: Path) -> None:
    first, second = text("a"), text("b")
    refused = []

    def plan(graph: JobGraph) -> str:
        if graph.work.job(second).path.exists() and len(refused) < 3:
            refused.append(graph.work.job(second).result() is not None)
            raise Outage(AWAY)
        if len(refused) == 3:
            return "there"
        graph.need(first, label="first")
        graph.need(second, label="second")
        return ""

    made, said = driver(tmp_path)
    assert made.drive(plan) == "there"
    assert refused == [True] * 3
    assert [runs(made.work, spec) for spec in (first, second)] == [1, 1]
    assert said.getvalue().count(SAID) == said.getvalue().count(BACK) == 1


def test_a_planner_that_finds_the_disk_full_is_asked_again(tmp_path: Path) -> None:
    left = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))] * 2

    def plan(graph: JobGraph) -> str:
        if left:
            raise left.pop()
        return "done"

    made, said = driver(tmp_path)
    assert made.drive(plan) == "done"
    assert said.getvalue().startswith(f"warning: the disk of '{tmp_path}' must have room, but ")


def test_other_errors_of_a_planner_are_not_waited_for(tmp_path: Path) -> None:
    def plan(graph: JobGraph) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(PermissionError):
        driver(tmp_path)[0].drive(plan)


def test_a_job_without_room_on_a_disk_that_has_some_fails_after_a_few_tries(tmp_path: Path) -> None:
    """As where a quota is used up."""
    made, _ = driver(tmp_path)
    with pytest.raises(JobFailed) as found:
        made.drive(lambda graph: graph.need(breaks("quota"), label="the job"))
    assert str(found.value) == "the job: no room on the disk (Disk quota exceeded)"
    assert runs(made.work, breaks("quota")) == LOST_RETRIES + 1


def test_who_waits_with_nothing_running_is_patient_and_says_so_once() -> None:
    said = io.StringIO()
    answers: list[Any] = [Outage(AWAY), Outage("the second word is not heard"), "there"]

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Outage):
            raise answer
        return str(answer)

    assert wait_out(Console(stream=said), ask) == "there"
    assert said.getvalue() == f"{SAID}warning: {BACK}\n"


def test_pauses_grow_to_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST_WAIT_S", 1.0)
    outage = Waiting(Console(stream=io.StringIO()))
    pauses = [outage.failed(AWAY) for _ in range(9)]
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S]
    outage.worked()
    assert outage.failed(AWAY) == 1


def test_a_job_waits_until_the_disk_takes_files_again(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "nr_inodes=60") as disk:
        (disk / "work").mkdir()
        fill_inodes(disk)
        made, said = driver(disk / "work")

        def free() -> None:
            while "no inode" not in said.getvalue():
                time.sleep(0.01)
            for number in range(20):
                (disk / str(number)).unlink()

        helper = threading.Thread(target=free)
        helper.start()
        found = made.drive(lambda graph: graph.need(text("words"), label="the job"))
        helper.join()
    assert found is not None
    assert said.getvalue().count(BACK) == 1
    assert f"the disk of '{disk / 'work'}' must be free to hold more files" in said.getvalue()
