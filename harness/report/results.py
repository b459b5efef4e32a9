"""What the page reads from job folders: curves, scores, sample grids, convergence."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.compare.protocol import ComparisonPlan
from harness.compare.replicate import Replicate
from harness.figures.curves import Curve
from harness.figures.trials import TrialDot
from harness.inference.cohorts import ONE_COHORT, Cohorts
from harness.inference.table import Cell, Table
from harness.jobs.folder import WorkFolder, epoch_of
from harness.jobs.journal import series
from harness.jobs.spec import Spec
from harness.metrics.segmentation.calibration import CALIBRATION
from harness.metrics.segmentation.structure_scores import MEASURES
from harness.report.data import ReportData
from harness.sweep.plan import SeedRun, SweepPlan, TrialRun


@dataclass(frozen=True)
class Run:
    """One training up to an epoch, under the name that the page gives it."""

    name: str
    training: Spec
    epochs: int


@dataclass(frozen=True)
class Extractor:
    """Which features a score was computed from."""

    name: str
    weights: str
    n: int


def curves(work: WorkFolder, runs: Iterable[Run], name: str, scale: float = 1.0) -> list[Curve]:
    """Values of several trainings' journals by epoch times `scale`; those without any left out."""
    found = []
    for run in runs:
        steps, values = series(work.job(run.training).journal, name, until=run.epochs)
        if steps:
            found.append(Curve([step * scale for step in steps], values))
    return found


def checkpoint(work: WorkFolder, run: Run) -> dict[str, Any]:
    """Values of the training's checkpoint at its last epoch; {} before it exists."""
    return values_of(work.job(run.training).result(run.epochs))


def values_of(result: Mapping[str, Any] | None) -> dict[str, Any]:
    """A result's values; {} where there is no result."""
    return dict(result["values"]) if result else {}


def mixed_versions(work: WorkFolder, plan: ComparisonPlan) -> str:
    """Which arms were trained or scored under which versions; empty where all were under the same
    of everything that numbers depend on."""
    arms: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for replicate in plan.replicates:
        for arm, spec in replicate.segmenters.items():
            test = plan.tests.get((arm, replicate.seed))
            trained = work.job(spec).result(replicate.epochs[arm])
            for result in (trained, work.job(test).result() if test else None):
                for name, version in (result["versions"] if result else {}).items():
                    arms[name][version][arm] += 1
    several = [
        f"{name} "
        + " and ".join(
            f"{version} ({', '.join(f'{arm}: {n}' for arm, n in sorted(by.items()))})"
            for version, by in sorted(found.items())
        )
        for name, found in sorted(arms.items())
        if len(found) > 1
    ]
    if not several:
        return ""
    return (
        "Trainings and test scores were not all made under the same versions: "
        f"{'; '.join(several)}. What a version changes can look like an effect of the arm; "
        "another --workdir makes all under one."
    )


def seed_value(seed: SeedRun, objective: str) -> float | None:
    """The objective of one seed; None while it is missing or where it is not a number."""
    value = values_of(seed.result).get(objective)
    return float(value) if isinstance(value, int | float) else None


def is_failed(trial: TrialRun) -> bool:
    """A told trial that cannot be chosen."""
    return trial.trial.failed_seeds > 0


def trial_dot(trial: TrialRun, sweep: SweepPlan) -> TrialDot:
    """A trial as a figure wants it."""
    return TrialDot(
        number=trial.trial.number,
        batch_size=trial.settings.batch_size,
        learning_rate=trial.settings.optimiser.learning_rate,
        epochs=trial.epochs,
        seed_values=[seed_value(seed, sweep.objective) for seed in trial.seeds],
        failed=is_failed(trial),
        chosen=sweep.best is not None and sweep.best.number == trial.trial.number,
        params=trial.trial.params,
        checkpoint_of=trial.trial.checkpoint_of,
        pruned=trial.trial.pruned,
    )


def scored_with(sweep: SweepPlan) -> tuple[str, int | None]:
    """Extractor and n of the sweep's results; ("", None) before the first."""
    found = (values_of(seed.result) for trial in sweep.trials for seed in trial.seeds)
    values = next(filter(None, found), {})
    return str(values.get("extractor", "")), values.get("n")


def trial_runs(trial: TrialRun) -> list[Run]:
    """A trial's seeds."""
    return [Run(f"seed {seed.seed}", seed.training, trial.epochs) for seed in trial.seeds]


