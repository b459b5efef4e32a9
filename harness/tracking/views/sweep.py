"""A stage's sweep as runs to show: sweep > trial > seed, each with a sentence about it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.figures.axes import value_words
from harness.jobs.folder import WorkFolder
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Input, Phases, Spec
from harness.metrics.collapse.verdict import COLLAPSED
from harness.report.results import sample_grids, seed_value, trial_runs, values_of
from harness.sweep.plan import SeedRun, SweepPlan, TrialRun
from harness.sweep.planner import TOO_LARGE
from harness.tracking.leaderboards import score_tags
from harness.tracking.run_view import JournalPart, RunView
from harness.tracking.views import sweep_notes

# The chosen trial's weights travel with its run up to this size; larger ones only by name.
WEIGHTS_BYTES = 50_000_000
SETTINGS = "settings.yaml"
"""Name of the file with the best trial's settings among the files about a sweep."""


def sweep_views(plan: SweepPlan, graph: JobGraph, files: Path | None = None) -> list[RunView]:
    """The runs of one stage's sweep.

    Args:
        files: folder of the files about the sweep, which its run and that of the best trial carry.
    """
    top = (f"sweep-{plan.stage}", plan.study)
    figures = sorted(files.glob("*.png")) if files else []
    # Counts on the way would leave points that depend on when somebody looked.
    counts = _counts(plan) if plan.finished else {}
    best = {name: value for name, value in counts.items() if name == plan.objective}
    views = [
        RunView(
            top,
            f"sweep {plan.stage}",
            params={"objective": plan.objective, "direction": plan.direction},
            tags={"kind": "sweep", "stage": plan.stage, "study": plan.study, **score_tags(best)},
            summary=counts,
            summary_time=last_finished(seed.result for run in plan.trials for seed in run.seeds),
            note=sweep_notes.of_sweep(plan, bool(figures)),
            artifacts=tuple((path, "sweep") for path in figures),
            status="finished" if plan.finished else "running",
        )
    ]
    for run in plan.trials:
        views += _trial_views(plan, run, top, graph, files)
    return views


def _counts(plan: SweepPlan) -> dict[str, float]:
    """How many trials a finished sweep has, and its best trial's objective."""
    told = [run.trial for run in plan.trials if run.trial.value is not None]
    if not told:
        return {}
    counts = {
        "sweep/trials": float(len(told)),
        "sweep/failed_trials": float(sum(trial.failed_seeds > 0 for trial in told)),
    }
    if plan.best is not None and plan.best.value is not None:
        counts[plan.objective] = plan.best.value
    return counts


def _trial_views(
    plan: SweepPlan, run: TrialRun, top: tuple[str, ...], graph: JobGraph, files: Path | None
) -> list[RunView]:
    number = run.trial.number
    key = (*top, f"trial-{number:04d}")
    # By short names and in few digits; the exact ones are in the best trial's file.
    params = {p.rpartition(".")[2]: value_words(value) for p, value in run.trial.params.items()}
    told = run.trial.value is not None
    best = plan.finished and plan.best is not None and plan.best.number == number
    tags = {
        "kind": "trial",
        "stage": plan.stage,
        "study": plan.study,
        "failed_seeds": str(run.trial.failed_seeds),
        "chosen": str(best).lower(),
    }
    means = _means(run.seeds) if told else {}
    if told:
        tags["verdict"] = _verdicts(run.seeds)
        tags |= score_tags({plan.objective: means.get(plan.objective)})
    if run.trial.pruned:
        tags["pruned"] = f"{run.pruned_seeds} seeds left out"
    if run.trial.checkpoint_of is not None:
        tags["derived"] = f"read out of trial {run.trial.checkpoint_of}"
    views = [
        RunView(
            key,
            f"{plan.stage} trial {number:03d}" + (" (chosen)" if best else ""),
            top,
            params,
            tags | (_weight_tags(run.seeds) if best else {}),
            summary=means,
            summary_time=last_finished(seed.result for seed in run.seeds),
            note=sweep_notes.of_trial(plan, run, best),
            artifacts=_belongings(run, graph, files) if best else (),
            status="finished" if told else "running",
        )
    ]
    for seed in run.seeds:
        parts = training_parts(seed.phases, graph)
        parts += [finished_part(graph.work, spec) for spec in seed.scores.values()]
        tags = {"kind": "seed", "stage": plan.stage, "job": seed.training.digest}
        views.append(
            RunView(
                (*key, f"seed-{seed.seed}"),
                f"{plan.stage} trial {number:03d} seed {seed.seed}",
                key,
                {**params, "seed": str(seed.seed)},
                tags | _verdict_tags(seed) | _score_tags(seed, plan.objective),
                tuple(parts),
                note=sweep_notes.of_seed(plan, run, seed),
                status="failed" if seed.too_large else "finished" if seed.result else "running",
            )
        )
    return views


