"""The two stages: what the sweep tried, what was chosen, how the trainings went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from harness.base.text import counted, short
from harness.config.experiment import network_of
from harness.figures.curves import losses
from harness.metrics.records import axis_name, measured_names
from harness.report.data import ReportData
from harness.report.grids import by_epoch, per_seed
from harness.report.image_tests import TestsView, make_tests
from harness.report.picture_budget import Picture, PictureBudget
from harness.report.results import (
    Run,
    checkpoint,
    chosen_trial,
    curves,
    replicate_runs,
    sweep_of,
    trial_runs,
    values_of,
)
from harness.report.sweeps import SearchView, Trials, make_search, make_trials, ranked
from harness.sweep.plan import SweepPlan

TITLES = {"mask": "Mask stage (noise to mask)", "image": "Image stage (mask to CT)"}


@dataclass(frozen=True)
class ScoreLine:
    """Scores of one replicate's generator at its last epoch."""

    name: str
    values: tuple[str, ...]
    verdict: str


@dataclass(frozen=True)
class StageView:
    """One stage on the page."""

    stage: str
    title: str
    trials: Trials | None
    search: SearchView = field(default_factory=SearchView)
    panels: list[Picture] = field(default_factory=list)
    epochs: list[Picture] = field(default_factory=list)
    epochs_words: str = ""
    failed: list[Picture] = field(default_factory=list)
    failed_words: str = ""
    finals: list[Picture] = field(default_factory=list)
    finals_words: str = ""
    score_names: tuple[str, ...] = ()
    scored_with: str = ""
    scores: list[ScoreLine] = field(default_factory=list)
    settings: str = ""
    searched: bool = True
    tests: TestsView = field(default_factory=TestsView)


def make_stage(data: ReportData, stage: str, budget: PictureBudget) -> StageView:
    """Everything about one stage; parts without data stay empty."""
    sweep = sweep_of(data, stage)
    best = chosen_trial(sweep) if sweep else None
    runs = replicate_runs(data.comparison.replicates, stage) if data.comparison else []
    trained = [run for run in runs if data.work.job(run.training).checkpoints()]
    shown = trained or (trial_runs(best) if best else [])
    search = make_search(data, sweep, best, budget)
    panels = search.panels + _losses(data, stage, shown, budget)
    names, lines, scored_with = _scores(data, stage)
    failed, failed_words = _failed(data, stage, sweep, budget)
    first = (trial_runs(best) if best else shown)[:1]
    chosen = (data.chosen or {}).get(stage)
    whose = [f"trial {best.trial.number} (chosen)"] if best else []
    return StageView(
        stage=stage,
        title=f"{TITLES[stage]}: {getattr(data.experiment, stage).network}",
        trials=make_trials(sweep) if sweep and sweep.trials else None,
        search=search,
        panels=panels,
        epochs_words=f"Samples by epoch: {', '.join([*whose, *(run.name for run in first)])}",
        epochs=[picture for run in first for picture in by_epoch(data, run, budget, 5)],
        failed=failed,
        failed_words=failed_words,
        finals=per_seed(data, shown, budget),
        finals_words="each replicate" if trained else "each seed of the chosen trial",
        score_names=names,
        scored_with=scored_with,
        scores=lines,
        settings=yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True) if chosen else "",
        searched=getattr(data.experiment.sweep, stage) is not None,
        tests=make_tests(data, sweep, budget),
    )


def _failed(
    data: ReportData, stage: str, sweep: SweepPlan | None, budget: PictureBudget
) -> tuple[list[Picture], str]:
    """Sample grids of the first seed that failed to converge, and the reason."""
    for trial in ranked(sweep) if sweep else ():
        for run in trial_runs(trial):
            values = checkpoint(data.work, run)
            if values.get("converged") is False:
                failure = values.get("failure") or {}
                reason = failure.get("reason", "no reason recorded")
                words = f"Trial {trial.trial.number}, {run.name}: {reason}"
                if failure.get("onset") is not None:
                    words += f" (from epoch {failure['onset']})"
                return by_epoch(data, run, budget, 3), words
    return [], ""


def _losses(data: ReportData, stage: str, runs: list[Run], budget: PictureBudget) -> list[Picture]:
    """A figure for each axis of the losses of the stage's network."""
    caption = f"Losses on training patients, {counted(len(runs), 'training')}: median (thick) and "
    pictures = []
    for axis, words in network_of(data.experiment, stage).losses.items():
        groups = {word: curves(data.work, runs, f"train/{name}") for name, word in words.items()}
        shown = {word: group for word, group in groups.items() if group}
        if shown:
            figure, alt = losses(shown, "epoch", axis), f"{axis} of the {stage} stage"
            pictures.append(budget.figure(figure, alt, f"{caption}each one (thin)."))
    return pictures


def _scores(data: ReportData, stage: str) -> tuple[tuple[str, ...], list[ScoreLine], str]:
    """Scores of the replicates' generators at their last epoch; what they were scored with."""
    if data.comparison is None:
        return (), [], ""
    found: list[tuple[str, dict[str, Any]]] = []
    for replicate in data.comparison.replicates:
        spec = replicate.scores.get(stage)
        values = values_of(data.work.job(spec).result()) if spec else {}
        if values:
            found.append((str(replicate.seed), values))
    if not found:
        return (), [], ""
    # What no image of this size has, such as MS-SSIM of small frames, has no column.
    there = [name for _, values in found for name, value in values.items() if value is not None]
    names = measured_names(there)
    titles = [axis_name(name) for name in names]
    lines = [
        ScoreLine(seed, tuple(short(values.get(name)) for name in names), _verdict(values))
        for seed, values in found
    ]
    first = found[0][1]
    extractor = first.get("extractor") or "an extractor that was not recorded"
    scored_with = f"n = {first.get('n')}; KID and FID in features of {extractor}"
    return tuple(titles), lines, scored_with


def _verdict(values: Mapping[str, Any]) -> str:
    """The verdict on a generator's samples in a sentence; empty where there is none."""
    if collapse := values.get("collapse"):
        return str(collapse["sentence"])
    return "" if values.get("converged", True) else "failed to converge"
