"""SIGKILL at random moments, again and again: what is there at the end is what an uninterrupted
command leaves.

HARNESS_CHAOS_KILLS (3) says how often the sweep is killed, HARNESS_CHAOS_SEED (drawn) when; the
seed is printed, so that a failure can be looked at again (moments of other machines differ).
"""

from __future__ import annotations

import contextlib
import copy
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
import yaml
from tiny_material import CLOCKED, lines_of, same, values_of

from harness.base.errors import EnvironmentFault
from harness.base.files import read_json, sha256_file
from harness.jobs.runner import run_request
from harness.records.folder import JobFolder, WorkFolder
from harness.records.spec import Request
from harness.workflow.driver import LOST_RETRIES

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

KILLS = int(os.environ.get("HARNESS_CHAOS_KILLS", "3"))
SEED = int(os.environ.get("HARNESS_CHAOS_SEED") or random.SystemRandom().randrange(10**6))
MOST_STARTS = 20 + 10 * KILLS
EPOCHS = 80
"""Of the long training: some eight seconds on one core."""

EXPERIMENT: dict[str, Any] = {
    "name": "chaos",
    "data": {
        "source": "phantom",
        "phantom": {"patients": 6, "slices": 12, "spacing_mm": [4.0, 3.0, 3.0]},
        "roles": {"validation": 0.34, "test": 0.17},
        "spacing_mm": 3.0,
    },
    "mask": {"width": 4, "latent": 8},
    "image": {"width": 4},
    "metrics": {"images": 10, "scored_epochs": 2},
    "sweep": {
        "segmentation": None,
        "seeds": 2,
        "wave": 1,
        "mask": {
            "trials": 2,
            "space": {
                "batch_size": {"values": [4, 8]},
                "optimiser.learning_rate": {"low": 1e-4, "high": 1e-3, "log": True},
                "schedule.epochs": {"values": [8, 20]},
            },
        },
        "image": {"trials": 1, "space": {"schedule.epochs": {"values": [3]}}},
    },
    "compute": {"device": "cpu", "precision": "float32", "threads": 1},
    "tracking": {"pictures": 3},
}


