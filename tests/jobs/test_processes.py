"""Worker processes: a JSON line a request and an outcome, deaths as events, orphans that leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from factories.process import workers
from factories.tiny import Tiny, values_of, weights_at

from harness.jobs.checkpoint import load_state
from harness.jobs.executors.base import Event
from harness.jobs.executors.processes import ProcessExecutor
from harness.jobs.lease import holder
from harness.jobs.spec import Request

LONG = 100_000
"""Epochs that no test waits for."""


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return Tiny(tmp_path)


@pytest.fixture
def executor(tiny: Tiny) -> Iterator[ProcessExecutor]:
    made = ProcessExecutor(tiny.root, workers=1, threads=1)
    yield made
    made.close()


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def events(executor: ProcessExecutor, count: int = 1) -> list[Event]:
    found: list[Event] = []
    until(lambda: bool(found.extend(executor.wait(0.2))) or len(found) >= count)
    return found


def test_deaths_are_events_and_the_next_worker_goes_on(
    tiny: Tiny, executor: ProcessExecutor
) -> None:
    spec = tiny.mask()
    journal = tiny.work.job(spec).journal
    handle = executor.submit(Request(spec, (LONG,)))
    assert executor.active() == executor.busy() == {handle}
    until(lambda: journal.exists() and journal.stat().st_size > 0)
    (worker,) = workers()
    worker.kill()
    (event,) = events(executor)
    assert event.handle == handle
    assert event.outcome.state == "lost"
    assert event.outcome.reason == "its worker process died (exit status -9)"
    assert event.outcome.exit_code == 3
    assert executor.active() == set()
    # Another request gets another worker, which may own the dead one's job.
    again = executor.submit(Request(spec, (2,)))
    (event,) = events(executor)
    assert (event.handle, event.outcome.state) == (again, "done")
    (idle,) = workers()
    assert idle.pid != worker.pid
    # An idle one that dies is noticed when it is given work, and does no harm.
    idle.kill()
    idle.wait()
    lost = executor.submit(Request(spec, (3,)))
    (event,) = events(executor)
    assert (event.handle, event.outcome.state) == (lost, "lost")
    assert executor.active() == set()


def test_a_stop_saves_the_state_and_drops_the_queue(
    tiny: Tiny, executor: ProcessExecutor, tmp_path: Path
) -> None:
    spec = tiny.mask()
    folder = tiny.work.job(spec)
    running = executor.submit(Request(spec, (LONG,)))
    queued = executor.submit(Request(tiny.mask(1), (LONG,)))
    assert executor.active() == {running, queued}
    until(lambda: folder.journal.exists() and folder.journal.stat().st_size > 0)
    executor.stop()
    assert executor.active() == {running}
    (event,) = events(executor)
    assert (event.handle, event.outcome.state) == (running, "stopped")
    assert "state is saved" in event.outcome.reason
    assert executor.submit(Request(tiny.mask(2), (1,))) not in executor.active(), "too late"
    assert executor.wait(0.1) == []
    until(lambda: not workers())
    state = load_state(folder.state, "cpu")
    assert state is not None
    target = int(state["epoch"]) + 1
    resumed = tiny.must(spec, target)
    straight = Tiny(tmp_path / "straight")
    whole = straight.must(spec, target)
    assert weights_at(resumed, target) == weights_at(whole, target)
    assert values_of(resumed) == values_of(whole)


def test_a_worker_answers_in_json_lines_and_says_all_else_on_stderr(tiny: Tiny) -> None:
    spec = tiny.mask()
    elsewhere = tiny.specs.prepare({"a" * 24: "train"})
    bad = Request(tiny.specs.stage(elsewhere, tiny.experiment.mask, 0), (1,))
    lines = [Request(spec, (1,)), bad, Request(spec, (1, 2))]
    process = subprocess.run(
        [sys.executable, "-m", "harness.jobs.worker", str(tiny.root), str(os.getpid())],
        input="".join(json.dumps(line.to_dict()) + "\n" for line in lines),
        capture_output=True,
        text=True,
    )
    answers = [json.loads(line) for line in process.stdout.splitlines()]
    assert [answer["state"] for answer in answers] == ["done", "failed", "done"]
    assert [answer["exit_code"] for answer in answers] == [0, 3, 0]
    assert answers[1]["reason"].startswith("input 'store' of this mask-stage job must be finished")
    assert process.returncode == 0
    assert tiny.work.job(spec).checkpoints() == [1, 2]


DRIVER = """
import json, sys, time
from pathlib import Path
from harness.jobs.executors.processes import ProcessExecutor
from harness.jobs.spec import Request
executor = ProcessExecutor(Path(sys.argv[1]), 1, 1)
executor.submit(Request.from_dict(json.loads(sys.stdin.readline())))
print("submitted", flush=True)
while True:
    executor.wait(1)
"""


@pytest.mark.parametrize("early", [True, False], ids=["before-it-looks", "while-it-trains"])
def test_a_worker_that_loses_its_driver_saves_its_state_and_leaves(early: bool, tiny: Tiny) -> None:
    spec = tiny.mask()
    folder = tiny.work.job(spec)
    lease = folder.path / "lease.json"
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tiny.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdin is not None
    assert driver.stdout is not None
    driver.stdin.write(json.dumps(Request(spec, (LONG,)).to_dict()) + "\n")
    driver.stdin.flush()
    assert driver.stdout.readline() == "submitted\n"
    (worker,) = psutil.Process(driver.pid).children()
    if not early:
        until(lambda: folder.journal.exists() and folder.journal.stat().st_size > 0)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    assert holder(lease) is None
    assert folder.state.exists()
    assert tiny.run(spec, int((load_state(folder.state, "cpu") or {})["epoch"])).state == "done"


def test_a_warm_worker_takes_the_first_job_and_answers_until_it_dies(
    tiny: Tiny, executor: ProcessExecutor
) -> None:
    executor.warm(["torch"])
    (worker,) = workers()
    assert executor.ask("os:getpid") == worker.pid
    executor.submit(Request(tiny.mask(), (1,)))
    (event,) = events(executor)
    assert event.outcome.state == "done"
    assert workers() == [worker]
    worker.kill()
    worker.wait(30)
    assert executor.ask("os:getpid") == os.getpid(), "asked here, for want of an answer"
    executor.submit(Request(tiny.mask(seed=1), (LONG,)))
    until(lambda: tiny.work.job(tiny.mask(seed=1)).journal.exists())
    assert executor.ask("os:getpid") == os.getpid(), "all others compute"


def test_a_warm_worker_that_got_nothing_is_no_wait(tiny: Tiny) -> None:
    executor = ProcessExecutor(tiny.root, workers=1, threads=1)
    executor.warm(["torch._dynamo"])
    started = time.monotonic()
    executor.close()
    assert time.monotonic() - started < 1
    assert workers() == []


def test_every_worker_knows_its_place_and_its_successor_takes_it(tiny: Tiny) -> None:
    """By it they are dealt out over the GPUs of a machine, and share each one's memory."""

    def places() -> list[str]:
        return sorted(worker.environ()["HARNESS_WORKER"] for worker in workers())

    executor = ProcessExecutor(tiny.root, workers=2, threads=1)
    try:
        for seed in (0, 1):
            executor.submit(Request(tiny.mask(seed=seed), (LONG,)))
        until(lambda: len(workers()) == 2)
        assert places() == ["0/2", "1/2"]
        workers()[0].kill()
        events(executor)
        executor.submit(Request(tiny.mask(seed=2), (LONG,)))
        until(lambda: len(workers()) == 2)
        assert places() == ["0/2", "1/2"]
    finally:
        executor.close()