def replicate_runs(replicates: Sequence[Replicate], stage: str) -> list[Run]:
    """The replicates' trainings of a stage ("mask" or "image")."""
    return [
        Run(f"replicate {replicate.seed}", training.last, training.epochs)
        for replicate in replicates
        if (training := replicate.stages.get(stage)) is not None
    ]


def converged(work: WorkFolder, replicate: Replicate) -> bool | None:
    """Whether both generators of a replicate converged; None if one has no result yet."""
    runs = replicate_runs([replicate], "mask") + replicate_runs([replicate], "image")
    found = [checkpoint(work, run).get("converged") for run in runs]
    return None if not found or None in found else all(found)


def chosen_trial(sweep: SweepPlan) -> TrialRun | None:
    """The best trial's runs."""
    best = sweep.best
    return next((run for run in sweep.trials if best and run.trial.number == best.number), None)


def sweep_of(data: ReportData, stage: str) -> SweepPlan | None:
    return next((sweep for sweep in data.sweeps if sweep.stage == stage), None)


def score_curve(work: WorkFolder, scores: Mapping[int, Spec], name: str) -> Curve:
    """A score by epoch, from the results of a training's score jobs."""
    steps, numbers = [], []
    for epoch, spec in sorted(scores.items()):
        value = values_of(work.job(spec).result()).get(name)
        if isinstance(value, int | float):
            steps.append(epoch)
            numbers.append(float(value))
    return Curve(steps, numbers)


def extractors(data: ReportData) -> list[Extractor]:
    """The different extractors and n of the finished score jobs behind the page, in order."""
    specs = [
        spec
        for sweep in data.sweeps
        for trial in sweep.trials
        for seed in trial.seeds
        for spec in seed.scores.values()
    ]
    if data.comparison is not None:
        specs += [
            spec for replicate in data.comparison.replicates for spec in replicate.scores.values()
        ]
    found = [values_of(data.work.job(spec).result()) for spec in specs]
    used = {
        Extractor(str(v.get("extractor", "")), str(v.get("weights", "")), int(v.get("n", 0)))
        for v in found
        if v
    }
    return sorted(used, key=lambda e: (e.name, e.weights, e.n))


def measured_tables(
    work: WorkFolder, tests: Mapping[tuple[str, int], Spec], cohorts: Cohorts = ONE_COHORT
) -> dict[str, dict[str, Table]]:
    """Tables by structure ("mean" of a patient's structures first) and measure or score of
    calibration.

    Args:
        tests: specs of test scores by arm and replicate; unfinished ones add no cells.
        cohorts: whose training patients the replicates have.
    """
    cells: dict[str, dict[str, list[Cell]]] = {"mean": {}}
    for (arm, seed), spec in tests.items():
        path = work.job(spec).output("scores.csv")
        if path is None:
            continue
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                for name in (*MEASURES, *CALIBRATION):
                    value = float(row[name]) if row.get(name) else np.nan
                    group = cells.setdefault(row["structure"], {}).setdefault(name, [])
                    group.append(Cell(row["patient"], seed, arm, value))
    return {
        structure: {name: Table(group, cohorts) for name, group in measures.items()}
        for structure, measures in cells.items()
    }


def patient_measures(
    work: WorkFolder, tests: Mapping[tuple[str, int], Spec], decided: str
) -> dict[str, Table]:
    """What was measured of each test patient beside the measure that is decided, by measure."""
    tables = measured_tables(work, tests)["mean"]
    return {name: table for name, table in tables.items() if name != decided}


def sample_grids(work: WorkFolder, run: Run) -> list[tuple[int, Path]]:
    """(epoch, file) of a training's sample grids up to its last epoch, ascending."""
    pictures = [(epoch_of(path), path) for path in work.job(run.training).pictures()]
    return sorted((int(epoch), path) for epoch, path in pictures if epoch <= run.epochs)


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of `count` places, evenly spaced, first and last among them."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, most)).round()})


def newest(data: ReportData) -> float:
    """When the newest result behind the page was finished (seconds since 1970), 0 without any."""
    results: list[Mapping[str, Any] | None] = []
    if data.comparison is not None:
        results += [data.work.job(spec).result() for spec in data.comparison.tests.values()]
        for replicate in data.comparison.replicates:
            results += [data.work.job(spec).result() for spec in replicate.scores.values()]
    for sweep in data.sweeps:
        results += [seed.result for trial in sweep.trials for seed in trial.seeds]
    return max((float(r.get("finished", 0)) for r in results if r), default=0.0)
