"""`sweep`: what the machinery costs beside the trainings, and what a second worker brings.

    overhead   saved state, journal, pictures, MLflow and Optuna as a share of training at the
               thesis's sizes; target: under 2 %
    workers    trials an hour of two one-thread workers over one of one thread (target 1.7) and over
               one of two threads (target 1.0): medians of the ratios of each round of sweeps

    planning   CPU of the driver a job by the number of finished trials, whose results are a
               stand-in's, and the process's memory; target: 2,000 cost at most 20 times what 30 do

Pieces are timed by themselves: a share of a few per cent drowns in the noise of whole sweeps.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from harness.base.console import Console
from harness.commands.compute import resolve_here
from harness.commands.costs.score_timing import make_stage
from harness.config.axes import AxisConfig
from harness.config.search import StageSweepConfig, SweepConfig
from harness.config.stages import DcganConfig, Pix2pixConfig
from harness.data.pairs.store import Store
from harness.jobs.checkpoint import save_state
from harness.jobs.driver import Driver
from harness.jobs.executors.base import Event, Queue
from harness.jobs.folder import JobFolder
from harness.jobs.forecast import Forecast, Work
from harness.jobs.graph import JobGraph
from harness.jobs.journal import Journal, mark_covered
from harness.jobs.planned import Planned
from harness.jobs.runner import Outcome
from harness.sweep.study import Study
from harness.tracking.run_view import JournalPart, RunView
from harness.tracking.store import quiet_environment
from harness.tracking.sync import MlflowSync
from harness.tracking.sync_thread import SyncThread
from harness.training.fit import LEAST_SAVE_SECONDS, SAVE_RATIO
from harness.training.pictures import write_png
from harness.training.precision import Precision
from tests.factories.fake_executor import FakeExecutor
from tests.factories.sweep import Sweep
from tests.factories.tiny import Tiny, tiny_experiment

PER_EPOCH = 188
"""Images, or pairs, of an epoch of the thesis."""

EPOCHS = 100
"""Of a middling training: what happens once a trial, or a few times, is spread over them."""

FRAME_PX = 128

RATES = [1e-4, 2e-4, 3e-4, 4e-4, 6e-4, 8e-4]
"""The trials of `workers`: so many that the tail of the last ones is a small part."""


def main(options: Sequence[str]) -> int:
    """Run the parts asked for; 1 if a figure misses its target."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks sweep")
    parser.add_argument("--parts", default="overhead,workers")
    parser.add_argument("--trials", default="30,120,500,2000", help="of `planning`")
    parser.add_argument("--rounds", type=int, default=3, help="of the sweeps of `workers`")
    parser.add_argument("--epochs", type=int, default=60, help="of the trainings of `workers`")
    asked = parser.parse_args(options)
    parts: dict[str, Callable[[Path], bool]] = {
        "overhead": _overhead,
        "planning": lambda root: _planning(root, [int(n) for n in asked.trials.split(",")]),
        "workers": lambda root: _workers(root, asked.rounds, asked.epochs),
    }
    quiet_environment()
    good = True
    for name in asked.parts.split(","):
        with tempfile.TemporaryDirectory() as root:
            good &= parts[name](Path(root))
    return int(not good)


def _shown(what: str, value: str, target: str, good: bool) -> bool:
    print(f"{what:64}{value:>10}   target {target}{'' if good else '   MISSED'}")
    return good


# --- overhead ------------------------------------------------------------------------------------


def _overhead(root: Path) -> bool:
    precision = Precision.of({**resolve_here(), "precision": "bfloat16"})
    good = True
    crop = {"crop": {"frame_px": FRAME_PX}, "structures": ["structure"]}
    pairs = Tiny(root / "pairs", tiny_experiment(data=crop), slices=24)
    store = Store.open(pairs.store_folder)
    for name, settings in (("mask", DcganConfig()), ("image", Pix2pixConfig())):
        stage, batch = make_stage(settings, store, precision)
        # A GPU is still at work until the values arrive.
        step = _seconds(lambda: sum(v.item() for v in stage.step(batch).values()), 3)  # noqa: B023
        epoch = step * PER_EPOCH / settings.batch_size
        pieces = _pieces(stage, root / name, epoch)
        print(f"{name}: an epoch takes {epoch:.2f} s on {precision.device}, {precision.precision}")
        for piece, share in pieces.items():
            print(f"    {piece:20}{100 * share:8.3f} %")
        share = sum(pieces.values())
        what = f"{name}: share of the training time in all"
        good &= _shown(what, f"{100 * share:.2f} %", "2 %", share < 0.02)
    return good


