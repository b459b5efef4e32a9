"""Plans as runs to show: comparison > arm, comparison > replicate > stage and segmenter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.base.text import counted
from harness.compare.protocol import ComparisonPlan
from harness.compare.replicate import Replicate
from harness.compare.tuning import Candidate, TuningPlan
from harness.figures.axes import value_words
from harness.inference.effect import Effect
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Spec
from harness.tracking.run_view import JournalPart, RunView
from harness.tracking.views.sweep import finished_part, training_parts

COMPARISON = ("comparison",)
TEST_MEASURES = ("dice", "hd95_mm", "surface_dice", "volume_error_ml")
"""Of the columns of a test score's table, those that become metrics: a mean over patients each."""


def comparison_views(
    plan: ComparisonPlan, graph: JobGraph, effects: Sequence[Effect], report: Path | None
) -> list[RunView]:
    """The runs of a comparison: its arms, and its replicates with their stages and segmenters."""
    views = [
        RunView(
            COMPARISON,
            "comparison",
            params={"objective": "test/dice", "direction": "maximize"},
            tags={"kind": "comparison"},
            note="\n\n".join(effect.sentence for effect in effects),
            artifacts=((report, "report"),) if report else (),
            status="finished" if plan.finished else "running",
        )
    ]
    doses = [(plan.replicates, plan.tests, "")]
    doses += [(dose.replicates, dose.tests, f", {dose.level.name}") for dose in plan.levels]
    for replicates, tests, at in doses:
        scores = {key: _scores(graph, spec) for key, spec in tests.items()}
        for arm in replicates[0].segmenters:
            views.append(_arm_view(plan, replicates, arm, graph, scores, at))
        for replicate in replicates:
            views += _replicate_views(plan, replicate, graph, scores, at)
    return views


def replicate_key(seed: int, at: str = "") -> tuple[str, ...]:
    """The key of a replicate's run."""
    return (*COMPARISON, f"replicate-{seed}{at}")


@dataclass(frozen=True)
class _Scores:
    """Values of a job as metrics of a run, and when they were made (ms)."""

    values: Mapping[str, float] = field(default_factory=dict)
    finished: int = 0


def _scores(graph: JobGraph, test: Spec) -> _Scores:
    """Means of a test job over its patients; none before the test is opened and scored."""
    result = graph.folder(test).result()
    if result is None:
        return _Scores()
    means = {
        f"test/{name}": _mean(result["values"]["measures"][name].values()) for name in TEST_MEASURES
    }
    return _Scores(means, int(result["finished"] * 1000))


def _mean(values: Iterable[float | None]) -> float:
    """NaN where one of them is missing."""
    return float(np.mean([math.nan if value is None else value for value in values]))


def _arm_view(
    plan: ComparisonPlan,
    replicates: Sequence[Replicate],
    arm: str,
    graph: JobGraph,
    scores: Mapping[tuple[str, int], _Scores],
    at: str,
) -> RunView:
    """An arm's means over replicates, which are there once every replicate has its own."""
    specs = [replicate.segmenters[arm] for replicate in replicates]
    trained = [graph.folder(spec).result(plan.segmenter_epochs) for spec in specs]
    tested = [scores.get((arm, replicate.seed), _Scores()) for replicate in replicates]
    summary = {}
    if all(entry.values for entry in tested):
        summary = {name: _mean(t.values[name] for t in tested) for name in tested[0].values}
    ready = [result for result in trained if result]
    if len(ready) == len(specs):
        dice = (result["values"]["validation_dice"] for result in ready)
        summary["validation/dice"] = _mean(dice)
    times = [int(result["finished"] * 1000) for result in ready]
    return RunView(
        (*COMPARISON, f"arm {arm}{at}"),
        f"arm {arm}{at}",
        COMPARISON,
        _filling(specs[0].config),
        {"kind": "arm", "arm": arm},
        summary=summary,
        summary_time=max([*times, *(entry.finished for entry in tested)], default=0),
        note=f"Means over {counted(len(replicates), 'replicate')}.",
        status="finished" if plan.finished else "running",
    )


