"""Outages: jobs go on, people hear of it twice, what is broken for good is not waited for."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest
from factories.jobs import breaks, runs, text

from harness.base.console import Console
from harness.base.errors import JobFailed, Outage
from harness.jobs import waiting as patience
from harness.jobs.driver import LOST_RETRIES, Driver
from harness.jobs.executors.inline import InlineExecutor
from harness.jobs.folder import WorkFolder
from harness.jobs.graph import Board
from harness.jobs.waiting import BACK, LONGEST_WAIT_S, Patience, patiently

AWAY = "the server must answer, but got nothing"
SAID = f"warning: {AWAY}; waiting for it, nothing is lost (Ctrl-C stops)\n"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.01)


def driver(root: Path) -> tuple[Driver, io.StringIO]:
    said = io.StringIO()
    work, console = WorkFolder(root), Console(stream=said, interval_s=0.0)
    return Driver(work, InlineExecutor(root), console, lambda: Board(work)), said


def test_jobs_end_while_a_planner_waits(tmp_path: Path) -> None:
    first, second = text("a"), text("b")
    refused = []

    def plan(board: Board) -> str:
        if board.work.job(second).path.exists() and len(refused) < 3:
            refused.append(board.work.job(second).result() is not None)
            raise Outage(AWAY)
        if len(refused) == 3:
            return "there"
        board.need(first, label="first")
        board.need(second, label="second")
        return ""

    made, said = driver(tmp_path)
    assert made.drive(plan) == "there"
    assert refused == [True] * 3
    assert [runs(made.work, spec) for spec in (first, second)] == [1, 1]
    assert said.getvalue().count(SAID) == said.getvalue().count(BACK) == 1


def test_a_planner_that_finds_the_disk_full_is_asked_again(tmp_path: Path) -> None:
    left = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))] * 2

    def plan(board: Board) -> str:
        if left:
            raise left.pop()
        return "done"

    made, said = driver(tmp_path)
    assert made.drive(plan) == "done"
    assert said.getvalue().startswith(f"warning: the disk of '{tmp_path}' must have room, but ")


def test_other_errors_of_a_planner_are_not_waited_for(tmp_path: Path) -> None:
    def plan(board: Board) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(PermissionError):
        driver(tmp_path)[0].drive(plan)


def test_a_job_without_room_on_a_disk_that_has_some_fails_after_a_few_tries(tmp_path: Path) -> None:
    """As where a quota is used up."""
    made, _ = driver(tmp_path)
    with pytest.raises(JobFailed) as found:
        made.drive(lambda board: board.need(breaks("quota"), label="the job"))
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

    assert patiently(Console(stream=said), ask) == "there"
    assert said.getvalue() == f"{SAID}warning: {BACK}\n"


def test_pauses_grow_to_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 1.0)
    waiting = Patience(Console(stream=io.StringIO()))
    pauses = [waiting.failed(AWAY) for _ in range(9)]
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S]
    waiting.worked()
    assert waiting.failed(AWAY) == 1
