"""From a table of Dice to effects with their verdicts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.inference.crossed_t import Inference, crossed_weighted_t, holm
from harness.inference.design import PlanFacts, plan_facts
from harness.inference.effect import Effect
from harness.inference.table import Table
from harness.inference.verdict import exchanged, sentence, verdict

EXTENDED = "the test had been opened before under another rule"


class Rule(Protocol):
    """A declared rule: `decision` of an experiment, or a `DecisionRule` about any arms."""

    @property
    def baseline(self) -> str: ...
    @property
    def candidate(self) -> str: ...
    @property
    def secondary(self) -> Sequence[tuple[str, str]]: ...
    @property
    def margin(self) -> float: ...


@dataclass(frozen=True)
class DecisionRule:
    """A rule about arms of any name.

    Attributes:
        baseline, candidate: of the primary comparison.
        margin: smallest difference that matters, above 0, in the unit of the cells.
        secondary: further pairs (baseline, candidate), Holm-adjusted.
    """

    baseline: str
    candidate: str
    margin: float
    secondary: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _About:
    """What holds for every comparison of a table."""

    margin: float
    extended: bool
    at_budget: bool
    measure: str
    lower_is_better: bool


def decide(
    table: Table,
    decision: Rule,
    extended: bool = False,
    at_budget: bool = False,
    measure: str = "Dice",
    lower_is_better: bool = False,
) -> list[Effect]:
    """The primary effect, then the secondaries in their order.

    Args:
        table: cells of the test patients.
        decision: the declared rule.
        extended: the test had been opened before under another rule; no verdict is given.
        at_budget: validation Dice had not flattened when training stopped; the sentences say so.
        measure: what the cells are, in the sentences.
        lower_is_better: a candidate below the baseline helps; estimates keep their sign.
    """
    pairs = [(decision.baseline, decision.candidate), *decision.secondary]
    found = [crossed_weighted_t(table.difference(*pair)) for pair in pairs]
    about = _About(decision.margin, extended, at_budget, measure, lower_is_better)
    primary = _effect(pairs[0], found[0], about, True, None)
    adjusted = _adjusted(found[1:])
    return [
        primary,
        *(
            _effect(pair, inference, about, False, p)
            for pair, inference, p in zip(pairs[1:], found[1:], adjusted, strict=True)
        ),
    ]


def _adjusted(secondaries: Sequence[Inference]) -> list[float | None]:
    """Holm over the secondaries that have a p."""
    known = [i for i, inference in enumerate(secondaries) if inference.p is not None]
    values = holm([p for i in known if (p := secondaries[i].p) is not None])
    adjusted: list[float | None] = [None] * len(secondaries)
    for place, value in zip(known, values, strict=True):
        adjusted[place] = value
    return adjusted


def _effect(
    pair: tuple[str, str],
    inference: Inference,
    about: _About,
    primary: bool,
    adjusted: float | None,
) -> Effect:
    word = None if about.extended else verdict(inference, about.margin, adjusted)
    if about.lower_is_better:
        word = exchanged(word)
    judged = inference.status == "verdict" and not about.extended
    opened = EXTENDED if about.extended else ""
    needed = "; ".join(part for part in (_note(inference), opened) if part)
    said = sentence(
        pair,
        inference,
        about.margin,
        word,
        needed,
        adjusted_p=adjusted,
        at_budget=about.at_budget,
        measure=about.measure,
        lower_is_better=about.lower_is_better,
    )
    return Effect(
        *pair,
        primary,
        inference,
        _design(inference, about.margin),
        needed,
        p=inference.p if judged else None,
        p_adjusted=adjusted if judged else None,
        word=word or "",
        sentence=said,
    )


def _note(inference: Inference) -> str:
    """What a verdict lacks; one cell lacks, several lack."""
    return re.sub(r"\b(1 of \d+ lack)$", r"\1s", inference.note or "")


def _design(inference: Inference, margin: float) -> PlanFacts | None:
    """What the design can see; a table without spread says nothing about that."""
    if inference.components is None or inference.interval_95 is None:
        return None
    return plan_facts(inference.components, inference.patients, inference.replicates, margin)
