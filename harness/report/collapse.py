"""Did generators collapse? The verdict on every seed of the sweeps, with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.base.text import counted, short
from harness.figures.collapse import SeedCurve, Share, collapse_shares, how_early
from harness.metrics.collapse.verdict import SEVERE
from harness.report.data import ReportData
from harness.report.grids import last_samples
from harness.report.picture_budget import Picture, PictureBudget
from harness.report.results import Run, sweep_of, values_of
from harness.sweep.plan import SeedRun, SweepPlan
from harness.sweep.verdicts import SeedVerdict, Verdicts

MEANINGS = {
    "convergence failure": "hardly a sample looks real, or the training's losses say that it fails",
    "mode collapse": "the samples are far more alike than images of real patients: by a sign of "
    f"diversity, at most {100 * SEVERE:.0f} % of real",
    "partial collapse": "the samples are less varied than images of real patients, beyond chance "
    "(p < 0.01)",
    "healthy": "no less varied than as many images of other real patients; whether they look good "
    "is told by KID and by the pictures",
    "undecided": "too few samples or patients to tell",
}
# All pictures of a stage's seeds together, and the most for one.
PICTURES_BYTES = 170_000
PICTURE_BYTES = 16_000


@dataclass(frozen=True)
class CollapseView:
    """One stage's verdicts on the page.

    Attributes:
        params: settings that the sweep varied; by_trial: their values by trial.
        words: the verdicts that there are, as in `MEANINGS`.
        groups: pictures of each trial's seeds, by title.
    """

    found: Verdicts
    params: tuple[str, ...]
    by_trial: Mapping[int, Mapping[str, Any]]
    words: tuple[str, ...]
    figures: list[Picture]
    groups: Mapping[str, list[Picture]]


def make_collapse(data: ReportData, budget: PictureBudget) -> list[CollapseView]:
    """The verdicts, a part per stage; none before a seed was judged."""
    return [
        CollapseView(
            found,
            params=tuple(dict.fromkeys(name for row in found.seeds for name in row.params)),
            by_trial={row.trial: row.params for row in found.seeds},
            words=tuple(word for word in MEANINGS if any(r.word == word for r in found.seeds)),
            figures=_figures(data, found, budget),
            groups=_groups(data, found, budget),
        )
        for found in data.verdicts
    ]


def collapse_summary(verdicts: Sequence[Verdicts]) -> dict[str, Any]:
    """Sentences and counts for machines, by stage."""
    return {
        found.stage: {
            "sentence": found.sentence,
            "caution": found.caution,
            "collapsed": sum(row.collapsed for row in found.seeds),
            "trainings": len(found.seeds),
            "counts": dict(Counter(row.word for row in found.seeds)),
            "settings_that_agree": list(found.agreeing),
        }
        for found in verdicts
    }


# --- figures ----------------------------------------------------------------------------------


def _figures(data: ReportData, found: Verdicts, budget: PictureBudget) -> list[Picture]:
    pictures = []
    curves = vendi_curves(data, found)
    if curves:
        caption = (
            "How early: Vendi score (effective number of different samples) relative to as many "
            f"images of other real patients, {counted(len(curves), 'training')}, a line each, "
            "coloured by the verdict at its last epoch. At 1 they are as varied as real; the "
            f"dashed line is the level ({SEVERE:g}) at which any one of the signs makes it a mode "
            "collapse."
        )
        figure = how_early(curves, SEVERE, "Vendi score / real")
        pictures.append(budget.figure(figure, f"How early, {found.stage} stage", caption))
    axis, shares = _shares(found)
    if shares:
        caption = (
            f"How often, by {axis}: trainings that collapsed, with the 95 % interval (Wilson). A "
            "training counts once, at its last epoch, under every value of the other axes."
        )
        figure = collapse_shares(shares, axis)
        pictures.append(budget.figure(figure, f"How often, {found.stage} stage", caption))
    return pictures


def vendi_curves(data: ReportData, found: Verdicts) -> list[SeedCurve]:
    """The Vendi score relative to real by scored epoch: one curve per training."""
    sweep = sweep_of(data, found.stage)
    if sweep is None:
        return []
    longest: dict[str, SeedVerdict] = {}
    for row in found.seeds:
        if row.job not in longest or longest[row.job].epochs < row.epochs:
            longest[row.job] = row
    seeds, curves = _seeds(sweep), []
    for row in longest.values():
        points = []
        for epoch, spec in sorted(seeds[row.trial, row.seed].scores.items()):
            verdict = values_of(data.work.job(spec).result()).get("collapse")
            for sign in verdict["signs"] if verdict else ():
                if sign["name"] == "vendi_score" and sign["ratio"] is not None:
                    points.append((epoch, float(sign["ratio"])))
        if points:
            epochs, ratios = zip(*points, strict=True)
            curves.append(SeedCurve(epochs, ratios, row.word))
    return curves


def _shares(found: Verdicts) -> tuple[str, list[Share]]:
    """Rates by batch size, else by the first axis; none where counts are no rates."""
    rates = [rate for rate in found.axes if rate.interval is not None and rate.of]
    names = [rate.axis for rate in rates]
    if not names:
        return "", []
    axis = "batch_size" if "batch_size" in names else names[0]
    shares = [
        Share(short(rate.value), rate.collapsed, rate.of, rate.interval)
        for rate in rates
        if rate.axis == axis and rate.interval is not None
    ]
    return axis.rpartition(".")[2].replace("_", " "), shares


# --- pictures ---------------------------------------------------------------------------------


def _groups(data: ReportData, found: Verdicts, budget: PictureBudget) -> dict[str, list[Picture]]:
    """Samples of every seed at its trial's last epoch."""
    most = min(PICTURE_BYTES, PICTURES_BYTES // len(found.seeds))
    groups: dict[str, list[Picture]] = {}
    sweep = sweep_of(data, found.stage)
    for row, run in seed_runs(sweep, found) if sweep else ():
        image = last_samples(data.work, data.experiment.data.crop, run)
        if image is None:
            continue
        caption = f"seed {row.seed}: {row.word}"
        alt = f"Samples, {found.stage} stage, trial {row.trial}, {caption}"
        group = groups.setdefault(f"Trial {row.trial}, epoch {row.epochs}", [])
        group.append(budget.image(image, alt, caption, most))
    return groups


def seed_runs(sweep: SweepPlan, found: Verdicts) -> list[tuple[SeedVerdict, Run]]:
    """Every judged seed with its training up to its trial's last epoch."""
    seeds = _seeds(sweep)
    pairs = []
    for row in found.seeds:
        training = seeds[row.trial, row.seed].training
        pairs.append((row, Run(f"trial {row.trial} seed {row.seed}", training, row.epochs)))
    return pairs


def _seeds(sweep: SweepPlan) -> dict[tuple[int, int], SeedRun]:
    """Seeds by trial and seed number."""
    return {(trial.trial.number, seed.seed): seed for trial in sweep.trials for seed in trial.seeds}
