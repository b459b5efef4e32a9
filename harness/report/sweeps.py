"""A sweep on the page: its trials as a table, what the objective depends on, scores by epoch."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.base.text import DASH, counted, short, typeset
from harness.figures.curves import Curve, quality
from harness.figures.search import objective_by_batch, swept_axis
from harness.figures.settings_grid import pixels
from harness.figures.trials import TrialDot
from harness.metrics.records import axis_name, curve_names, score_name, title_of
from harness.metrics.score import seeds_interval
from harness.report.data import ReportData
from harness.report.picture_budget import Picture, PictureBudget
from harness.report.results import (
    is_failed,
    score_curve,
    scored_with,
    seed_value,
    trial_dot,
    values_of,
)
from harness.report.search import beyond_words, draw_search, draw_settings, told_dots
from harness.sweep.epochs import Epochs, count_epochs
from harness.sweep.plan import SeedRun, SweepPlan, TrialRun
from harness.sweep.planner import LOST, TOO_LARGE
from harness.sweep.study import Trial

SETTINGS_BYTES = 130_000


@dataclass(frozen=True)
class TrialLine:
    """One trial's row: its mean, 95 % interval over seeds if there are three, the objective of each
    seed, and what became of it."""

    trial: Trial
    mean: float | None
    interval: str
    seeds: list[str]
    status: str


@dataclass(frozen=True)
class Trials:
    """A sweep as a table; `params` and `further` are the keys of what its trials have."""

    objective: str
    params: tuple[str, ...]
    seeds: int
    lines: list[TrialLine]
    summary: str
    further: tuple[str, ...]


def ranked(sweep: SweepPlan) -> list[TrialRun]:
    """Best first; then failed trials, then those under way, by number."""
    sign = 1.0 if sweep.direction == "minimize" else -1.0

    def key(trial: TrialRun) -> tuple[int, float, int]:
        if trial.trial.value is None:
            return 2, 0.0, trial.trial.number
        if is_failed(trial) or trial.trial.pruned:
            return 1, 0.0, trial.trial.number
        return 0, sign * trial.trial.value, trial.trial.number

    return sorted(sweep.trials, key=key)


def make_trials(sweep: SweepPlan) -> Trials:
    params = tuple(dict.fromkeys(name for run in sweep.trials for name in run.trial.params))
    seeds = max(len(run.seeds) for run in sweep.trials)
    lines = [_trial_line(run, sweep, seeds) for run in ranked(sweep)]
    failed = sum(is_failed(run) for run in sweep.trials)
    under_way = sum(run.trial.value is None for run in sweep.trials)
    asked = [run for run in sweep.trials if run.trial.checkpoint_of is None]
    summary = (
        f"{counted(len(asked), 'trial')}, {counted(seeds, 'seed')} each, scored on "
        f"validation patients; {failed} with a failed seed (never chosen)"
    )
    pruned = sum(run.trial.pruned for run in sweep.trials)
    summary += f"; {pruned} pruned before their last seed (never chosen)" if pruned else ""
    if under_way or not sweep.finished:
        summary += f"; {under_way} under way: `harness sweep` with this experiment goes on"
    return Trials(
        score_name(sweep.objective, *scored_with(sweep)),
        params,
        seeds,
        lines,
        f"{summary}. {epochs_words(count_epochs(sweep))}",
        further_names(sweep),
    )


def epochs_words(epochs: Epochs) -> str:
    """What sharing saved, in a sentence."""
    sentence = f"{counted(epochs.trained, 'epoch')} of training"
    if epochs.trained < epochs.alone:
        why = [f"{counted(epochs.continued, 'training')} of {epochs.trainings} shared a beginning"]
        if epochs.stopped:
            why.append(f"{epochs.stopped} ended early")
        sentence += f" instead of {epochs.alone} one by one ({100 * epochs.share:.1f} %): "
        sentence += " and ".join(why[not epochs.continued and len(why) > 1 :])
    if epochs.checkpoints:
        sentence += (
            f"; {counted(epochs.checkpoints, 'shorter trial')} taken from their checkpoints, worth "
            f"{counted(epochs.checkpoint_epochs, 'epoch')}"
        )
    return f"{sentence}."


def _trial_line(run: TrialRun, sweep: SweepPlan, seeds: int) -> TrialLine:
    dot = trial_dot(run, sweep)
    values = [_seed_words(seed, sweep) for seed in run.seeds]
    values += [DASH] * (seeds - len(values))
    if run.trial.value is None:
        status = "under way"
    elif dot.failed:
        status = f"{counted(run.trial.failed_seeds, 'seed')} failed"
        status += f": {run.too_large}" if run.too_large else ""
    elif dot.pruned:
        status = f"{counted(run.pruned_seeds, 'seed')} pruned"
    else:
        of = run.trial.checkpoint_of
        passed = "" if of is None else f"checkpoint of trial {of}"
        ahead = "on the Pareto front" * (run.trial.number in sweep.front)
        status = ", ".join(part for part in ("chosen" * dot.chosen, ahead, passed) if part)
    mean = dot.mean if run.trial.value is not None else None
    known = [v for v in dot.seed_values if v is not None]
    ends = seeds_interval(known) if len(known) == len(dot.seed_values) == seeds else None
    wide = f"{short(ends[0])} to {short(ends[1])}" if ends and mean is not None else ""
    return TrialLine(run.trial, mean, typeset(wide), values, status)


def further_names(sweep: SweepPlan) -> tuple[str, ...]:
    """The further objectives of the told trials."""
    return tuple(dict.fromkeys(name for run in sweep.trials for name in run.trial.further))


def _seed_words(seed: SeedRun, sweep: SweepPlan) -> str:
    if seed.result is None:
        return TOO_LARGE if seed.too_large else "…"
    text, lost = short(seed_value(seed, sweep.objective)), _lost_word(seed)
    return f"{text} ({lost})" if lost else text


def _lost_word(seed: SeedRun) -> str:
    """Why a seed's setting cannot be chosen: its verdict; empty where it can."""
    values = values_of(seed.result)
    word = values.get("collapse", {}).get("word", "")
    if word in LOST:
        return str(word)
    return "" if values.get("converged", True) else "failed to converge"


