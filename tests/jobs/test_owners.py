"""Whom a lease names, who may take it, and what an owner may do that lost it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.jobs import count, request, text
from factories.split import can_be, line, owners, token, wait
from factories.tree import changed, tree

from harness.base.console import Console
from harness.base.errors import EnvironmentFault, Lost
from harness.base.files import read_json, write_array, write_json, write_text, write_with
from harness.jobs import lease as module
from harness.jobs.driver import Driver
from harness.jobs.executors.inline import InlineExecutor
from harness.jobs.folder import JobFolder, WorkFolder
from harness.jobs.graph import JobGraph
from harness.jobs.journal import Journal, read_lines
from harness.jobs.lease import LAPSE_SECONDS, bury, holder, lease, me
from harness.jobs.runner import run_request

BEFORE = time.time() - LAPSE_SECONDS - 1


def age(path: Path) -> None:
    """Let a lease be as old as a silent owner's."""
    os.utime(path, (BEFORE, BEFORE))


def take(path: Path) -> dict[str, Any]:
    """Be the process elsewhere that took a lease over."""
    taker = {"host": "another-host", "pid": 7, "started": 1.0, "token": "of another"}
    swap(path, json.dumps(taker).encode())
    return taker


def swap(path: Path, content: bytes) -> None:
    """Put another file in the place of one, by no door of ours."""
    part = path.with_name("part")
    part.write_bytes(content)
    os.replace(part, path)


