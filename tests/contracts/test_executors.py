"""What every executor keeps; a third party's joins by one more entry of EXECUTORS.

The driver needs no more than this to lose no job and to run none twice.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from factories.cluster import two_nodes
from factories.tiny import Tiny, failure_of, values_of, weights_at

from harness.base.errors import ConfigError
from harness.base.files import read_json
from harness.jobs.checkpoint import load_state
from harness.jobs.executors.base import Event, Executor
from harness.jobs.executors.inline import InlineExecutor
from harness.jobs.executors.processes import ProcessExecutor
from harness.jobs.executors.ray import RayExecutor
from harness.jobs.folder import JobFolder
from harness.jobs.lease import LAPSE_SECONDS, holder
from harness.jobs.spec import Request, Spec

LONG = 100_000
"""Epochs that no test waits for."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with two_nodes() as nodes:
        yield nodes.address


EXECUTORS: dict[str, Callable[[Path, str], Executor]] = {
    "inline": lambda root, _: InlineExecutor(root),
    "processes": lambda root, _: ProcessExecutor(root, 2, 1),
    "ray": lambda root, address: RayExecutor(root, 2, 1, address),
}
"""Name -> how it is made with up to two workers, given a work folder and a Ray cluster."""
MARKS = {"ray": pytest.mark.cluster}
APART = [name for name in EXECUTORS if name != "inline"]
"""Those whose jobs are not computed by the driver itself."""


def marked(names: list[str]) -> list[object]:
    return [pytest.param(name, marks=MARKS.get(name, ())) for name in names]


@dataclass
class Case:
    """An executor with its work folder, and every event so far."""

    tiny: Tiny
    executor: Executor
    events: list[Event] = field(default_factory=list)

    def submit(self, spec: Spec, *epochs: int) -> int:
        return self.executor.submit(Request(spec, epochs, label=f"seed {spec.seed}"))

    def folder(self, spec: Spec) -> JobFolder:
        return self.tiny.work.job(spec)

    def wait(self, enough: Callable[[], bool], seconds: float = 180.0) -> None:
        limit = time.monotonic() + seconds
        while not enough():
            assert time.monotonic() < limit
            self.events += self.executor.wait(0.2)
            assert len(self.executor.busy()) <= self.executor.workers

    def ended(self, count: int) -> list[Event]:
        self.wait(lambda: len(self.events) >= count)
        assert len(self.events) == count
        return self.events

    def begun(self, spec: Spec) -> bool:
        journal = self.folder(spec).journal
        return journal.exists() and journal.stat().st_size > 0


@pytest.fixture(params=marked(list(EXECUTORS)))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    yield from _case(request, tmp_path)


