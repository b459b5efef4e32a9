"""A tiny sweep as a command of its own, ways to kill it, and what it must leave in the end."""

from __future__ import annotations

import contextlib
import copy
import os
import random
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
import yaml
from factories.tiny import CLOCKED, same, values_of

from harness.base.errors import EnvironmentFault
from harness.base.files import read_json, sha256_file
from harness.jobs.driver import LOST_RETRIES
from harness.jobs.folder import JobFolder
from harness.jobs.identity import folder_identity

KILLS = int(os.environ.get("HARNESS_CHAOS_KILLS", "3"))
SEED = int(os.environ.get("HARNESS_CHAOS_SEED") or random.SystemRandom().randrange(10**6))
TRIALS = int(os.environ.get("HARNESS_CHAOS_TRIALS", "2"))

SEGMENTERS = {"candidates": 2, "space": {"learning_rate": {"values": [2e-3]}}}
PHANTOMS: dict[str, Any] = {
    "source": "phantom",
    "phantom": {"patients": 6, "slices": 12, "spacing_mm": [4.0, 3.0, 3.0]},
    "roles": {"validation": 0.34, "test": 0.17},
    "spacing_mm": 3.0,
}
EXPERIMENT: dict[str, Any] = {
    "name": "chaos",
    "data": PHANTOMS,
    "mask": {"width": 4, "latent": 8},
    "image": {"width": 4},
    "synthesis": {"pairs": 6},
    "segmentation": {
        "channels": [4, 8],
        "residual_units": 0,
        "batch_size": 4,
        "updates": 8,
        "updates_per_epoch": 4,
    },
    "arms": ["traditional", "traditional+gan"],
    "decision": {"secondary": []},
    "metrics": {"images": 10, "scored_epochs": 2},
    "sweep": {
        # Has segmenters and their scores among the victims; not in the short version.
        "segmentation": SEGMENTERS if TRIALS > 1 else None,
        "seeds": 2,
        "trials_per_batch": 1,
        "mask": {
            "trials": TRIALS,
            "space": {
                "batch_size": {"values": [4, 8]},
                "optimiser.learning_rate": {"low": 1e-4, "high": 1e-3, "log": True},
                "schedule.epochs": {"values": [8, 20]},
            },
        },
        "image": {"trials": 1, "space": {"schedule.epochs": {"values": [3]}}},
    },
    "compute": {"device": "cpu", "precision": "float32", "threads": 1},
    "tracking": {"sample_grids": 3},
}


def small() -> dict[str, Any]:
    """A sweep of one stage: two trials and what is read out of them, long enough to be met in its
    middle."""
    experiment = copy.deepcopy(EXPERIMENT)
    experiment["sweep"]["image"] = experiment["sweep"]["segmentation"] = None
    experiment["sweep"]["seeds"] = 1
    experiment["sweep"]["mask"]["space"]["schedule.epochs"] = {"values": [10, 30]}
    return experiment


class Command:
    """A `harness sweep` in a process group of its own, and its workers in theirs."""

    def __init__(self, file: Path, workdir: Path, *options: str, log: Path | None = None) -> None:
        code = "from harness.cli import main; main()"
        self.log = open(log or workdir.with_suffix(".log"), "ab")  # noqa: SIM115 - closed by `end`
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
def started(*given: Any, log: Path | None = None) -> Iterator[Command]:
    command = Command(*given, log=log)
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


def killed_at_random(file: Path, workdir: Path, kills: int, seed: int) -> int:
    """Start the sweep until it ends well, killing it on the way; how often it was killed."""
    chance = random.Random(seed)
    print(f"HARNESS_CHAOS_SEED={seed} HARNESS_CHAOS_KILLS={kills}")
    done: list[str] = []
    for _ in range(20 + 10 * kills):
        before = len(done)
        with started(file, workdir, "--workers", "2") as command:
            while len(done) < kills and not command.ended():
                done += kill_somewhere(command, workdir, chance)
            if len(done) >= kills:
                command.process.wait()
        if command.process.returncode == 0:
            break
        # A job whose workers die again and again is given up, and the next command takes it up.
        given_up = done[before:].count("worker") > LOST_RETRIES
        expected = (-signal.SIGKILL, EnvironmentFault.exit_code if given_up else None)
        assert command.process.returncode in expected, tail(workdir)
    assert command.process.returncode == 0, tail(workdir)
    print(f"killed {len(done)} times")
    return len(done)


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


