"""The driver: plans until nothing is missing, finishes what it can, goes on after deaths."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from factories.jobs import breaks, count, runs, text
from factories.process import workers
from factories.tiny import StopAfter, Tiny, failure_of, same, values_of, weights_at

from harness.base.console import Console
from harness.base.errors import JobFailed, Stopped
from harness.jobs.driver import Driver
from harness.jobs.executors.base import Executor
from harness.jobs.executors.inline import InlineExecutor
from harness.jobs.executors.processes import ProcessExecutor
from harness.jobs.folder import WorkFolder
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Spec


def driver(root: Path, executor: Executor) -> tuple[Driver, io.StringIO]:
    said = io.StringIO()
    work = WorkFolder(root)
    console = Console(stream=said, interval_s=0.0)
    return Driver(work, executor, console, lambda: JobGraph(work)), said


def drive(root: Path, planner: Callable[[JobGraph], Any]) -> Any:
    return driver(root, InlineExecutor(root))[0].drive(planner)


def test_a_plan_may_depend_on_what_it_finds(tmp_path: Path) -> None:
    """Collatz: each job is planned from the last one's result."""

    def plan(graph: JobGraph) -> list[int]:
        lengths = []
        words = "x" * 6
        while True:
            found = graph.need(text(words), label=words)
            if found is None:
                return lengths
            lengths.append(found["values"]["length"])
            n = lengths[-1]
            if n == 1:
                return lengths
            words = "x" * (n // 2 if n % 2 == 0 else 3 * n + 1)

    assert drive(tmp_path, plan) == [6, 3, 10, 5, 16, 8, 4, 2, 1]
    assert drive(tmp_path, plan) == [6, 3, 10, 5, 16, 8, 4, 2, 1]
    assert all(runs(WorkFolder(tmp_path), text("x" * n)) == 1 for n in (6, 16, 1))


def test_a_lineage_asked_for_further_goes_on(tmp_path: Path) -> None:
    def plan(graph: JobGraph) -> int:
        for epoch in (2, 4, 8):
            if graph.need(count(), epoch, "count") is None:
                return epoch
        return 0

    assert drive(tmp_path, plan) == 0
    assert WorkFolder(tmp_path).job(count()).checkpoints() == [2, 4, 8]
    assert runs(WorkFolder(tmp_path), count()) == 3


def test_the_others_are_finished_before_a_failure_is_raised(tmp_path: Path) -> None:
    bad, good = breaks("sentence"), text("a")
    behind = text("b", left=bad.done())

    def plan(graph: JobGraph) -> None:
        graph.need(bad, label="the bad one")
        graph.need(behind, label="behind it")
        graph.need(good, label="the good one")

    with pytest.raises(JobFailed) as caught:
        drive(tmp_path, plan)
    assert str(caught.value) == ("the bad one: patients must be patient, but got haste; wait")
    work = WorkFolder(tmp_path)
    assert work.job(good).result() is not None
    assert work.job(behind).result() is None
    assert failure_of(work.job(bad)) is not None


def test_a_job_that_ends_without_its_result_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="empty: it ended without its results"):
        drive(tmp_path, lambda graph: graph.need(breaks("nothing"), label="empty"))


def test_a_plan_that_cannot_go_on_says_so(tmp_path: Path) -> None:
    orphan = text("b", left=text("nobody plans this").done())
    with pytest.raises(JobFailed) as caught:
        drive(tmp_path, lambda graph: graph.need(orphan))
    assert str(caught.value) == (
        "every planned job must be able to start, but some wait for inputs that nobody plans"
    )


# --- stopping -------------------------------------------------------------------------------------


