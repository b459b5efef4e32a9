"""Which of an experiment's observations hold over the seeds of its sweeps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.base.text import counted, first_of, interval, settings_text, short, signed
from harness.config.observations import ObservationConfig, TrainingsConfig, same_value
from harness.jobs.folder import WorkFolder
from harness.metrics.collapse.verdict import COLLAPSED
from harness.metrics.records import title_of
from harness.metrics.score import SEEDS_FOR_INTERVAL, seeds_interval
from harness.sweep.plan import SeedRun, SweepPlan, TrialRun
from harness.sweep.verdicts import seed_verdict

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be told"
NO_VERDICT = "no verdict"
LISTED = 6
"""Trainings that are named of a verdict."""
MOST_DECIMALS = 6
WHOSE = {
    "validation": "unseen",
    "train": "seen in training",
    "synthetic": "made, cleaned",
    "raw": "made, as drawn",
}
"""Masks that Stage II is tested on, in words."""


@dataclass(frozen=True)
class Observation:
    """One claim, and what the sweep says of it.

    Attributes:
        word: "holds", "does not hold" or "cannot be told".
        evidence: the figures behind the word, in words.
        values: of each seed, of those that have one: what was expected below or above zero; empty
            of a verdict.
        interval_95: of their mean (Student's t over seeds); None below three seeds.
    """

    says: str
    word: str
    evidence: str
    values: tuple[float, ...] = ()
    interval_95: tuple[float, float] | None = None


def observe(
    work: WorkFolder, asked: Sequence[ObservationConfig], plans: Sequence[SweepPlan]
) -> list[Observation]:
    """Each observation under the sweeps as they stand; of a stage without one, none can be told."""
    by_stage = {plan.stage: plan for plan in plans}
    found = []
    for one in asked:
        plan = by_stage.get(one.stage)
        if plan is None or not plan.finished:
            why = f"the {one.stage} sweep has not {'begun' if plan is None else 'ended'}"
            found.append(Observation(one.says, OPEN, why))
        elif empty := [group for group in one.groups.values() if not _matching(plan, group)]:
            why = f"no trial of the sweep has {_words(empty[0])}"
            found.append(Observation(one.says, OPEN, why))
        elif one.score is None:
            found.append(_of_verdicts(one, plan, work))
        else:
            found.append(_of_scores(one, plan, work, one.score))
    return found


def claim_sentence(says: str, word: str) -> str:
    """A claim and its word, as two sentences."""
    return f"{says}{'' if says[-1] in '.?!' else '.'} {word.capitalize()}."


def claims_by_word(claims: Iterable[tuple[str, str]]) -> str:
    """Claims with their words, those of a word together."""
    groups: dict[str, list[str]] = {HOLDS: [], FAILS: [], OPEN: []}
    for says, word in claims:
        groups.setdefault(word, []).append(says.rstrip(".;"))
    return " ".join(f"{word.capitalize()}: {'; '.join(s)}." for word, s in groups.items() if s)


def observed_sentence(found: Sequence[Observation]) -> str:
    """How many hold, in a sentence; empty without any."""
    parts = [(sum(one.word == word for one in found), word) for word in (HOLDS, FAILS, OPEN)]
    plural = {HOLDS: "hold", FAILS: "do not hold", OPEN: OPEN}
    told = [f"{n} {word if n == 1 else plural[word]}" for n, word in parts if n]
    return f"Of {counted(len(found), 'observation')} {', '.join(told)}." if found else ""


def _of_scores(
    one: ObservationConfig, plan: SweepPlan, work: WorkFolder, score: str
) -> Observation:
    """A difference by seed, seeds being what varies: Student's t."""
    sides = {name: _by_seed(work, plan, group, score) for name, group in one.groups.items()}
    here, there = sides["of"], sides.get("than")
    differences = [
        value - (one.than_value or 0.0 if there is None else there[seed])
        for seed, value in here.items()
    ]
    values = tuple(filter(math.isfinite, differences))
    words = f"{title_of(score)}, {_words(one.of)}: {_listed(here)}"
    if one.than is not None and there is not None:
        words += f"; {_words(one.than)}: {_listed(there)}"
        if not _balanced(plan, one.of, one.than):
            words += "; the two were not tried with the same other settings"
            return Observation(one.says, OPEN, words, values)
    lost, ends = len(differences) - len(values), seeds_interval(values)
    if lost:
        words += f"; {counted(lost, 'seed')} without a value, and each must have one"
    elif ends is None:
        words += f"; {SEEDS_FOR_INTERVAL} seeds are needed"
    if lost or ends is None:
        return Observation(one.says, OPEN, words, values)
    # On the side that was expected all differences are below zero.
    low, high = (-ends[1], -ends[0]) if one.expects == "higher" else ends
    word = HOLDS if high < 0 else FAILS if low > 0 else OPEN
    mean, digits = float(np.mean(values)), _digits(ends)
    beside = "" if one.than_value is None else f" from {short(one.than_value)}"
    words += f"; difference{beside}: {signed(mean, digits)} ({interval(ends, digits)})"
    return Observation(one.says, word, words, values, ends)


def _balanced(plan: SweepPlan, one: TrainingsConfig, other: TrainingsConfig) -> bool:
    """Whether what the two groups do not name was tried alike in both."""
    named = {*one.params, *other.params}
    here, there = (
        {
            frozenset((k, v) for k, v in run.trial.params.items() if k not in named)
            for run in _matching(plan, group)
        }
        for group in (one, other)
    )
    return here == there


def _of_verdicts(one: ObservationConfig, plan: SweepPlan, work: WorkFolder) -> Observation:
    """The verdict of every training; one that is read out for several trials counts at its
    longest."""
    longest: dict[str, tuple[int, TrialRun, SeedRun]] = {}
    missing = 0
    for run in _matching(plan, one.of):
        missing += _seeds(plan) - len(run.seeds)
        for seed in run.seeds:
            epoch = _epoch(run, seed, one.of)
            before = longest.get(seed.training.digest)
            if before is None or before[0] < epoch:
                longest[seed.training.digest] = epoch, run, seed
    told: dict[str, list[str]] = {}
    for epoch, run, seed in longest.values():
        found = seed_verdict(work, plan.stage, run, seed)
        word = found.by_epoch.get(epoch, NO_VERDICT) if found is not None else NO_VERDICT
        whose = f"trial {run.trial.number} " * (len(longest) > _seeds(plan)) + f"seed {seed.seed}"
        if found is not None and found.seen is not None and epoch == found.epochs:
            whose += f" (samples since epoch {found.seen})"
        told.setdefault(word, []).append(whose)
    wanted = COLLAPSED if one.verdict == "collapsed" else (one.verdict,)
    hits = sum(len(told.get(str(word), ())) for word in wanted)
    words = [f"{word}: {first_of(whose, LISTED)}" for word, whose in sorted(told.items())]
    evidence = f"{_words(one.of)}: {one.verdict} in {hits} of {counted(len(longest), 'training')}"
    evidence += f" ({'; '.join(words)})"
    evidence += f"; {counted(missing, 'training')} left out" if missing else ""
    seeds = {seed.seed for _, _, seed in longest.values()}
    if len(seeds) < SEEDS_FOR_INTERVAL:
        evidence += f"; {SEEDS_FOR_INTERVAL} seeds are needed"
    unclear = missing or {*told} & {"undecided", NO_VERDICT} or len(seeds) < SEEDS_FOR_INTERVAL
    if unclear or 0 < hits < len(longest):
        return Observation(one.says, OPEN, evidence)
    return Observation(one.says, HOLDS if hits else FAILS, evidence)


def _by_seed(
    work: WorkFolder, plan: SweepPlan, group: TrainingsConfig, score: str
) -> dict[int, float]:
    """The mean over the group's trials by each seed of the sweep; NaN where a trial has no such
    score."""
    found: dict[int, list[float]] = {seed: [] for seed in range(_seeds(plan))}
    for run in _matching(plan, group):
        seeds = {seed.seed: seed for seed in run.seeds}
        for number, values in found.items():
            seed = seeds.get(number)
            values.append(_score(work, run, seed, group, score) if seed else math.nan)
    return {seed: float(np.mean(values)) for seed, values in found.items()}


def _score(
    work: WorkFolder, run: TrialRun, seed: SeedRun, group: TrainingsConfig, score: str
) -> float:
    epoch = _epoch(run, seed, group)
    if group.masks is None:
        values = _values(work, seed.scores.get(epoch))
    else:
        test = _values(work, seed.tests.get((epoch, group.test.words)))
        values = test.get("masks", {}).get(group.masks, {})
    value = values.get(score)
    return float(value) if isinstance(value, int | float) else math.nan


def _seeds(plan: SweepPlan) -> int:
    """How many seeds a trial has, those that were left out too."""
    return max((len(run.seeds) + run.pruned_seeds for run in plan.trials), default=0)


def _matching(plan: SweepPlan, group: TrainingsConfig) -> list[TrialRun]:
    return [
        run
        for run in plan.trials
        if all(
            path in run.trial.params and same_value(value, run.trial.params[path])
            for path, value in group.params.items()
        )
    ]


def _epoch(run: TrialRun, seed: SeedRun, group: TrainingsConfig) -> int:
    return group.epoch or seed.stopped_at or run.epochs


def _values(work: WorkFolder, spec: Any) -> Mapping[str, Any]:
    result = work.job(spec).result() if spec is not None else None
    return result["values"] if result else {}


def _words(group: TrainingsConfig) -> str:
    """Which trainings, in words."""
    parts = [settings_text(group.params)] if group.params else []
    parts += [f"epoch {group.epoch}"] if group.epoch is not None else []
    if group.masks is not None:
        parts.append(f"masks {WHOSE[group.masks]}")
        parts.append(f"tested {group.test.words}")
    return ", ".join(parts) or "all trials"


def _listed(values: Mapping[int, float]) -> str:
    return ", ".join(short(value if math.isfinite(value) else None) for value in values.values())


def _digits(ends: tuple[float, float]) -> int:
    """Decimals that show an interval to two figures, and on which side of zero its ends lie."""
    size = (ends[1] - ends[0]) / 2 or abs(ends[0]) or 1.0
    sides = [-math.floor(math.log10(abs(end))) for end in ends if end]
    return min(MOST_DECIMALS, max(0, 1 - math.floor(math.log10(size)), *sides))