def tail(workdir: Path) -> str:
    return workdir.with_suffix(".log").read_text()[-3000:]


# --- what is left ---------------------------------------------------------------------------------


def studies(workdir: Path) -> dict[str, Any]:
    """Trials of each study: parameters, values, what was told."""
    urls = [f"sqlite:///{path}" for path in sorted((workdir / "studies").glob("*.db"))]
    return {name: trials for url in urls for name, trials in studies_at(url).items()}


def studies_at(url: str) -> dict[str, Any]:
    """The same of one database."""
    found = {}
    storage = optuna.storages.RDBStorage(url)
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
        *workdir.glob("jobs/*/*/checkpoints/*/result.json"),
    ]
    return {str(p.relative_to(workdir)): read_json(p)["values"] for p in sorted(paths)}


Point = tuple[str, str, int]


def mlflow(workdir: Path) -> tuple[Counter[str], dict[Point, float]]:
    """What the work folder's own database holds, as `shown` has it."""
    with contextlib.closing(sqlite3.connect(workdir / "mlflow" / "mlflow.db")) as database:
        return shown(database, folder_identity(workdir))


def shown(database: Any, folder: str) -> tuple[Counter[str], dict[Point, float]]:
    """States of a work folder's runs, and every value by run, name and step; one that stands twice
    fails. `database` is a connection to MLflow's database, of sqlite or PostgreSQL."""
    found = database.execute(
        "SELECT r.run_uuid, r.name, r.status FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid "
        f"WHERE t.key = 'harness.folder' AND t.value = '{folder}' AND r.lifecycle_stage = 'active'"
    ).fetchall()
    runs = {run: name for run, name, _ in found}
    lines = database.execute("SELECT run_uuid, key, step, value FROM metrics").fetchall()
    assert len(set(runs.values())) == len(runs), "two runs of one name"
    doubles = Counter((run, key, step) for run, key, step, _ in lines)
    assert not [point for point, times in doubles.items() if times > 1]
    points: dict[Point, float] = {}
    for run, key, step, value in lines:
        if run in runs and key != CLOCKED:
            points[runs[run], key, step] = value
    return Counter(status for _, _, status in found), points


def assert_equal(workdir: Path, reference: Path) -> None:
    assert studies(workdir) == studies(reference)
    assert_same_results(workdir, reference)
    assert_same_runs(mlflow(workdir), mlflow(reference))


def assert_same_results(workdir: Path, reference: Path) -> None:
    """Everything below the work folder but the databases."""
    weights = sums(workdir, "jobs/*/*/checkpoints/*/weights.safetensors")
    assert weights == sums(reference, "jobs/*/*/checkpoints/*/weights.safetensors")
    assert weights
    same(journals(workdir), journals(reference))
    assert results(workdir) == results(reference)
    for pattern in ("jobs/*/*/samples/*.png", "jobs/prepare/*/store/**/*.npy"):
        assert sums(workdir, pattern) == sums(reference, pattern)
    chosen = "experiments/*/chosen-*.yaml"
    assert sums(workdir, chosen) == sums(reference, chosen)
    left = [p for p in workdir.rglob("*") if p.name.endswith("lease.json")]
    assert not left


def assert_same_runs(found: Any, expected: Any) -> None:
    """What MLflow shows, of two databases; nothing is left running."""
    states, points = found
    assert states == expected[0]
    assert set(states) == {"FINISHED"}
    same(dict(sorted(points.items())), dict(sorted(expected[1].items())))