def _pieces(stage: Any, root: Path, epoch: float) -> dict[str, float]:
    """What each piece takes, as a share of the training time."""
    folder = JobFolder(root / "jobs" / "job")
    state = {
        "networks": {n: m.state_dict() for n, m in stage.networks.items()},
        "optimisers": {n: o.state_dict() for n, o in stage.optimisers.items()},
    }
    save = _seconds(lambda: save_state(folder.state, state), 3)
    journal = Journal(folder.journal)
    steps = iter(range(1, 10_000))

    def log() -> None:
        values = {f"train/value_{n}": float(n) for n in range(10)}
        journal.log(next(steps), values)

    logging = _seconds(log, 20)
    picture = next(iter(stage.pictures().values())) if stage.pictures() else None
    drawing = _seconds(stage.pictures, 2)
    if picture is not None:
        drawing += _seconds(lambda: write_png(root / "grid.png", picture), 3)
    mlflow_sync = MlflowSync(root, "benchmark", None)
    view = RunView(("sweep", "seed"), "seed", parts=(JournalPart(folder.path),))

    def project() -> None:
        log()
        mark_covered(folder.path, journal.sync(), 9999)
        mlflow_sync.sync([view])

    project()
    every = SyncThread(mlflow_sync, lambda: [view]).every_s
    asking = _seconds(_asker(root), 3)
    return {
        "saved state": save / max(LEAST_SAVE_SECONDS, SAVE_RATIO * save),
        "journal": logging / epoch,
        "pictures": 8 * drawing / (EPOCHS * epoch),
        # A sync at most every so often, or every epoch where epochs are longer.
        "MLflow": _seconds(project, 10) / max(every, epoch),
        "Optuna": asking / (EPOCHS * epoch),
    }


def _asker(root: Path) -> Callable[[], None]:
    """Asks for a trial of the default mask space and tells it, in a study that has some."""
    settings = StageSweepConfig(
        space={
            "batch_size": AxisConfig(values=(6, 12, 16)),
            "optimiser.learning_rate": AxisConfig(low=1e-5, high=1e-3, log=True),
        },
        trials=1000,
    )
    study = Study(root / "mask.db", "mask", SweepConfig(trials_per_batch=1), settings, "base")

    def ask_and_tell() -> None:
        for trial in study.ask_wave():
            study.tell(trial.number, [float(trial.number % 7)], 0)

    for _ in range(20):
        ask_and_tell()
    return ask_and_tell


def _seconds(call: Callable[[], Any], rounds: int) -> float:
    """Median of some calls after one that is not counted."""
    call()
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return median(found)


# --- planning ------------------------------------------------------------------------------------

WAVE = 20
"""Trials of a wave. The last wave's jobs are timed."""
SPACE = {"optimiser.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True}}


class _Hands(Queue):
    """An executor that writes a stand-in's result at once.

    Attributes:
        spent: CPU seconds of the driver from a job's end to its next look: what it plans, submits
            and shows.
    """

    workers = 1

    def __init__(self, hands: FakeExecutor) -> None:
        super().__init__()
        self.spent: list[float] = []
        self._hands, self._since = hands, time.process_time()

    def wait(self, timeout: float) -> list[Event]:
        self.spent.append(time.process_time() - self._since)
        handle, request = self._queue.popleft()
        self._hands.finish(request)
        self._since = time.process_time()
        return [Event(handle, Outcome("done"))]

    def busy(self) -> set[int]:
        return set()

    def active(self) -> set[int]:
        return self.queued()

    def close(self) -> None:
        pass


def _planning(root: Path, counts: Sequence[int]) -> bool:
    """A sweep of 2 seeds and 3 scored epochs a trial, as its driver plans it after every job."""
    took = {}
    for count in sorted(counts):
        more = {"sampler": "random", "trials_per_batch": WAVE, "space": SPACE}
        before = Sweep(root / str(count), _score, trials=count, **more)
        planner = before.planner
        before.hands.drive(planner.plan)
        sweep = Sweep(root / str(count), _score, trials=count + WAVE, **more)
        spent = _driven(sweep)
        took[count] = median(spent[1:])
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{count:6} trials and {WAVE} more: {1000 * took[count]:8.1f} ms of the driver a job, "
            f"{1000 * spent[0]:8.1f} ms before the first, {memory:5.0f} MB in all",
            flush=True,
        )
    few, many = min(took), max(took)
    ratio = took[many] / took[few]
    return _shown(f"planning: {many} trials over {few}", f"{ratio:.1f}", "20", ratio <= 20)


