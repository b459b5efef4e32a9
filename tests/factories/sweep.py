"""A sweep of a stand-in for the workers, planned over real job folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.config.experiment import Experiment
from harness.jobs.folder import JobFolder, WorkFolder
from harness.jobs.graph import JobGraph
from harness.sweep.plan import SweepPlan
from harness.sweep.planner import StageSweep
from harness.sweep.study import Study
from harness.work.specs import Specs

from .fake_executor import FakeExecutor, Scorer

EXTRACTOR = {"name": "efficientnet-lite0", "weights": "0f" * 12}
COMPUTE = {"device": "cpu", "precision": "float32", "threads": 1}
GRID = {"batch_size": {"values": [6, 12]}, "schedule.epochs": {"values": [4, 8]}}
LENGTHS = {
    "batch_size": {"values": [6, 12]},
    "optimiser.learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
    "schedule.epochs": {"values": [4, 8, 16]},
}
SIZES = {"batch_size": {"values": [2, 4, 6, 8, 10, 12, 14, 16]}}


def kid(config: Mapping[str, Any], seed: int, epoch: int) -> dict[str, Any]:
    """Falls with the epochs; least at batch 12; the second seed is a little worse."""
    return {"quality/kid": abs(config["batch_size"] - 12) + 1 / epoch + 0.01 * (seed % 10)}


class Sweep:
    """A work folder with a stand-in for the workers; the planner is made anew at each use."""

    def __init__(self, root: Path, score: Scorer = kid, stage: str = "mask", **sweep: Any) -> None:
        space = sweep.pop("space", GRID)
        axes: dict[str, Any] = {"space": space, "trials": sweep.pop("trials", 4)}
        for name in ("objective", "direction", "further_objectives"):
            if name in sweep:
                axes[name] = sweep.pop(name)
        sections = {"seeds": 2, "sampler": "grid", "trials_per_batch": 2, **sweep, stage: axes}
        self.stage = stage
        self.experiment = Experiment.model_validate(
            {"name": "s", "sweep": sections, "metrics": {"scored_epochs": 3}}
        )
        self.root = root
        self.work = WorkFolder(root)
        self.specs = Specs(self.experiment, COMPUTE, EXTRACTOR)
        self.store = self.specs.prepare({"a" * 24: "train"})
        self.hands = FakeExecutor(self.work, score)
        self.finish_store()

    def finish_store(self) -> None:
        folder = self.work.job(self.store)
        folder.open(self.store)
        folder.finish([], {}, {}, {"seconds": 0.0}, {})

    @property
    def planner(self) -> StageSweep:
        settings = getattr(self.experiment.sweep, self.stage)
        path = self.root / "studies" / f"{self.stage}.db"
        study = Study(path, self.stage, self.experiment.sweep, settings, "base")
        return StageSweep(self.stage, self.specs, self.store, study)

    def run(self, passes: int = 10_000) -> SweepPlan:
        return self.hands.drive(lambda graph: self.planner.plan(graph), passes)

    def look(self) -> SweepPlan:
        return self.planner.look(JobGraph(self.work))

    def trained(self) -> dict[str, set[int]]:
        """Readouts by the lineage's digest."""
        found: dict[str, set[int]] = {}
        for kind, digest, epoch in self.hands.done:
            if kind == f"{self.stage}-stage" and epoch is not None:
                found.setdefault(digest, set()).add(epoch)
        return found

    def scored(self) -> dict[str, set[int]]:
        """Scored epochs by the lineage's digest."""
        found: dict[str, set[int]] = {}
        for path in (self.work.jobs / f"{self.stage}-score").iterdir():
            training = JobFolder(path).spec().inputs["training"]
            found.setdefault(training.digest, set()).add(training.epoch or 0)
        return found


Maker = Callable[..., Sweep]