def mask_plan(tiny: Tiny, specs: list[Spec], epoch: int) -> Callable[[JobGraph], None]:
    def plan(graph: JobGraph) -> None:
        for number, spec in enumerate(specs):
            graph.need(spec, epoch, f"mask stage {number}")

    return plan


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_with_the_state_saved(number: signal.Signals, tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    spec, waiting = tiny.mask(), tiny.mask(1)
    folder = tiny.work.job(spec)
    before = signal.getsignal(number)

    def press() -> None:
        while not (folder.journal.exists() and folder.journal.stat().st_size):
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=press)
    thread.start()
    made, _ = driver(tmp_path, InlineExecutor(tmp_path))
    with pytest.raises(Stopped, match="repeat the command to go on"):
        made.drive(mask_plan(tiny, [spec, waiting], 100_000))
    thread.join()
    assert folder.state.exists()
    assert not tiny.work.job(waiting).path.exists(), "what waited was never begun"
    assert signal.getsignal(number) == before


def test_a_signal_during_the_last_job_stops_what_would_follow(tmp_path: Path) -> None:
    def plan(graph: JobGraph) -> None:
        if graph.need(text("a")) is not None:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped, match="repeat the command to go on"):
        drive(tmp_path, plan)
    assert WorkFolder(tmp_path).job(text("a")).result() is not None


def worker() -> psutil.Process:
    (found,) = workers()
    return found


def kill_when_it_goes_on(tiny: Tiny, spec: Spec, killed: list[int]) -> None:
    """SIGKILL to the one worker as soon as it adds to the journal."""
    journal = tiny.work.job(spec).journal
    length = journal.stat().st_size
    while journal.stat().st_size <= length:
        time.sleep(0.002)
    process = worker()
    killed.append(process.pid)
    process.kill()


def test_a_killed_worker_is_followed_by_another_from_the_saved_state(tmp_path: Path) -> None:
    whole, tiny = Tiny(tmp_path / "whole"), Tiny(tmp_path / "killed")
    spec, target = tiny.mask(), 40
    assert tiny.run(spec, target, stop=StopAfter(10)).state == "stopped"
    killed: list[int] = []
    thread = threading.Thread(target=kill_when_it_goes_on, args=(tiny, spec, killed))
    thread.start()
    executor = ProcessExecutor(tiny.root, 1, 1)
    made, said = driver(tiny.root, executor)
    try:
        made.drive(mask_plan(tiny, [spec], target))
    finally:
        executor.close()
    thread.join()
    assert killed
    lost = "its worker process died (exit status -9); goes on from its saved state"
    assert said.getvalue().count(lost) == 1
    straight = whole.must(spec, target)
    assert weights_at(tiny.work.job(spec), target) == weights_at(straight, target)
    same(values_of(tiny.work.job(spec)), values_of(straight))


def test_a_job_whose_workers_keep_dying_is_given_up(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    spec = tiny.mask()
    ended = threading.Event()

    def kill_all() -> None:
        while not ended.wait(0.01):
            for child in workers():
                child.kill()

    thread = threading.Thread(target=kill_all)
    thread.start()
    executor = ProcessExecutor(tiny.root, 1, 1)
    made, said = driver(tiny.root, executor)
    try:
        with pytest.raises(JobFailed, match=r"mask stage 0: its worker process died \(exit status"):
            made.drive(mask_plan(tiny, [spec], 100_000))
    finally:
        executor.close()
        ended.set()
        thread.join()
    assert said.getvalue().count("goes on from its saved state") == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_worker_told_to_leave_stops_the_others_too(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Somebody else's signal to one worker: the command stops, all states are saved."""
    tiny = Tiny(tmp_path)
    specs = [tiny.mask(0), tiny.mask(1)]
    journals = [tiny.work.job(spec).journal for spec in specs]

    def tell_one() -> None:
        while not all(j.exists() and j.stat().st_size for j in journals):
            time.sleep(0.01)
        workers()[0].send_signal(number)

    thread = threading.Thread(target=tell_one)
    thread.start()
    executor = ProcessExecutor(tiny.root, 2, 1)
    made, _ = driver(tiny.root, executor)
    try:
        with pytest.raises(Stopped):
            made.drive(mask_plan(tiny, specs, 100_000))
    finally:
        executor.close()
    thread.join()
    assert all(tiny.work.job(spec).state.exists() for spec in specs)
