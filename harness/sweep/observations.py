"""Which of an experiment's observations hold over the seeds of its sweeps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.base.text import counted, interval, settings_text, short, signed
from harness.config.observations import ObservationConfig, TrainingsConfig
from harness.jobs.folder import WorkFolder
from harness.metrics.collapse.verdict import COLLAPSED
from harness.metrics.records import title_of
from harness.metrics.score import SEEDS_FOR_INTERVAL, seeds_interval
from harness.sweep.plan import SeedRun, SweepPlan, TrialRun

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be told"
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
            found.append(Observation(one.says, OPEN, f"the {one.stage} sweep has not ended"))
        elif one.score is None:
            found.append(_of_verdicts(work, one, plan))
        else:
            found.append(_of_scores(work, one, plan))
    return found


def claim_sentence(says: str, word: str) -> str:
    """A claim and its word, as two sentences."""
    return f"{says.rstrip('.')}. {word.capitalize()}."


def observed_sentence(found: Sequence[Observation]) -> str:
    """How many hold, in a sentence; empty without any."""
    parts = [(sum(one.word == word for one in found), word) for word in (HOLDS, FAILS, OPEN)]
    plural = {HOLDS: "hold", FAILS: "do not hold", OPEN: OPEN}
    told = [f"{n} {word if n == 1 else plural[word]}" for n, word in parts if n]
    return f"Of {counted(len(found), 'observation')} {', '.join(told)}." if found else ""


def _of_scores(work: WorkFolder, one: ObservationConfig, plan: SweepPlan) -> Observation:
    """A difference by seed, seeds being what varies: Student's t."""
    assert one.score is not None
    here = _by_seed(work, plan, one.of, one.score)
    there = _by_seed(work, plan, one.than, one.score) if one.than is not None else {}
    beside = one.than_value
    seeds = [s for s in here if one.than is None or s in there]
    reference = {s: there[s] if one.than is not None else float(beside or 0) for s in seeds}
    values = tuple(
        here[s] - reference[s]
        for s in seeds
        if math.isfinite(here[s]) and math.isfinite(reference[s])
    )
    title = title_of(one.score)
    lost = _seeds(plan) - len(values)
    words = f"{title}, {_words(one.of)}: {_listed(here)}"
    if one.than is not None:
        words += f"; {_words(one.than)}: {_listed(there)}"
    if lost:
        words += f"; {counted(lost, 'seed')} without a value"
    ends = seeds_interval(values)
    if lost or ends is None:
        needed = "every seed must have one" if lost else f"{SEEDS_FOR_INTERVAL} seeds are needed"
        return Observation(one.says, OPEN, f"{words}; {needed}", values)
    # On the side that was expected all differences are below zero.
    low, high = ends if one.expects == "lower" else (-ends[1], -ends[0])
    word = HOLDS if high < 0 else FAILS if low > 0 else OPEN
    minus = "" if one.than is not None else f" minus {short(float(beside or 0))}"
    mean, digits = float(np.mean(values)), _digits(ends)
    words += f"; difference{minus} {signed(mean, digits)} ({interval(ends, digits)})"
    return Observation(one.says, word, words, values, ends)


def _of_verdicts(work: WorkFolder, one: ObservationConfig, plan: SweepPlan) -> Observation:
    """The verdict of every training, and since when."""
    longest: dict[str, tuple[int, TrialRun, SeedRun]] = {}
    for run in _matching(plan, one.of):
        for seed in run.seeds:  # one training may be read out for several trials
            epoch = _last(run, seed) if one.of.epoch is None else one.of.epoch
            before = longest.get(seed.training.digest)
            if before is None or before[0] < epoch:
                longest[seed.training.digest] = epoch, run, seed
    words, told = [], []
    for epoch, run, seed in longest.values():
        collapse = _values(work, seed.scores.get(epoch)).get("collapse", {"word": "no verdict"})
        since = collapse.get("onset")
        of = f"trial {run.trial.number}, " * (len(longest) > _seeds(plan))
        at = f" from epoch {since}" if since is not None else ""
        told.append(str(collapse["word"]))
        words.append(f"{of}seed {seed.seed} {told[-1]}{at}")
    wanted = COLLAPSED if one.verdict == "collapsed" else (one.verdict,)
    hits = sum(word in wanted for word in told)
    evidence = f"{_words(one.of)}: {one.verdict} in {hits} of {counted(len(told), 'training')}"
    evidence += f" ({'; '.join(words)})" if words else ""
    unclear = {*told} & {"undecided", "no verdict"}
    if unclear or len(told) < SEEDS_FOR_INTERVAL or 0 < hits < len(told):
        return Observation(one.says, OPEN, evidence)
    return Observation(one.says, HOLDS if hits else FAILS, evidence)


def _by_seed(
    work: WorkFolder, plan: SweepPlan, group: TrainingsConfig, score: str
) -> dict[int, float]:
    """The mean over the group's trials by seed; NaN where a trial has no such score."""
    found: dict[int, list[float]] = {seed: [] for seed in range(_seeds(plan))}
    for run in _matching(plan, group):
        seeds = {seed.seed: seed for seed in run.seeds}
        for number, values in found.items():
            seed = seeds.get(number)
            values.append(_score(work, run, seed, group, score) if seed else math.nan)
    return {seed: float(np.mean(values)) for seed, values in found.items() if values}


def _score(
    work: WorkFolder, run: TrialRun, seed: SeedRun, group: TrainingsConfig, score: str
) -> float:
    epoch = _last(run, seed) if group.epoch is None else group.epoch
    if group.masks is None:
        values = _values(work, seed.scores.get(epoch))
    else:
        test = _values(work, seed.tests.get((epoch, group.test.words)))
        values = test.get("masks", {}).get(group.masks, {})
    value = values.get(score)
    return float(value) if isinstance(value, int | float) else math.nan


def _seeds(plan: SweepPlan) -> int:
    return max((len(run.seeds) for run in plan.trials), default=0)


def _matching(plan: SweepPlan, group: TrainingsConfig) -> list[TrialRun]:
    wanted = group.params.items()
    return [run for run in plan.trials if all(run.trial.params.get(k) == v for k, v in wanted)]


def _last(run: TrialRun, seed: SeedRun) -> int:
    return seed.stopped_at or run.epochs


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
    """Decimals that show a difference and its interval to two figures."""
    size = (ends[1] - ends[0]) / 2 or abs(ends[0]) or 1.0
    return max(0, 1 - math.floor(math.log10(size)))
