"""What is said about a work folder from outside: beside a command, and after its death."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from factories.jobs import breaks, count, text
from factories.tiny import Tiny

from harness.base.errors import ConfigError, DataError
from harness.commands.status import look, status
from harness.commands.status_text import in_full, overview
from harness.commands.typed import keep
from harness.jobs.folder import WorkFolder
from harness.jobs.planned import Planned
from harness.jobs.runner import run_request
from harness.jobs.spec import Request, Spec

DRIVE = """
import contextlib, json, sys
from pathlib import Path
from harness.jobs.lease import lease
from harness.jobs.planned import Planned
from harness.jobs.spec import Request
root, requests, held = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]
with contextlib.ExitStack() as stack:
    stack.enter_context(lease(root / "driver.lease.json", "it"))
    planned = Planned(root / "experiments" / "tiny", "run")
    planned.write()
    planned.add([Request.from_dict(request) for request in requests])
    for path in held:
        Path(path).mkdir(parents=True, exist_ok=True)
        stack.enter_context(lease(Path(path) / "lease.json", "a job"))
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def driver(work: WorkFolder, requests: list[Request], *held: Spec) -> Iterator[Any]:
    """A process that drives the experiment `tiny`, and works at the jobs `held`, until killed."""
    jobs = json.dumps([request.to_dict() for request in requests])
    folders = [str(work.job(spec).path) for spec in held]
    words = [sys.executable, "-c", DRIVE, str(work.root), jobs, *folders]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def entry(work: WorkFolder) -> dict[str, Any]:
    (found,) = status(work.root)["experiments"]
    return found