def _belongings(run: TrialRun, graph: JobGraph, files: Path | None) -> tuple[tuple[Path, str], ...]:
    """What goes with the chosen trial: its settings, newest samples, small weights of seed 0."""
    belongings = [(files / SETTINGS, "settings")] if files else []
    for seed, training in zip(run.seeds, trial_runs(run), strict=True):
        grids = sample_grids(graph.work, training)
        belongings += [(path, f"samples/seed-{seed.seed}") for _, path in grids[-1:]]
    for seed in run.seeds[:1]:
        if (scored := _scored(seed)) is not None:
            weights = graph.work.job(scored).at(scored.epoch) / "weights.safetensors"
            if weights.exists() and weights.stat().st_size < WEIGHTS_BYTES:
                belongings.append((weights, f"weights/seed-{seed.seed}"))
    return tuple(belongings)


def _scored(seed: SeedRun) -> Input | None:
    """The checkpoint that the seed's last score is of."""
    return seed.scores[max(seed.scores)].inputs["training"] if seed.scores else None


def _weight_tags(seeds: Sequence[SeedRun]) -> dict[str, str]:
    """Which weights a trial stands for: kind and digest of the training, and the epoch."""
    tags = {}
    for seed in seeds:
        if (scored := _scored(seed)) is not None:
            tags[f"weights seed {seed.seed}"] = f"{scored.kind}/{scored.digest}"
            tags[f"weights seed {seed.seed} epoch"] = str(scored.epoch)
    return tags


def training_parts(training: Phases, graph: JobGraph) -> list[JournalPart]:
    """The journals of a training, one after the other."""
    first = JournalPart(graph.folder(training.steady).path, until=training.steady_epochs)
    if training.decay is None:
        return [first]
    decay = graph.folder(training.decay).path
    return [first, JournalPart(decay, until=training.epochs, after=training.steady_epochs)]


def finished_part(work: WorkFolder, spec: Spec) -> JournalPart:
    """The journal of a job that is read once it is finished."""
    folder = work.job(spec)
    return JournalPart(folder.path, whole=folder.result() is not None)


def _verdict_tags(seed: SeedRun) -> dict[str, str]:
    """The verdict on a seed's samples, where people can filter by it."""
    if seed.too_large:
        return {"verdict": TOO_LARGE, "because": seed.too_large}
    verdict = values_of(seed.result).get("collapse")
    return {"verdict": verdict["word"], "because": verdict["sentence"]} if verdict else {}


def _score_tags(seed: SeedRun, objective: str) -> dict[str, str]:
    return score_tags({objective: seed_value(seed, objective)}) if seed.result else {}


def _verdicts(seeds: Sequence[SeedRun]) -> str:
    """The seeds' verdicts in few words: one for all, or each with its count, worst first."""
    counts = Counter(_verdict_tags(seed).get("verdict", "no verdict") for seed in seeds)
    if len(counts) == 1:
        return next(iter(counts))
    ordered = [verdict for verdict in COLLAPSED if verdict in counts]
    ordered += sorted(verdict for verdict in counts if verdict not in COLLAPSED)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in ordered)


def _means(seeds: Sequence[SeedRun]) -> dict[str, float]:
    """Means over seeds of the scores at the trial's last epoch; none where a seed has no score."""
    if any(seed.too_large for seed in seeds):
        return {}
    values: dict[str, list[float]] = {}
    for seed in seeds:
        for name, value in values_of(seed.result).items():
            if name.startswith("quality/"):
                values.setdefault(name, []).append(math.nan if value is None else float(value))
    return {name: sum(numbers) / len(numbers) for name, numbers in values.items()}


def last_finished(results: Iterable[Mapping[str, Any] | None]) -> int:
    """When the last of them was finished, milliseconds since 1970."""
    return max((int(result["finished"] * 1000) for result in results if result), default=0)