class Command:
    """A `harness sweep` in a process group of its own, and its workers in theirs."""

    def __init__(self, file: Path, workdir: Path, *options: str) -> None:
        code = "from harness.cli import main; main()"
        self.log = open(workdir.with_suffix(".log"), "ab")  # noqa: SIM115 - closed by `end`
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "sweep", str(file), "--workdir", str(workdir), *options],
            stdout=subprocess.DEVNULL,
            stderr=self.log,
            start_new_session=True,
        )

    def workers(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children()
            return [child for child in children if "harness.jobs.worker" in _words(child)]
        return []

    def ended(self) -> bool:
        return self.process.poll() is not None

    def kill(self, what: str) -> None:
        """SIGKILL to the groups of `everything`, the `driver` alone, or one `worker`."""
        workers = self.workers()
        victims = [w.pid for w in workers]
        if what == "worker":
            victims = victims[:1]
        if what == "driver":
            victims = []
        if what != "worker":
            victims.insert(0, self.process.pid)
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        if what != "worker":
            self.process.wait()

    def end(self) -> None:
        """Leave nothing running."""
        if not self.ended():
            self.kill("everything")
        self.log.close()


def _words(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


@contextlib.contextmanager
def started(*given: Any) -> Iterator[Command]:
    command = Command(*given)
    try:
        yield command
    finally:
        command.end()


def finish(file: Path, workdir: Path, *options: str) -> None:
    """Run the command to its end."""
    with started(file, workdir, *options) as command:
        command.process.wait()
    assert command.process.returncode == 0, workdir.with_suffix(".log").read_text()[-3000:]


def written(path: Path, experiment: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(experiment, sort_keys=False))
    return path


def amount(workdir: Path) -> int:
    """How much the jobs have written: grows while anything is done."""
    total = 0
    for folder, _, names in os.walk(workdir / "jobs"):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += 1 + (Path(folder) / name).stat().st_size
    return total


def wait_for(command: Command, true: Callable[[], bool], seconds: float = 120.0) -> bool:
    """False if the command ended, or nothing came, before it was true."""
    limit = time.monotonic() + seconds
    while not true():
        if command.ended() or time.monotonic() > limit:
            return False
        time.sleep(0.005)
    return True


# --- what is left ---------------------------------------------------------------------------------


def studies(workdir: Path) -> dict[str, Any]:
    """Trials of each study: parameters, values, what was told."""
    found = {}
    for path in sorted((workdir / "studies").glob("*.db")):
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
        for study in optuna.get_all_study_names(storage):
            trials = optuna.load_study(study_name=study, storage=storage).get_trials()
            found[study] = [(t.number, t.params, t.state, t.values, t.user_attrs) for t in trials]
        storage.engine.dispose()
    return found


def sums(workdir: Path, pattern: str) -> dict[str, str]:
    return {str(p.relative_to(workdir)): sha256_file(p) for p in sorted(workdir.glob(pattern))}


def journals(workdir: Path) -> dict[tuple[str, int, str], float]:
    """Every value of every journal but the clocked one; a double line fails."""
    found = {}
    for path in sorted(workdir.glob("jobs/*/*/journal.jsonl")):
        for (step, name), value in values_of(JobFolder(path.parent)).items():
            found["/".join(path.parent.parts[-2:]), step, name] = value
    return found


def results(workdir: Path) -> dict[str, Any]:
    paths = [
        *workdir.glob("jobs/*/*/result.json"),
        *workdir.glob("jobs/*/*/readouts/*/result.json"),
    ]
    return {str(p.relative_to(workdir)): read_json(p)["values"] for p in sorted(paths)}


Point = tuple[str, str, int]


def mlflow(workdir: Path) -> tuple[Counter[str], dict[Point, float]]:
    """States of the runs, and every value by run, name and step; one that stands twice fails."""
    points: dict[Point, float] = {}
    with contextlib.closing(sqlite3.connect(workdir / "mlflow" / "mlflow.db")) as database:
        runs = dict(
            database.execute(
                "SELECT run_uuid, name FROM runs WHERE lifecycle_stage = 'active'"
            ).fetchall()
        )
        states = database.execute("SELECT status FROM runs WHERE lifecycle_stage = 'active'")
        counted = Counter(status for (status,) in states)
        lines = database.execute("SELECT run_uuid, key, step, value FROM metrics").fetchall()
    assert len(set(runs.values())) == len(runs), "two runs of one name"
    doubles = Counter((run, key, step) for run, key, step, _ in lines)
    assert not [point for point, times in doubles.items() if times > 1]
    for run, key, step, value in lines:
        if run in runs and key != CLOCKED:
            points[runs[run], key, step] = value
    return counted, points


def assert_equal(workdir: Path, reference: Path) -> None:
    assert studies(workdir) == studies(reference)
    weights = sums(workdir, "jobs/*/*/readouts/*/weights.safetensors")
    assert weights == sums(reference, "jobs/*/*/readouts/*/weights.safetensors")
    assert weights
    same(journals(workdir), journals(reference))
    assert results(workdir) == results(reference)
    for pattern in ("jobs/*/*/samples/*.png", "jobs/prepare/*/store/**/*.npy"):
        assert sums(workdir, pattern) == sums(reference, pattern)
    chosen = "experiments/*/chosen-*.yaml"
    assert sums(workdir, chosen) == sums(reference, chosen)
    states, points = mlflow(workdir)
    expected, all_points = mlflow(reference)
    assert states == expected
    assert set(states) == {"FINISHED"}
    same(dict(sorted(points.items())), dict(sorted(all_points.items())))
    left = [p for p in workdir.rglob("*") if p.name.endswith("lease.json")]
    assert not left


# --- a sweep --------------------------------------------------------------------------------------


def test_a_sweep_killed_at_random_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    print(f"HARNESS_CHAOS_SEED={SEED} HARNESS_CHAOS_KILLS={KILLS}")
    file = written(tmp_path / "chaos.yaml", EXPERIMENT)
    workdir = tmp_path / "killed"
    kills: list[str] = []
    for _ in range(MOST_STARTS):
        before = len(kills)
        with started(file, workdir, "--workers", "2") as command:
            while len(kills) < KILLS and not command.ended():
                kills += kill_somewhere(command, workdir, chance)
            if len(kills) >= KILLS:
                command.process.wait()
        if command.process.returncode == 0:
            break
        # A job whose workers die again and again is given up, and the next command takes it up.
        given_up = kills[before:].count("worker") > LOST_RETRIES
        expected = (-signal.SIGKILL, EnvironmentFault.exit_code if given_up else None)
        assert command.process.returncode in expected, _tail(workdir)
    assert command.process.returncode == 0, _tail(workdir)
    print(f"killed {len(kills)} times")
    reference = tmp_path / "whole"
    finish(file, reference, "--workers", "1")
    assert len(kills) >= min(KILLS, 2), "the kills came too late to say anything"
    assert_equal(workdir, reference)


def kill_somewhere(command: Command, workdir: Path, chance: random.Random) -> list[str]:
    """Wait for a random moment, mostly one at which jobs run, and kill; what was killed."""
    what = chance.choice(["everything", "everything", "driver", "worker"])
    if chance.random() < 0.25:
        moment, delay = "after the start", chance.uniform(0.3, 6.0)
    else:
        moment, delay = "in the work", chance.expovariate(1.5)
        before = amount(workdir)
        if not wait_for(command, lambda: amount(workdir) > before):
            return []
    end = time.monotonic() + delay
    if not wait_for(command, lambda: time.monotonic() > end):
        return []
    if what == "worker" and not command.workers():
        return []
    print(f"kill {what}, {delay:.2f} s {moment}")
    command.kill(what)
    return [what]


def _tail(workdir: Path) -> str:
    return workdir.with_suffix(".log").read_text()[-3000:]


# --- one long training ----------------------------------------------------------------------------


def test_a_training_killed_in_its_middle_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    """Killed before its first saved state and, where it is slow enough to have one, after it."""
    chance = random.Random(SEED + 1)
    print(f"HARNESS_CHAOS_SEED={SEED}")
    experiment = copy.deepcopy(EXPERIMENT)
    experiment["sweep"]["seeds"] = 1
    experiment["sweep"]["mask"] = {"trials": 1, "space": {"schedule.epochs": {"values": [EPOCHS]}}}
    experiment["mask"]["batch_size"] = 4
    file = written(tmp_path / "chaos.yaml", experiment)
    workdir = tmp_path / "killed"
    options = ("--stage", "mask", "--workers", "1")
    for kill in range(max(2, KILLS // 2)):
        with started(file, workdir, *options) as command:
            wait_for_the_middle(command, workdir, chance.randint(2, 15), saved=kill > 0)
            time.sleep(chance.uniform(0.0, 0.5))
            command.kill("everything")
        folder = training(workdir)[0]
        assert folder.readouts() == [1], "in the middle"
        print(f"killed at epoch {epoch_of(workdir)}, state saved: {folder.state.exists()}")
    finish(file, workdir, *options)
    reference = WorkFolder(tmp_path / "whole")
    shutil.copytree(workdir / "jobs" / "prepare", reference.jobs / "prepare")
    assert run_request(Request(folder.spec(), (1, EPOCHS), 3), reference).state == "done"
    whole = reference.job(folder.spec())
    same(values_of(folder), values_of(whole))
    for pattern in ("readouts/*/weights.safetensors", "samples/*.png"):
        assert sums(folder.path, pattern) == sums(whole.path, pattern)
    states, points = mlflow(workdir)
    assert set(states) == {"FINISHED"}
    logged = {name for _, name in values_of(whole)}  # the run shows its scores as well
    shown = {
        (step, name): value
        for (run, name, step), value in points.items()
        if run == "mask trial 000 seed 0" and name in logged
    }
    same(dict(sorted(shown.items())), dict(sorted(values_of(whole).items())))


def wait_for_the_middle(command: Command, workdir: Path, more: int, saved: bool) -> None:
    """Until the training is `more` epochs further, and, where asked, has saved its state."""
    assert wait_for(command, lambda: epoch_of(workdir) > 0), _tail(workdir)
    target = min(epoch_of(workdir) + more, EPOCHS - 20)
    assert wait_for(command, lambda: epoch_of(workdir) >= target), _tail(workdir)
    if saved:
        state = training(workdir)[0].state
        assert wait_for(command, lambda: state.exists() or epoch_of(workdir) >= EPOCHS - 20)


def training(workdir: Path) -> list[JobFolder]:
    return [JobFolder(path.parent) for path in workdir.glob("jobs/mask-stage/*/journal.jsonl")]


def epoch_of(workdir: Path) -> int:
    """Last epoch that the training's journal holds."""
    lines = [line for folder in training(workdir) for line in lines_of(folder)]
    return max((line.step for line in lines), default=0)
