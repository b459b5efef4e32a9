"""A sweep on the page: its trials as a table, what the objective depends on, scores by epoch."""

from __future__ import annotations

from dataclasses import dataclass

from harness.figures.curves import Curve, quality
from harness.figures.sweeps import TrialDot, history, objective_by_batch
from harness.report.data import ReportData
from harness.report.formats import SCORE_WORDS, axis_name, counted, score_name, short
from harness.report.ink import Ink, Picture
from harness.report.readings import score_curve, values_of
from harness.sweep.epochs import Epochs, count_epochs
from harness.sweep.planner import LOST, SeedRun, SweepPlan, TrialRun

# Scores shown by epoch.
CURVES = {
    "mask": ("quality/kid", "quality/fid"),
    "image": ("quality/kid", "quality/fid", "quality/ssim"),
}


@dataclass(frozen=True)
class TrialLine:
    """One trial's row: settings, objective of each seed, and what became of it."""

    number: int
    params: tuple[str, ...]
    mean: float | None
    seeds: tuple[str, ...]
    failed: int
    status: str


@dataclass(frozen=True)
class Trials:
    """A sweep as a table."""

    objective: str
    params: tuple[str, ...]
    seeds: tuple[int, ...]
    lines: list[TrialLine]
    summary: str


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
    )


def ranked(sweep: SweepPlan) -> list[TrialRun]:
    """Best first; then failed trials, then those under way, by number."""
    sign = 1.0 if sweep.direction == "minimize" else -1.0

    def key(trial: TrialRun) -> tuple[int, float, int]:
        if trial.trial.value is None:
            return 2, 0.0, trial.trial.number
        if is_failed(trial):
            return 1, 0.0, trial.trial.number
        return 0, sign * trial.trial.value, trial.trial.number

    return sorted(sweep.trials, key=key)


def scored_with(sweep: SweepPlan) -> tuple[str, int | None]:
    """Extractor and n of the sweep's results; ("", None) before the first."""
    for trial in sweep.trials:
        for seed in trial.seeds:
            values = values_of(seed.result)
            if values:
                return str(values.get("extractor", "")), values.get("n")
    return "", None


def make_trials(sweep: SweepPlan) -> Trials:
    params = tuple(dict.fromkeys(name for run in sweep.trials for name in run.trial.params))
    seeds = tuple(seed.seed for seed in sweep.trials[0].seeds)
    lines = [_trial_line(run, sweep, params) for run in ranked(sweep)]
    failed = sum(is_failed(run) for run in sweep.trials)
    under_way = sum(run.trial.value is None for run in sweep.trials)
    asked = [run for run in sweep.trials if run.trial.readout_of is None]
    summary = (
        f"{counted(len(asked), 'trial')}, {counted(len(seeds), 'seed')} each, scored on "
        f"validation patients; {failed} with a failed seed (never chosen)"
    )
    if under_way or not sweep.finished:
        summary += f"; {under_way} under way: `harness sweep` with this experiment goes on"
    return Trials(
        score_name(sweep.objective, *scored_with(sweep)),
        params,
        seeds,
        lines,
        f"{summary}. {epochs_words(count_epochs(sweep))}",
    )


def epochs_words(epochs: Epochs) -> str:
    """What sharing saved, in a sentence."""
    said = f"{counted(epochs.trained, 'epoch')} of training"
    if epochs.trained < epochs.alone:
        why = [f"{counted(epochs.continued, 'training')} of {epochs.trainings} shared a beginning"]
        if epochs.stopped:
            why.append(f"{epochs.stopped} ended early")
        said += f" instead of {epochs.alone} one by one ({100 * epochs.share:.1f} %): "
        said += " and ".join(why[not epochs.continued and len(why) > 1 :])
    if epochs.readouts:
        said += (
            f"; {counted(epochs.readouts, 'shorter trial')} read out on the way, worth "
            f"{counted(epochs.readout_epochs, 'epoch')}"
        )
    return f"{said}."


def _trial_line(run: TrialRun, sweep: SweepPlan, params: tuple[str, ...]) -> TrialLine:
    dot = trial_dot(run, sweep)
    values = tuple(_seed_words(seed, sweep) for seed in run.seeds)
    if run.trial.value is None:
        status = "under way"
    elif dot.failed:
        status = f"{counted(run.trial.failed_seeds, 'seed')} failed"
    else:
        of = run.trial.readout_of
        passed = "" if of is None else f"read out of trial {of}"
        status = ", ".join(part for part in ("chosen" * dot.chosen, passed) if part)
    settings = tuple(short(run.trial.params.get(name)) for name in params)
    mean = dot.mean if run.trial.value is not None else None
    return TrialLine(run.trial.number, settings, mean, values, run.trial.failed_seeds, status)


def _seed_words(seed: SeedRun, sweep: SweepPlan) -> str:
    if seed.result is None:
        return "…"
    text, lost = short(seed_value(seed, sweep.objective)), _lost_word(seed)
    return f"{text} ({lost})" if lost else text


def _lost_word(seed: SeedRun) -> str:
    """Why a seed's setting cannot be chosen: its verdict; empty where it can."""
    values = values_of(seed.result)
    word = values.get("collapse", {}).get("word", "")
    if word in LOST:
        return str(word)
    return "" if values.get("converged", True) else "failed to converge"


def sweep_figures(
    data: ReportData, sweep: SweepPlan | None, best: TrialRun | None, ink: Ink
) -> list[Picture]:
    if sweep is None or not sweep.trials:
        return []
    dots = [trial_dot(run, sweep) for run in sweep.trials if run.trial.value is not None]
    if not dots:
        return []
    label = axis_name(sweep.objective, *scored_with(sweep))
    seeds = counted(len(sweep.trials[0].seeds), "seed")
    pictures = [
        ink.figure(
            objective_by_batch(dots, label),
            f"Objective by batch size, {sweep.stage} stage",
            f"Each trial's mean over {seeds} (bar: its seeds) by batch size, on validation "
            f"patients. {_others(dots)}A red cross on the upper edge gave no number.",
        ),
        ink.figure(
            history(dots, sweep.direction, label),
            f"Optimisation history, {sweep.stage} stage",
            "The objective in the order of the trials.",
        ),
    ]
    return pictures + _quality_curves(data, sweep, best, ink)


def _others(dots: list[TrialDot]) -> str:
    """What else than the batch size differs between trials."""
    differing = [
        f"{name} ({sign})"
        for name, sign, values in (
            ("learning rate", "colour", {dot.learning_rate for dot in dots}),
            ("epochs", "marker", {dot.epochs for dot in dots}),
        )
        if len(values) > 1
    ]
    return f"Trials also differ in {' and '.join(differing)}. " if differing else ""


def _quality_curves(
    data: ReportData, sweep: SweepPlan, best: TrialRun | None, ink: Ink
) -> list[Picture]:
    pictures = []
    for name in CURVES.get(sweep.stage, ()):
        chosen: list[Curve] = []
        others: list[Curve] = []
        for run in sweep.trials:
            group = chosen if run is best else others
            found = [score_curve(data.work, seed.scores, name) for seed in run.seeds]
            group += [curve for curve in found if curve.steps]
        if chosen or others:
            label = axis_name(name, *scored_with(sweep))
            caption = f"{SCORE_WORDS[name][0]} on validation patients by epoch, a line per seed."
            alt = f"{SCORE_WORDS[name][0]} by epoch, {sweep.stage} stage"
            pictures.append(ink.figure(quality(chosen, others, label), alt, caption))
    return pictures