def tuning_views(plan: TuningPlan, graph: JobGraph) -> list[RunView]:
    """The runs of the choice of augmentation magnitude and synthetic fraction: candidate > seed."""
    top = ("sweep-segmentation",)
    views = [
        RunView(
            top,
            "sweep segmentation",
            params={"objective": "validation/dice", "direction": "maximize"},
            tags={"kind": "sweep", "stage": "segmentation"},
            status="finished" if plan.finished else "running",
        )
    ]
    for axis, candidates in plan.candidates.items():
        for candidate in candidates:
            views += _candidate_views(plan, axis, candidate, top, graph)
    return views


def _candidate_views(
    plan: TuningPlan, axis: str, candidate: Candidate, top: tuple[str, ...], graph: JobGraph
) -> list[RunView]:
    key = (*top, f"{axis}-{candidate.value:g}")
    params = {axis: f"{candidate.value:g}", "arm": candidate.arm}
    name = f"{axis.replace('_', ' ')} {candidate.value:g}"
    results = [graph.folder(s).result(plan.segmenter_epochs) for _, s in candidate.segmenters()]
    told = candidate.mean is not None
    chosen = plan.chosen.get(axis) == candidate.value
    views = [
        RunView(
            key,
            name + (" (chosen)" if chosen else ""),
            top,
            params,
            {"kind": "trial", "stage": "segmentation", "chosen": str(chosen).lower()},
            summary={"validation/dice": candidate.mean or 0.0} if told else {},
            summary_time=max((int(r["finished"] * 1000) for r in results if r), default=0),
            status="finished" if told else "running",
        )
    ]
    for (seed, spec), result in zip(candidate.segmenters(), results, strict=True):
        views.append(
            RunView(
                (*key, f"seed-{seed}"),
                f"{name} seed {seed}",
                key,
                {**params, "seed": str(seed), **_settings(spec.config)},
                {"kind": "seed", "stage": "segmentation", "job": spec.digest},
                (JournalPart(graph.folder(spec).path),),
                status="finished" if result else "running",
            )
        )
    return views


def _replicate_views(
    plan: ComparisonPlan,
    replicate: Replicate,
    graph: JobGraph,
    scores: Mapping[tuple[str, int], _Scores],
    at: str,
) -> list[RunView]:
    """A replicate's runs; `at` names the dose where it is not the declared one."""
    seed, key = replicate.seed, replicate_key(replicate.seed, at)
    views = [
        RunView(
            key,
            f"replicate {seed}{at}",
            COMPARISON,
            {"seed": str(seed)},
            {"kind": "replicate"},
            status="finished" if plan.finished else "running",
        )
    ]
    for stage, training in replicate.stages.items():
        score = replicate.scores[stage]
        parts = *training_parts(training, graph), finished_part(graph.work, score)
        done = graph.folder(score).result() is not None
        views.append(_part(key, f"{stage} stage", seed, stage, parts, training.last, done))
    for arm, spec in replicate.segmenters.items():
        done = graph.folder(spec).result(plan.segmenter_epochs) is not None
        parts = (JournalPart(graph.folder(spec).path),)
        view = _part(key, f"segmenter {arm}", seed, "segmenter", parts, spec, done)
        tested = scores.get((arm, seed), _Scores())
        views.append(replace(view, summary=tested.values, summary_time=tested.finished))
    return views


def _part(
    key: tuple[str, ...],
    name: str,
    seed: int,
    stage: str,
    parts: tuple[JournalPart, ...],
    spec: Spec,
    done: bool,
) -> RunView:
    return RunView(
        (*key, name),
        f"{name}, replicate {seed}",
        key,
        {"seed": str(seed), **_settings(spec.config)},
        {"kind": "stage", "stage": stage, "job": spec.digest},
        parts,
        status="finished" if done else "running",
    )


def _settings(config: Mapping[str, Any]) -> dict[str, str]:
    """The few settings that people compare runs by."""
    settings = {"batch_size": config.get("batch_size"), "width": config.get("width")}
    if "optimiser" in config:
        settings["learning_rate"] = config["optimiser"]["learning_rate"]
    return {name: value_words(value) for name, value in settings.items() if value is not None} | (
        _filling(config) if "fill" in config else {}
    )


def _filling(config: Mapping[str, Any]) -> dict[str, str]:
    """What an arm's batches hold."""
    fill = config["fill"]
    return {"extra_pairs": str(fill["extra"]), "augmented": str(fill["augment"])}
