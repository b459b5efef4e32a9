"""What a sweep has taken so far: seconds of its jobs, bytes of their folders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.jobs.folder import JobFolder, WorkFolder
from harness.jobs.spec import Spec
from harness.sweep.plan import SweepPlan


@dataclass(frozen=True)
class Costs:
    """Attributes:
    trainings, scores: seconds that workers took for finished checkpoints and scores.
    cpu: seconds of processor cores in both.
    bytes: of the folders of all these jobs, pictures and states included.
    """

    trainings: float
    scores: float
    cpu: float
    bytes: int

    @property
    def hours(self) -> float:
        """Of devices: what workers were busy with."""
        return (self.trainings + self.scores) / 3600


def count_costs(plan: SweepPlan, work: WorkFolder, sizes: bool = True) -> Costs:
    """Count each job of a sweep once, however many trials share it.

    Args:
        sizes: measure the folders too, which takes a look at every file.
    """
    trainings = _once(work, (spec for _, seed in plan.seeds() for spec in seed.phases.jobs))
    scores = _once(work, (spec for _, seed in plan.seeds() for spec in seed.measured))
    spent = [[_cost(folder) for folder in folders] for folders in (trainings, scores)]
    return Costs(
        sum(seconds for seconds, _ in spent[0]),
        sum(seconds for seconds, _ in spent[1]),
        sum(cpu for part in spent for _, cpu in part),
        sum(folder.size() for folder in (*trainings, *scores)) if sizes else 0,
    )


def _once(work: WorkFolder, specs: Iterable[Spec]) -> list[JobFolder]:
    """The folder of each job."""
    return [work.job(spec) for spec in {spec.digest: spec for spec in specs}.values()]


def _cost(folder: JobFolder) -> tuple[float, float]:
    """Wall and processor seconds; of a training its furthest checkpoint's, which counts from its
    beginning."""
    results = [folder.result(epoch) for epoch in folder.checkpoints()] or [folder.result()]
    costs = [result["cost"] for result in results if result is not None]
    pairs = [(float(c["seconds"]), float(c.get("cpu_seconds", 0.0))) for c in costs]
    return max(pairs, default=(0.0, 0.0))