def contents(root: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file."""
    stats = {str(path): path.stat() for path in root.rglob("*") if path.is_file()}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


def test_a_running_command_and_its_death(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    work.begin()
    keep(tmp_path, "tiny", ["run", "my file.yaml"])
    done, bad, later, training = text("a"), breaks("sentence"), text("b"), count()
    requests = [Request(spec, label=f"job {n}") for n, spec in enumerate((done, bad, later))]
    requests.append(Request(training, (2, 8), label="counts"))
    assert run_request(requests[0], work).state == "done"
    assert run_request(requests[1], work).state == "failed"
    assert run_request(Request(training, (2,)), work).state == "done"

    with driver(work, requests, training) as process:
        before = contents(tmp_path)
        found = entry(work)
        assert contents(tmp_path) == before, "it only looks"
        assert (found["state"], found["command"]["pid"]) == ("running", process.pid)
        zeros = {"done": 0, "running": 0, "failed": 0, "waiting": 0}
        assert found["jobs"] == {
            "test-text": {**zeros, "done": 1, "waiting": 1},
            "test-break": {**zeros, "failed": 1},
            "test-count": {**zeros, "running": 1},
        }
        (running,) = found["running"]
        assert (running["label"], running["epoch"], running["epochs"]) == ("counts", 0, 8)
        (failure,) = found["failures"]
        assert failure["label"] == "job 1"
        assert failure["reason"] == "patients must be patient, but got haste; wait"
        lines = overview(status(tmp_path))
        assert f"tiny: running: harness run, process {process.pid} on " in lines[0]
        assert "1 of 4 jobs planned so far done" in lines[0]
        process.kill()
        process.wait()

        found = entry(work)
        assert found["state"] == "failed"
        assert found["jobs"]["test-count"]["waiting"] == 1, "epoch 8 has no checkpoint"
        assert found["again"] == "harness run 'my file.yaml'"
        assert "  goes on with: harness run 'my file.yaml'" in overview(status(tmp_path))
        assert run_request(Request(training, (8,)), work).state == "done"
        assert entry(work)["jobs"]["test-count"]["done"] == 1


def test_a_command_killed_between_two_jobs_has_stopped_not_finished(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    work.begin()
    assert run_request(Request(text("a")), work).state == "done"
    with driver(work, [Request(text("a"))]):
        assert entry(work)["state"] == "running"
    assert entry(work)["state"] == "stopped"
    planned = Planned.read(tmp_path / "experiments" / "tiny")
    assert planned is not None
    planned.end()
    assert entry(work)["state"] == "finished"
    assert overview(status(tmp_path))[0].startswith("tiny: finished: harness run ended ")


def test_a_result_of_other_inputs_is_not_done(tmp_path: Path) -> None:
    """The driver would make it again, so it waits."""
    work = WorkFolder(tmp_path)
    work.begin()
    left = text("a")
    behind = text("b", left=left.done())
    requests = [Request(left), Request(behind)]
    assert [run_request(request, work).state for request in requests] == ["done", "done"]
    planned = Planned(tmp_path / "experiments" / "tiny", "run")
    planned.add(requests)
    assert entry(work)["jobs"]["test-text"]["done"] == 2
    job = work.job(left)
    job.clear()
    job.finish([], {"length": 9}, {}, {"seconds": 0.0}, {})
    assert entry(work)["jobs"]["test-text"] == {"done": 1, "running": 0, "failed": 0, "waiting": 1}


def test_time_left_is_the_pace_of_epochs_whatever_pauses_lie_between(tmp_path: Path) -> None:
    """Epochs of 10 s, an hour's pause after the third, five left: 50 s."""
    work = WorkFolder(tmp_path)
    work.begin()
    spec, now = count(), time.time()
    with driver(work, [Request(spec, (12,), label="counts")], spec):
        ends = [now - 10 * (7 - epoch) - (3600 if epoch <= 3 else 0) for epoch in range(1, 8)]
        lines = [
            {"step": epoch, "name": name, "value": value, "time": int(1000 * end)}
            for epoch, end in enumerate(ends, 1)
            for name, value in (("train/g_loss", 0.5 * epoch), ("train/learning_rate", 0.1))
        ]
        journal = work.job(spec).journal
        journal.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 8, "na')
        (running,) = entry(work)["running"]
        assert (running["epoch"], running["epochs"]) == (7, 12)
        assert running["values"] == {"train/g_loss": 3.5, "train/learning_rate": 0.1}
        assert running["left"] == pytest.approx(50 - (time.time() - now), abs=1)
        shown = "\n".join(in_full(status(tmp_path)))
        assert "running: counts, epoch 7 of 12, G loss 3.5, about " in shown


def test_what_is_foreseen_is_said_while_it_runs(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    work.begin()
    spec = count()
    with driver(work, [Request(spec, (12,), label="counts")], spec):
        planned = Planned.read(tmp_path / "experiments" / "tiny")
        assert planned is not None
        planned.add([Request(spec, (12,), label="counts")], (214, time.time() + 720))
        seen = entry(work)["foreseen"]
        assert seen == {"jobs": 214, "seconds_left": pytest.approx(720, abs=2)}
        (line, *_) = in_full(status(tmp_path))
        assert line.endswith("; 0 of 214 jobs done, about 12 min left")


def test_another_commands_lease_is_not_this_experiments(tmp_path: Path) -> None:
    """Two experiments of one folder: the first stopped, the second runs."""
    work = WorkFolder(tmp_path)
    work.begin()
    Planned(
        tmp_path / "experiments" / "first", "run", {"host": "h", "pid": 1, "started": 2}
    ).write()
    with driver(work, [Request(text("a"))]):
        states = {e["experiment"]: e["state"] for e in status(tmp_path)["experiments"]}
    assert states == {"first": "stopped", "tiny": "running"}


def test_500_jobs_are_looked_at_in_two_seconds_without_heavy_libraries(tmp_path: Path) -> None:
    WorkFolder(tmp_path).begin()
    tiny = Tiny(tmp_path)
    inputs = {"store": tiny.work.job(tiny.store).result()["content"]}  # type: ignore[index]
    store = {"store": tiny.store.done()}
    specs = [Spec("test-score", {"number": n}, inputs=store) for n in range(500)]
    for spec in specs:
        job = tiny.work.job(spec)
        job.open(spec)
        job.finish([], {}, inputs, {"seconds": 0.0}, {})
    Planned(tmp_path / "experiments" / "tiny", "run").add(Request(spec) for spec in specs)
    code = (
        "import sys, harness.cli; sys.argv[1:] = ['status', '--json', '--workdir', sys.argv[1]]\n"
        "try: harness.cli.main()\n"
        "finally: print([m for m in ('torch', 'mlflow', 'optuna', 'pandas') if m in sys.modules], "
        "file=sys.stderr)"
    )
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    after = os.times()
    taken = [getattr(after, n) - getattr(before, n) for n in ("children_user", "children_system")]
    assert sum(taken) < 2  # of a core: other tests run beside
    assert json.loads(done.stdout)["experiments"][0]["jobs"]["test-score"]["done"] == 500
    assert done.stderr == "[]\n"


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^a work folder must be .*, but got '.*no', where there"):
        status(tmp_path / "no")
    WorkFolder(tmp_path).begin()
    assert overview(status(tmp_path))[0] == f"no experiment has begun in '{tmp_path}'"
    (tmp_path / "experiments" / "first").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"but got 'frist'; did you mean 'first'\?$"):
        status(tmp_path, Path("frist"))
    assert look(WorkFolder(tmp_path), "first", None)["state"] == "new"