# --- who may take it ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"host": "a',
        b"\x00\xff\xfe\x80",
        b"[]",
        b"7",
        b"{}",
        b'{"host": 3, "pid": 1, "started": 0.0}',
        b'{"host": "a", "pid": -1, "started": 0.0}',
        b'{"host": "a", "pid": "1", "started": 0.0}',
        b'{"host": "a", "pid": 1, "started": NaN}',
        b'{"host": "a", "pid": 1, "started": null}',
        b"[" * 100_000,
    ],
    ids=lambda content: repr(content[:40]),
)
def test_a_lease_that_cannot_be_read_counts_by_its_age(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lease.json"
    path.write_bytes(content)
    said = "the job has one owner at a time, but somebody whose lease cannot be read holds it"
    with pytest.raises(EnvironmentFault, match=said), lease(path, "the job"):
        pass
    assert bury(path)
    assert path.read_bytes() == content, "nobody's to remove"
    age(path)
    assert holder(path) is None
    with lease(path, "the job"):
        assert read_json(path)["pid"] == os.getpid()


@pytest.mark.parametrize("key", ["host", "boot", "pids"])
def test_process_ids_of_another_place_mean_nothing(tmp_path: Path, key: str) -> None:
    """No such process is here; whether it lives there, its age alone can tell."""
    path = tmp_path / "lease.json"
    gone = {**me(), "pid": 2**22 - 3, "token": "of another"}
    write_json(path, gone)
    assert holder(path) is None
    write_json(path, {**gone, key: "elsewhere"})
    assert holder(path) == {**gone, key: "elsewhere"}
    age(path)
    assert holder(path) is None


def test_a_lock_tells_other_namespaces_of_a_dead_owner(tmp_path: Path) -> None:
    """The owner is in another PID namespace: no process id can be looked up."""
    if not can_be("pids"):
        pytest.skip("this user may not make another PID namespace (unshare)")
    with owners() as make:
        first = make(tmp_path, "pids", LAPSE_SECONDS)
        folder = WorkFolder(tmp_path).job(line().spec)
        wait(lambda: token(folder) != "")
        path = folder.path / "lease.json"
        assert read_json(path)["pids"] != me()["pids"]
        assert holder(path) is not None
        first.kill()
        assert path.exists()
        assert holder(path) is None, "at once"
        # The same words on another file: of a lock elsewhere nobody here knows.
        swap(path, path.read_bytes())
        assert holder(path) is not None


# --- what an owner may do that lost it ------------------------------------------------------------


WRITES: dict[str, Callable[[Path], Any]] = {
    "json": lambda folder: write_json(folder / "result.json", {}),
    "text": lambda folder: write_text(folder / "deep" / "er" / "text", "x"),
    "array": lambda folder: write_array(folder / "a.npy", np.zeros(3)),
    "with": lambda folder: write_with(folder / "s.pt", lambda part: part.write_bytes(b"x")),
    "failure": lambda folder: JobFolder(folder).fail("why"),
    "open": lambda folder: JobFolder(folder).open(text("a")),
    "forget": lambda folder: JobFolder(folder).forget_failure(),
    "clear": lambda folder: JobFolder(folder).clear(),
    "journal": lambda folder: Journal(folder / "journal.jsonl"),
}


@pytest.mark.parametrize("name", WRITES)
def test_who_lost_it_writes_nothing(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "job"
    with lease(folder / "lease.json", "the job"):
        JobFolder(folder).open(text("a"))
        JobFolder(folder).fail("before")
        write_json(folder / "result.json", {"of": "before"})
        write_text(folder / ".left.tmp", "of the one who took over")
        take(folder / "lease.json")
        before = tree(tmp_path)
        with pytest.raises(Lost) as lost:
            WRITES[name](folder)
        assert str(lost.value) == (
            "the job has one owner at a time, but while this process was silent (stopped, asleep "
            "or cut off from the disk) process 7 on another-host took it over; it writes nothing "
            "more there"
        )
        assert changed(before, tree(tmp_path)) == []
        WRITES[name](tmp_path / "job 2")  # of a folder that is nobody's nothing is asked
    WRITES[name](folder)


def test_an_open_journal_is_not_appended_to(tmp_path: Path) -> None:
    with lease(tmp_path / "lease.json", "the job"):
        journal = Journal(tmp_path / "journal.jsonl")
        journal.log(1, {"a": 0.5})
        take(tmp_path / "lease.json")
        with pytest.raises(Lost):
            journal.log(2, {"a": 0.5})
        journal.close()
    assert [line.step for line in read_lines(tmp_path / "journal.jsonl")[0]] == [1]


def test_what_was_being_appended_goes_into_the_old_journal(tmp_path: Path) -> None:
    """The look was before the stop, the write is after it."""
    path = tmp_path / "journal.jsonl"
    first = Journal(path)
    first.log(1, {"a": 0.5})
    successor = Journal(path, first.sync())
    first.log(2, {"a": 0.5})
    successor.log(2, {"a": 0.5})
    successor.log(3, {"a": 0.5})
    first.close()
    successor.close()
    assert [line.step for line in read_lines(path)[0]] == [1, 2, 3]


def test_a_writer_whose_part_was_swept_up_hears_why(tmp_path: Path) -> None:
    def swept(part: Path) -> None:
        part.write_bytes(b"half")
        take(tmp_path / "lease.json")
        part.unlink()

    with lease(tmp_path / "lease.json", "the job"), pytest.raises(Lost):
        write_with(tmp_path / "state.pt", swept)
    assert not (tmp_path / "state.pt").exists()


@pytest.mark.parametrize("gone", [False, True])
def test_it_is_neither_refreshed_nor_removed_by_who_lost_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0.02)
    path = tmp_path / "lease.json"
    with lease(path, "the job"):
        taker = take(path)
        if gone:
            path.unlink()
        before = tree(tmp_path)
        time.sleep(0.3)
        assert changed(before, tree(tmp_path)) == []
    assert changed(before, tree(tmp_path)) == []
    assert gone or read_json(path) == taker


def test_a_disk_that_was_away_ends_no_refreshing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What answers with an error for a while: a folder in the place of the file."""
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0.02)
    path = tmp_path / "lease.json"
    with lease(path, "the job"):
        os.rename(path, tmp_path / "away")
        path.mkdir()
        time.sleep(0.2)
        path.rmdir()
        os.rename(tmp_path / "away", path)
        age(path)
        until = time.monotonic() + 10
        while path.stat().st_mtime == BEFORE and time.monotonic() < until:
            time.sleep(0.01)
        assert holder(path) is not None


# --- jobs and drivers -----------------------------------------------------------------------------


def test_a_job_that_lost_its_lease_is_lost_not_failed(tmp_path: Path) -> None:
    work, spec = WorkFolder(tmp_path), count()
    folder = work.job(spec)
    seen: list[dict[str, Any]] = []

    def stop() -> bool:  # asked in the middle of its work
        if not seen:
            take(folder.path / "lease.json")
            seen.append(tree(folder.path))
        return False

    outcome = run_request(request(spec, 5), work, stop)
    assert (outcome.state, outcome.exit_code) == ("lost", 3)
    assert "process 7 on another-host took it over" in outcome.reason
    assert changed(seen[0], tree(folder.path)) == []


def test_a_driver_that_lost_the_work_folder_ends_and_plans_nothing(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    passes: list[int] = []

    def plan(graph: JobGraph) -> None:
        passes.append(1)
        graph.need(text("a"))
        take(tmp_path / "driver.lease.json")

    driver = Driver(work, InlineExecutor(tmp_path), Console(quiet=True), lambda: JobGraph(work))
    with (
        lease(tmp_path / "driver.lease.json", "the work folder 'w'"),
        pytest.raises(Lost, match="the work folder 'w' has one owner at a time"),
    ):
        driver.drive(plan)
    assert passes == [1]
    assert not work.jobs.exists()
