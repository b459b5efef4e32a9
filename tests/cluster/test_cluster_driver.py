"""What becomes of jobs on a cluster when their driver is told to stop, or is killed."""

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
import yaml
from factories.cluster import two_nodes
from factories.tiny import Tiny, values_of, weights_at

from harness.jobs.executors.ray import RayExecutor
from harness.jobs.lease import holder
from harness.jobs.spec import Request

pytestmark = pytest.mark.cluster

LONG = 100_000
"""Epochs that no test waits for."""

DRIVER = """
import json, sys
from pathlib import Path
from harness.jobs.executors.ray import RayExecutor
from harness.jobs.spec import Request
executor = RayExecutor(Path(sys.argv[1]), 1, 1, sys.argv[2])
executor.submit(Request.from_dict(json.loads(sys.stdin.readline())))
while True:
    executor.wait(1)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with two_nodes() as nodes:
        yield nodes.address


def until(true: Callable[[], bool], seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_jobs_of_a_killed_driver_end_and_the_next_one_goes_on(tmp_path: Path, cluster: str) -> None:
    tiny = Tiny(tmp_path / "work")
    spec = tiny.mask()
    folder = tiny.work.job(spec)
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tiny.root), cluster], stdin=subprocess.PIPE, text=True
    )
    assert driver.stdin is not None
    driver.stdin.write(json.dumps(Request(spec, (LONG,)).to_dict()) + "\n")
    driver.stdin.flush()
    until(folder.state.exists)
    assert holder(folder.path / "lease.json") is not None
    driver.kill()
    driver.communicate()
    until(lambda: holder(folder.path / "lease.json") is None, 15)
    epoch = max(step for step, _ in values_of(folder)) + 3
    executor = RayExecutor(tiny.root, 1, 1, cluster)
    try:
        executor.submit(Request(spec, (epoch,)))
        events = []
        until(lambda: bool(events.extend(executor.wait(0.2)) or events))
    finally:
        executor.close()
    assert [event.outcome.state for event in events] == ["done"]
    straight = Tiny(tmp_path / "straight").must(spec, epoch)
    assert weights_at(folder, epoch) == weights_at(straight, epoch)
    assert values_of(folder) == values_of(straight)


SPACE = {"batch_size": {"values": [4]}}
EXPERIMENT = {
    "name": "pressed",
    "data": {
        "source": "phantom",
        "phantom": {"patients": 4, "slices": 8, "spacing_mm": [4.0, 3.0, 3.0]},
        "roles": {"validation": 0.25, "test": 0.25},
        "spacing_mm": 3.0,
    },
    "mask": {"width": 4, "latent": 8, "schedule": {"epochs": LONG}},
    "metrics": {"scored_epochs": 1},
    "sweep": {
        "image": None,
        "segmentation": None,
        "seeds": 2,
        "mask": {"trials": 1, "space": SPACE},
    },
    "compute": {"device": "cpu", "precision": "float32", "threads": 1},
    "tracking": {"enabled": False},
}


def test_ctrl_c_saves_the_state_and_leaves_no_process(tmp_path: Path) -> None:
    """At the terminal it reaches the whole process group: also what Ray started there.

    Nor does it leave Ray's token in the home folder.
    """
    pytest.importorskip("ray", reason="ray is not installed")
    file = tmp_path / "pressed.yaml"
    file.write_text(yaml.safe_dump(EXPERIMENT))
    workdir = tmp_path / "work"
    code = "from harness.cli import main; main()"
    options = ("--stage", "mask", "--workdir", str(workdir), "--engine", "ray", "--workers", "2")
    command = subprocess.Popen(
        [sys.executable, "-c", code, "sweep", str(file), *options],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )

    def training() -> bool:
        found = list(workdir.glob("jobs/mask-stage/*/journal.jsonl"))
        return len(found) == 2 and all(path.stat().st_size for path in found)

    try:
        until(lambda: training() or command.poll() is not None, 120)
        family = psutil.Process(command.pid).children(recursive=True)
        assert any("raylet" in process.name() for process in family)
        os.killpg(command.pid, signal.SIGINT)
        said = command.communicate(timeout=90)[1]
    finally:
        command.kill()
    assert command.returncode == 130, said[-2000:]
    assert said.count("state saved") == 2
    assert "repeat the command to go on" in said
    assert "Traceback" not in said
    assert len(list(workdir.glob("jobs/mask-stage/*/state/latest.pt"))) == 2
    assert not list(workdir.rglob("*lease.json"))
    _, alive = psutil.wait_procs(family, timeout=15)
    assert not alive
    assert not (tmp_path / ".ray").exists()
