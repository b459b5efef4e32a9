"""Plans as runs to show: comparison > arm, comparison > replicate > stage and segmenter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.base.text import counted
from harness.compare.protocol import ComparisonPlan
from harness.compare.replicate import Replicate
from harness.compare.tuning import ArmTuning, Candidate, TuningPlan
from harness.config.measures import DICE, MEASURES, Measure
from harness.figures.axes import value_words
from harness.inference.effect import Effect
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Spec
from harness.tracking.leaderboards import score_tags
from harness.tracking.run_view import JournalPart, RunView
from harness.tracking.views.sweep import finished_part, last_finished, training_parts

Result = Mapping[str, Any] | None
Tested = Mapping[tuple[str, int], Result]
COMPARISON = ("comparison",)
TEST_MEASURES = (*MEASURES, "volume_error_ml")
"""Of the columns of a test score's table, those that become metrics: a mean over patients each."""


def comparison_views(
    plan: ComparisonPlan,
    graph: JobGraph,
    effects: Sequence[Effect],
    report: Path | None,
    measured: Measure = DICE,
) -> list[RunView]:
    """The runs of a comparison: its arms, and its replicates with their stages and segmenters."""
    verdicts = [effect.word or "no verdict" for effect in effects if effect.primary]
    views = [
        RunView(
            COMPARISON,
            "comparison",
            params={"objective": f"test/{measured.name}", "direction": measured.direction},
            tags={"kind": "comparison"} | ({"verdict": verdicts[0]} if verdicts else {}),
            note="\n\n".join(effect.sentence for effect in effects),
            artifacts=((report, "report"),) if report else (),
            status="finished" if plan.finished else "running",
        )
    ]
    doses = [(plan.replicates, plan.tests, "")]
    doses += [(dose.replicates, dose.tests, f", {dose.level.name}") for dose in plan.levels]
    for replicates, tests, at in doses:
        tested = {key: graph.folder(spec).result() for key, spec in tests.items()}
        views += [
            _arm_view(plan, replicates, arm, graph, tested, at) for arm in replicates[0].segmenters
        ]
        for replicate in replicates:
            views += _replicate_views(plan, replicate, graph, tested, at)
    return views


def replicate_key(seed: int, at: str = "") -> tuple[str, ...]:
    """The key of a replicate's run."""
    return (*COMPARISON, f"replicate-{seed}{at}")


def _arm_view(
    plan: ComparisonPlan,
    replicates: Sequence[Replicate],
    arm: str,
    graph: JobGraph,
    tested: Tested,
    at: str,
) -> RunView:
    """An arm's means over replicates, which are there once every replicate has its own."""
    specs = [replicate.segmenters[arm] for replicate in replicates]
    trained = [graph.folder(r.segmenters[arm]).result(r.epochs[arm]) for r in replicates]
    tests = [tested.get((arm, replicate.seed)) for replicate in replicates]
    validation = [{"validation/dice": r["values"]["validation_dice"]} for r in trained if r]
    summary = _means(validation) if len(validation) == len(specs) else {}
    summary = _means([_test_scores(test) for test in tests]) | summary
    scores = score_tags(summary)
    return RunView(
        (*COMPARISON, f"arm {arm}{at}"),
        f"arm {arm}{at}",
        COMPARISON,
        _filling(specs[0].config),
        {"kind": "arm", "arm": arm, **scores},
        summary=summary,
        summary_time=last_finished([*trained, *tests]),
        note=f"Means over {counted(len(replicates), 'replicate')}"
        + (f": {', '.join(map(' '.join, scores.items()))}." if scores else "."),
        status="finished" if plan.finished else "running",
    )


def _test_scores(test: Result) -> dict[str, float]:
    """Means of a test job over its patients; none before the test is opened and scored."""
    if test is None:
        return {}
    measures = test["values"]["measures"]
    return {f"test/{name}": _mean(measures[name].values()) for name in TEST_MEASURES}


def _means(scores: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """Mean of each score; none where one of them has no scores."""
    return {n: _mean(s[n] for s in scores) for n in scores[0]} if all(scores) else {}


def _mean(values: Iterable[float | None]) -> float:
    """NaN where one of them is missing."""
    return float(np.mean([math.nan if value is None else value for value in values]))


def tuning_views(plan: TuningPlan, graph: JobGraph) -> list[RunView]:
    """The runs of the arms' choice of their settings: candidate > seed."""
    top, objective = ("sweep-segmentation",), f"validation/{plan.measured.name}"
    views = [
        RunView(
            top,
            "sweep segmentation",
            params={"objective": objective, "direction": plan.measured.direction},
            tags={"kind": "sweep", "stage": "segmentation"},
            status="finished" if plan.finished else "running",
        )
    ]
    for arm in plan.arms.values():
        for candidate in arm.candidates:
            views += _candidate_views(arm, candidate, top, graph, objective)
    return views


def _candidate_views(
    arm: ArmTuning, candidate: Candidate, top: tuple[str, ...], graph: JobGraph, objective: str
) -> list[RunView]:
    """A candidate at the longest training that it reached: candidate > seed."""
    name = f"{arm.arm}, setting {candidate.number + 1}"
    key, rung = (*top, name), candidate.rungs[-1]
    params = {path: str(value) for path, value in candidate.params.items()} | {"arm": arm.arm}
    runs = [(r.seed, r.segmenters[arm.arm], r.epochs[arm.arm]) for r in rung.replicates]
    results = [graph.folder(spec).result(epochs) for _, spec, epochs in runs]
    chosen = candidate is arm.chosen
    summary = {} if rung.mean is None else {objective: rung.mean}
    views = [
        RunView(
            key,
            name + (" (chosen)" if chosen else ""),
            top,
            params,
            {"kind": "trial", "stage": "segmentation", "chosen": str(chosen).lower()}
            | score_tags(summary),
            summary=summary,
            summary_time=last_finished(results),
            status="running" if rung.mean is None else "finished",
        )
    ]
    for (seed, spec, _), result in zip(runs, results, strict=True):
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
    plan: ComparisonPlan, replicate: Replicate, graph: JobGraph, tested: Tested, at: str
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
        done = graph.folder(spec).result(replicate.epochs[arm]) is not None
        parts = (JournalPart(graph.folder(spec).path),)
        view = _part(key, f"segmenter {arm}", seed, "segmenter", parts, spec, done)
        test = tested.get((arm, seed))
        scores = _test_scores(test)
        tags = {**view.tags, **score_tags(scores)}
        views.append(replace(view, tags=tags, summary=scores, summary_time=last_finished([test])))
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