@dataclass(frozen=True)
class SearchView:
    """How a stage was searched, in pictures.

    Attributes:
        panels: half as wide as the page; `wide`: as wide as it.
        missing: why a figure is not there; empty where none is missing.
        settings: samples over two settings.
    """

    scatter: Picture | None = None
    panels: list[Picture] = field(default_factory=list)
    wide: list[Picture] = field(default_factory=list)
    missing: str = ""
    settings: Picture | None = None


def make_search(
    data: ReportData, sweep: SweepPlan | None, best: TrialRun | None, budget: PictureBudget
) -> SearchView:
    """The objective by what was swept, samples by setting, the search, scores by epoch."""
    dots = told_dots(sweep) if sweep else []
    if sweep is None or not dots:
        return SearchView()
    label = axis_name(sweep.objective, *scored_with(sweep))
    seeds = counted(len(sweep.trials[0].seeds), "seed")
    axis = swept_axis(dots)
    scatter = budget.figure(
        objective_by_batch(dots, label),
        f"Objective by {axis}, {sweep.stage} stage",
        f"Each trial's mean over {seeds} (bar: its seeds) by {axis}, on validation patients. "
        f"{_others(dots, axis)}".strip()
        + beyond_words(dots),
    )
    found = getattr(data.experiment.sweep, sweep.stage)
    space = found.space if found is not None else {}
    drawn = {drawing.stem: drawing for drawing in draw_search(sweep, space)}
    pictures = {
        stem: budget.figure(drawing.figure, drawing.alt, drawing.caption)
        for stem, drawing in drawn.items()
        if drawing.figure is not None
    }
    grid = draw_settings(data.work, data.experiment.data.crop, sweep, space)
    settings = None
    if grid is not None and grid.figure is not None:
        image = pixels(grid.figure)
        settings = budget.image(image, grid.alt, grid.caption, SETTINGS_BYTES)
    return SearchView(
        scatter,
        [pictures[stem] for stem in ("history", "importance", "front") if stem in pictures]
        + _quality_curves(data, sweep, best, budget),
        [pictures[stem] for stem in ("slices", "parallel") if stem in pictures],
        " ".join(drawing.caption for drawing in drawn.values() if drawing.figure is None),
        settings,
    )


def _others(dots: list[TrialDot], axis: str) -> str:
    """What else than the axis differs between trials."""
    differing = [
        f"{name} ({sign})"
        for name, sign, values in (
            ("learning rate", "colour", {dot.learning_rate for dot in dots}),
            ("epochs", "marker", {dot.epochs for dot in dots}),
        )
        if len(values) > 1 and name != axis
    ]
    return f"Trials also differ in {' and '.join(differing)}. " if differing else ""


def _quality_curves(
    data: ReportData, sweep: SweepPlan, best: TrialRun | None, budget: PictureBudget
) -> list[Picture]:
    pictures = []
    for name in curve_names():
        chosen: list[Curve] = []
        others: list[Curve] = []
        for run in sweep.trials:
            group = chosen if run is best else others
            found = [score_curve(data.work, seed.scores, name) for seed in run.seeds]
            group += [curve for curve in found if curve.steps]
        if chosen or others:
            label = axis_name(name, *scored_with(sweep))
            caption = f"{title_of(name)} on validation patients by epoch, a line per seed."
            alt = f"{title_of(name)} by epoch, {sweep.stage} stage"
            pictures.append(budget.figure(quality(chosen, others, label), alt, caption))
    return pictures