def _score(config: Any, seed: int, epoch: int) -> dict[str, Any]:
    return {"quality/kid": config["optimiser"]["learning_rate"] + 1 / epoch + 0.01 * (seed % 10)}


def _driven(sweep: Sweep) -> list[float]:
    """CPU seconds of the driver by job, with what a command notes at each pass."""
    planner, executor = sweep.planner, _Hands(sweep.hands)
    noted = Planned(sweep.root / "experiments" / "s")
    forecast = Forecast(Work, {})

    def plan(graph: JobGraph) -> Any:
        found = planner.plan(graph)
        noted.add(graph.wanted(), forecast.foreseen())
        return found

    Driver(
        sweep.work, executor, Console(quiet=True), lambda: JobGraph(sweep.work), lambda: forecast
    ).drive(plan)
    return executor.spent


# --- workers --------------------------------------------------------------------------------------


def _experiment(root: Path, threads: int, epochs: int) -> Path:
    """A sweep of the mask stage over the rates, on phantoms."""
    space = {"optimiser.learning_rate": {"values": RATES}, "schedule.epochs": {"values": [epochs]}}
    plain = {
        "name": "benchmark",
        "data": {
            "source": "phantom",
            "phantom": {"patients": 8, "slices": 16},
            "roles": {"validation": 0.25, "test": 0.13},
            "spacing_mm": 2.0,
        },
        "mask": {"width": 16, "batch_size": 12},
        "metrics": {"images": 20, "scored_epochs": 1},
        "compute": {"device": "cpu", "threads": threads},
        "sweep": {
            "seeds": 1,
            "sampler": "grid",
            "trials_per_batch": len(RATES),
            "mask": {"trials": len(RATES), "space": space},
            "image": None,
            "segmentation": None,
        },
        "tracking": {"sample_grids": 2},
    }
    file = root / f"benchmark-{threads}.yaml"
    file.write_text(yaml.safe_dump(plain))
    return file


def _workers(root: Path, rounds: int, epochs: int) -> bool:
    kinds = {"1 x 1": (1, 1), "2 x 1": (2, 1), "1 x 2": (1, 2)}
    ratios: dict[str, list[float]] = {"1 x 1": [], "1 x 2": []}
    print("workers x threads, trials an hour:")
    for number in range(rounds):
        rates = {}
        for name, (workers, threads) in kinds.items():
            folder = root / f"{number}-{workers}-{threads}"
            rates[name] = len(RATES) / _sweep_hours(root, folder, workers, threads, epochs)
        print("   ", ", ".join(f"{n}: {rate:.0f}" for n, rate in rates.items()), flush=True)
        for name, values in ratios.items():
            values.append(rates["2 x 1"] / rates[name])
    one, wide = (median(values) for values in ratios.values())
    good = _shown("workers: two of one thread over one of one", f"{one:.2f}", "1.7", one >= 1.7)
    what = "workers: two of one thread over one of two"
    return _shown(what, f"{wide:.2f}", "1.0", wide >= 1) and good


def _sweep_hours(root: Path, folder: Path, workers: int, threads: int, epochs: int) -> float:
    """Hours from the start of the first training to the last score."""
    file = _experiment(root, threads, epochs)
    command = [sys.executable, "-m", "harness", "sweep", str(file), "--workdir", str(folder), "-q"]
    subprocess.run([*command, "--workers", str(workers)], check=True, capture_output=True)
    begun = [path.stat().st_mtime for path in folder.glob("jobs/mask-stage/*/spec.json")]
    ended = [path.stat().st_mtime for path in folder.glob("jobs/mask-score/*/result.json")]
    assert len(begun) == len(RATES), "every trial is trained by itself"
    return (max(ended) - min(begun)) / 3600
