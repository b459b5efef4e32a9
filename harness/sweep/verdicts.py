"""The verdicts on a sweep's seeds: one row each, rates per setting, and the sentence over all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from harness.jobs.folder import WorkFolder
from harness.metrics.collapse.verdict import COLLAPSED
from harness.metrics.score import share_interval
from harness.sweep.plan import SeedRun, SweepPlan, TrialRun

CHOSEN_BY_OUTCOME = ("tpe", "gp")
"""Samplers whose later trials depend on how earlier ones ended."""


@dataclass(frozen=True)
class SeedVerdict:
    """One training's verdict, at the end of its trial and on the way.

    Attributes:
        word, sentence: as in `metrics.collapse`.
        onset: epoch since when the training's own journal shows it, else None.
        seen: first scored epoch since when the samples are judged as bad as at the end or worse,
            without a break; None for a healthy end.
        by_epoch: verdict by scored epoch.
        ratios: each sign relative to real images, at the end.
        p: of the samples at the end; None where they were not judged.
        precision: share of samples that look real at the end, relative to real images.
        job: digest of the training.
    """

    stage: str
    trial: int
    seed: int
    params: Mapping[str, Any]
    epochs: int
    word: str
    sentence: str
    onset: int | None
    seen: int | None
    by_epoch: Mapping[int, str]
    ratios: Mapping[str, float]
    p: float | None
    precision: float | None
    job: str

    @property
    def collapsed(self) -> bool:
        return self.word in COLLAPSED


@dataclass(frozen=True)
class Rate:
    """How often trainings under one setting collapsed.

    Attributes:
        axis, value: what they have in common, e.g. "batch_size", 64.
        words: trainings by verdict.
        collapsed, of: collapsed ones, and judged ones.
        interval: Wilson's 95 % interval of the share, or None where no rate may be given.
    """

    axis: str
    value: Any
    words: Mapping[str, int]
    collapsed: int
    of: int
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Verdicts:
    """All verdicts of one stage's sweep.

    Attributes:
        settings: a rate per trial; `axes`: a rate per value of each swept axis.
        agreeing: settings whose seeds all have one verdict, of those with two seeds or more.
        caution: why there are no rates; "" where there are.
        finished: when the last of them was made, milliseconds since 1970.
    """

    stage: str
    seeds: tuple[SeedVerdict, ...]
    settings: tuple[Rate, ...]
    axes: tuple[Rate, ...]
    agreeing: tuple[int, int]
    caution: str
    sentence: str
    finished: int


def sweep_verdicts(work: WorkFolder, plan: SweepPlan, sampler: str) -> Verdicts | None:
    """The verdicts on a sweep's scored seeds; None where there are none."""
    rows = tuple(
        row
        for trial, seed in plan.seeds()
        if (row := seed_verdict(work, plan.stage, trial, seed)) is not None
    )
    if not rows:
        return None
    caution = (
        f"The sampler '{sampler}' chose its trials by the outcome of earlier ones, so counts are "
        "not rates: use sweep.sampler grid or random for these."
    )
    caution = caution if sampler in CHOSEN_BY_OUTCOME else ""
    by_trial = _grouped(rows, lambda row: row.trial)
    settings = tuple(
        _rate("trial", number, group, not caution) for number, group in by_trial.items()
    )
    several = [group for group in by_trial.values() if len(group) > 1]
    agreeing = sum(len({row.word for row in group}) == 1 for group in several)
    return Verdicts(
        plan.stage,
        rows,
        settings,
        tuple(_axes(rows, not caution)),
        (agreeing, len(several)),
        caution,
        _sentence(plan.stage, rows, agreeing, len(several)),
        max((int(s.result["finished"] * 1000) for _, s in plan.seeds() if s.result), default=0),
    )


def seed_verdict(
    work: WorkFolder, stage: str, trial: TrialRun, seed: SeedRun
) -> SeedVerdict | None:
    """The verdict on one training; None before the end of its trial was scored."""
    verdicts = {}
    for epoch, spec in sorted(seed.scores.items()):
        result = work.job(spec).result()
        if result is not None:
            verdicts[epoch] = result["values"]["collapse"]
    last = verdicts.get(trial.epochs)
    if last is None:
        return None
    by_epoch = {epoch: str(entry["word"]) for epoch, entry in verdicts.items()}
    real = last["real_precision"]
    return SeedVerdict(
        stage=stage,
        trial=trial.trial.number,
        seed=seed.seed,
        params=dict(trial.trial.params),
        epochs=trial.epochs,
        word=last["word"],
        sentence=last["sentence"],
        onset=last["onset"],
        seen=_seen(by_epoch),
        by_epoch=by_epoch,
        ratios={sign["name"]: sign["ratio"] for sign in last["signs"]},
        p=last["p"],
        precision=last["precision"] / real if real else None,
        job=seed.training.digest,
    )


def _seen(by_epoch: Mapping[int, str]) -> int | None:
    """The first epoch of the unbroken row of collapsed verdicts that reaches the end."""
    back = sorted(by_epoch, reverse=True)
    return min(takewhile(lambda epoch: by_epoch[epoch] in COLLAPSED, back), default=None)


def _grouped(
    rows: Iterable[SeedVerdict], key: Callable[[SeedVerdict], Any]
) -> dict[Any, list[SeedVerdict]]:
    groups: dict[Any, list[SeedVerdict]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _axes(rows: Sequence[SeedVerdict], rates: bool) -> list[Rate]:
    """A rate per value of each axis. One training is read out at several epochs: under every axis
    but the epochs it counts once, at its longest."""
    longest: dict[str, SeedVerdict] = {}
    for row in rows:
        if row.job not in longest or longest[row.job].epochs < row.epochs:
            longest[row.job] = row
    per_value = []
    for axis in dict.fromkeys(name for row in rows for name in row.params):
        every = list(rows) if axis == "schedule.epochs" else list(longest.values())
        counted = [row for row in every if axis in row.params]  # it may not apply to all
        groups = _grouped(counted, lambda row: row.params[axis])  # noqa: B023 - used at once
        if 1 < len(groups) <= len(counted) / 2:  # a continuous axis has no value twice
            per_value += [_rate(axis, value, groups[value], rates) for value in sorted(groups)]
    return per_value


def _rate(axis: str, value: Any, rows: Sequence[SeedVerdict], rates: bool) -> Rate:
    words = dict(Counter(row.word for row in rows))
    judged = [row for row in rows if row.word != "undecided"]
    bad = sum(row.collapsed for row in judged)
    interval = share_interval(bad, len(judged)) if rates and judged else None
    return Rate(axis, value, words, bad, len(judged), interval)


def _sentence(stage: str, rows: Sequence[SeedVerdict], agreeing: int, several: int) -> str:
    verdicts = [*COLLAPSED, "healthy", "undecided"]
    counts = Counter(row.word for row in rows)
    bad = sum(counts[verdict] for verdict in COLLAPSED)
    parts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in verdicts if counts[verdict])
    sentence = f"{stage} stage: {bad} of {len(rows)} trainings collapsed ({parts})"
    if several:
        sentence += f"; all seeds agree in {agreeing} of {several} settings"
    return sentence + "."