@pytest.fixture(params=marked(APART))
def apart(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    yield from _case(request, tmp_path)


def _case(request: pytest.FixtureRequest, root: Path) -> Iterator[Case]:
    address = request.getfixturevalue("cluster") if request.param == "ray" else ""
    executor = EXECUTORS[request.param](root, address)
    try:
        yield Case(Tiny(root), executor)
    finally:
        executor.close()


def test_every_request_ends_in_one_event_with_its_results_in_place(case: Case) -> None:
    specs = [case.tiny.mask(seed) for seed in range(4)]
    handles = {case.submit(spec, 1, 2): spec for spec in specs}
    assert len(handles) == len(specs)
    assert case.executor.active() == set(handles)
    events = case.ended(len(specs))
    assert {event.handle for event in events} == set(handles)
    assert {event.outcome.state for event in events} == {"done"}
    assert all(case.folder(spec).checkpoints() == [1, 2] for spec in specs)
    assert case.executor.active() == case.executor.busy() == set()
    assert case.executor.wait(0.1) == [], "no second word about any of them"


def test_who_computes_and_answers_questions_before_changes_no_number(
    case: Case, tmp_path: Path
) -> None:
    case.executor.warm(["harness.base.text"])
    assert case.executor.ask("harness.base.text:counted", 2, "seed") == "2 seeds"
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        case.executor.ask("harness.config.load:load_experiment", tmp_path / "nowhere.yaml")
    spec = case.tiny.mask(3)
    case.submit(spec, 2)
    case.ended(1)
    straight = Tiny(tmp_path / "straight").must(spec, 2)
    assert weights_at(case.folder(spec), 2) == weights_at(straight, 2)
    assert values_of(case.folder(spec)) == values_of(straight)


def test_memory_refused_to_a_used_worker_is_asked_for_by_a_new_one(case: Case) -> None:
    """What an earlier job left in a process must not count against the next."""
    small = case.tiny.mask()
    large = replace(small, config={**small.config, "latent": 2**42})  # no machine can address it
    states = []
    for count, spec in enumerate((small, large, large, case.tiny.mask(1)), start=1):
        case.submit(spec, 1)
        states.append(case.ended(count)[-1].outcome.state)
        assert (case.folder(large).too_large() is not None) == ("failed" in states)
    assert states == ["done", "crowded", "failed", "done"]


def test_a_failure_is_stored_and_told_and_the_others_go_on(case: Case) -> None:
    elsewhere = case.tiny.specs.prepare({"a" * 24: "train"})
    bad = case.tiny.specs.stage(elsewhere, case.tiny.experiment.mask, 0)
    wrong, good = case.submit(bad, 1), case.submit(case.tiny.mask(), 1)
    told = {event.handle: event.outcome for event in case.ended(2)}
    assert told[good].state == "done"
    assert told[wrong].state == "failed"
    assert told[wrong].exit_code == 3
    assert told[wrong].reason.startswith("input 'store' of this mask-stage job must be finished")
    assert failure_of(case.folder(bad)) is not None


def test_a_stop_saves_the_state_and_drops_what_waits(case: Case, tmp_path: Path) -> None:
    specs = [case.tiny.mask(seed) for seed in range(case.executor.workers + 2)]
    running = {case.submit(spec, LONG) for spec in specs[: case.executor.workers]}
    queued = {case.submit(spec, LONG) for spec in specs[case.executor.workers :]}
    assert case.executor.active() == running | queued

    def press() -> None:
        while not all(case.begun(spec) for spec in specs[: case.executor.workers]):
            time.sleep(0.02)
        case.executor.stop()

    thread = threading.Thread(target=press)
    thread.start()
    case.wait(lambda: not case.executor.active())
    thread.join()
    assert {event.handle for event in case.events} == running
    assert {event.outcome.state for event in case.events} == {"stopped"}
    assert not any(case.folder(spec).path.exists() for spec in specs[case.executor.workers :])
    assert case.submit(case.tiny.mask(9), 1) not in case.executor.active(), "too late"
    assert case.executor.wait(0.1) == []
    folder = case.folder(specs[0])
    assert holder(folder.path / "lease.json") is None
    state = load_state(folder.state, "cpu")
    assert state is not None
    target = int(state["epoch"]) + 1
    straight = Tiny(tmp_path / "straight").must(specs[0], target)
    resumed = case.tiny.must(specs[0], target)
    assert weights_at(resumed, target) == weights_at(straight, target)


def test_a_worker_that_dies_is_an_event_and_another_takes_its_job(apart: Case) -> None:
    spec = apart.tiny.mask()
    handle = apart.submit(spec, LONG)
    apart.wait(lambda: apart.begun(spec))
    lease = apart.folder(spec).path / "lease.json"
    owner = read_json(lease)["pid"]
    assert owner != os.getpid()
    os.kill(owner, signal.SIGKILL)
    (event,) = apart.ended(1)
    assert (event.handle, event.outcome.state, event.outcome.exit_code) == (handle, "lost", 3)
    assert "died" in event.outcome.reason
    assert apart.executor.active() == set()
    again = apart.submit(spec, 2)
    begun = time.monotonic()
    event = apart.ended(2)[-1]
    assert (event.handle, event.outcome.state) == (again, "done")
    assert time.monotonic() - begun < 0.9 * LAPSE_SECONDS, (
        "the dead one's lease stood in nobody's way"
    )
    assert not lease.exists()


def test_its_end_takes_running_jobs_with_it_their_state_saved(apart: Case) -> None:
    spec = apart.tiny.mask()
    apart.submit(spec, LONG)
    apart.wait(lambda: apart.begun(spec))
    apart.executor.close()
    assert holder(apart.folder(spec).path / "lease.json") is None
    assert apart.folder(spec).state.exists()
