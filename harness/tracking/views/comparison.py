"""Plans as runs to show: comparison > replicate > stage and arm, and runs for verdicts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.compare.protocol import ComparisonPlan
from harness.compare.replicate import Replicate
from harness.compare.tuning import Candidate, TuningPlan
from harness.inference.effect import Effect
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Spec
from harness.metrics.collapse.verdict import COLLAPSED
from harness.sweep.verdicts import Verdicts
from harness.tracking.run_view import JournalPart, RunView
from harness.tracking.views.sweep import finished_part, training_parts


def collapse_view(found: Verdicts, files: Sequence[tuple[Path, str]] = ()) -> RunView:
    """A run of its own for the verdicts of one stage: counts, rates, files in their folders."""
    counts = Counter(row.word for row in found.seeds)
    words = (*COLLAPSED, "healthy", "undecided")  # all: a later run of the command may lower one
    summary = {f"collapse/{word.replace(' ', '_')}": float(counts[word]) for word in words}
    for rate in found.axes if not found.caution else ():
        if rate.of:
            name = f"collapse/share_{rate.axis.split('.')[-1]}_{rate.value}"
            summary[name] = rate.collapsed / rate.of
    return RunView(
        (f"collapse-{found.stage}",),
        f"collapse {found.stage}",
        tags={"kind": "collapse", "stage": found.stage},
        summary=summary,
        summary_time=found.finished,
        note=" ".join(part for part in (found.sentence, found.caution) if part),
        artifacts=tuple(files),
        status="finished",
    )


def audit_views(specs: Mapping[int, Spec], graph: JobGraph) -> list[RunView]:
    """A run per replicate for its audit: scores, verdicts, pictures of the closest pairs."""
    views = []
    for seed, spec in specs.items():
        result = graph.folder(spec).result()
        if result is None:
            continue
        values = result["values"]
        parts = [values[shows] for shows in ("mask", "ct") if shows in values]
        note = [part[of]["sentence"] for part in parts for of in ("collapse", "memorisation")]
        views.append(
            RunView(
                ("audit", f"replicate-{seed}"),
                f"audit of replicate {seed}",
                params={"seed": str(seed)},
                tags={"kind": "audit", "job": spec.digest},
                parts=(finished_part(graph.work, spec),),
                note="\n\n".join(note),
                status="finished",
            )
        )
    return views


def calibration_view(
    of: str, rows: Sequence[Mapping[str, Any]], finished: int, table: Path
) -> RunView:
    """A run for the detection and false-alarm rates of one verdict."""
    rates = {}
    for row in rows:
        name = re.sub(r"[^a-z0-9.]+", "_", f"{row['shows']} {row['planted']} n {row['n']}".lower())
        rates[f"calibration/{name}"] = row["detected"] / row["repeats"]
    return RunView(
        (f"calibration-{of}",),
        f"calibration {of}",
        tags={"kind": "calibration", "of": of},
        summary=rates,
        summary_time=finished,
        artifacts=((table, "calibration"),),
        status="finished",
    )


def comparison_views(
    plan: ComparisonPlan, graph: JobGraph, effects: Sequence[Effect], report: Path | None
) -> list[RunView]:
    """The runs of a comparison."""
    top = ("comparison",)
    note = "\n\n".join(effect.sentence for effect in effects)
    views = [
        RunView(
            top,
            "comparison",
            tags={"kind": "comparison"},
            note=note,
            artifacts=((report, "report"),) if report else (),
            status="finished" if plan.finished else "running",
        )
    ]
    for replicate in plan.replicates:
        views += _replicate_views(plan, replicate, top, graph, "")
    for found in plan.levels:
        for replicate in found.replicates:
            views += _replicate_views(plan, replicate, top, graph, f", {found.level.name}")
    return views


def tuning_views(plan: TuningPlan, graph: JobGraph) -> list[RunView]:
    """The runs of the choice of magnitude and share: candidate > seed."""
    top = ("sweep-segmentation",)
    views = [
        RunView(
            top,
            "sweep segmentation",
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
    name = f"{axis} {candidate.value:g}"
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
            summary={"segmentation/validation_dice": candidate.mean or 0.0} if told else {},
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
                {**params, "seed": str(seed), **_settings(spec)},
                {"kind": "seed", "stage": "segmentation", "job": spec.digest},
                (JournalPart(graph.folder(spec).path),),
                status="finished" if result else "running",
            )
        )
    return views


def _replicate_views(
    plan: ComparisonPlan, replicate: Replicate, top: tuple[str, ...], graph: JobGraph, at: str
) -> list[RunView]:
    """A replicate's runs; `at` names the dose where it is not the declared one."""
    key = (*top, f"replicate-{replicate.seed}{at}")
    views = [
        RunView(
            key,
            f"replicate {replicate.seed}{at}",
            top,
            {"seed": str(replicate.seed)},
            {"kind": "replicate"},
            status="finished" if plan.finished else "running",
        )
    ]
    for stage, training in replicate.stages.items():
        score = replicate.scores[stage]
        parts = *training_parts(training, graph), finished_part(graph.work, score)
        done = graph.folder(score).result() is not None
        views.append(
            _part(key, f"{stage} stage", replicate.seed, stage, parts, training.last, done)
        )
    for arm, spec in replicate.segmenters.items():
        done = graph.folder(spec).result(plan.segmenter_epochs) is not None
        part = JournalPart(graph.folder(spec).path)
        views.append(
            _part(key, f"segmenter {arm}", replicate.seed, "segmenter", (part,), spec, done)
        )
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
        {"seed": str(seed), **_settings(spec)},
        {"kind": "stage", "stage": stage, "job": spec.digest},
        parts,
        status="finished" if done else "running",
    )


def _settings(spec: Spec) -> dict[str, str]:
    """The few settings that people compare runs by."""
    config: dict[str, Any] = dict(spec.config)
    found = {"batch_size": config.get("batch_size"), "width": config.get("width")}
    if "optimiser" in config:
        found["learning_rate"] = config["optimiser"]["learning_rate"]
    if "fill" in config:
        found["extra slots"] = config["fill"]["extra"]
        found["augmented"] = config["fill"]["augment"]
    return {name: str(value) for name, value in found.items() if value is not None}
