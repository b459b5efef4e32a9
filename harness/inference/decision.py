"""From a table of scores to effects with their verdicts."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from harness.config.measures import DICE, Measure
from harness.config.questions import Asked
from harness.inference.cohorts import Cohorts
from harness.inference.crossed_t import Inference
from harness.inference.design import PlanFacts, plan_facts
from harness.inference.effect import Effect
from harness.inference.failures import ArmFailures, failing_words
from harness.inference.table import Table
from harness.inference.verdict_text import exchanged, sentence, verdict

if TYPE_CHECKING:
    from harness.config.experiment import DecisionConfig

EXTENDED = "the test had been opened before under another rule"


@dataclass(frozen=True)
class DecisionRule:
    """A rule about arms of any name.

    Attributes:
        baseline, candidate: of the primary comparison.
        margin: smallest difference that matters, above 0, in the unit of the cells.
        secondary: further pairs (baseline, candidate), adjusted for their number.
        measured: what the cells are; of one where lower is better a candidate below the baseline
            helps, and estimates keep their sign.
    """

    baseline: str
    candidate: str
    margin: float
    secondary: tuple[tuple[str, str], ...] = ()
    measured: Measure = DICE

    @property
    def primary(self) -> tuple[str, str]:
        """Baseline and candidate of the primary comparison."""
        return self.baseline, self.candidate

    def comparisons(self, arms: Collection[str]) -> list[Asked]:
        """The primary comparison, then the secondaries; nothing is known of what arms hold."""
        return [Asked(*pair) for pair in (self.primary, *self.secondary)]


def decide(
    table: Table,
    decision: DecisionConfig | DecisionRule,
    extended: bool = False,
    at_budget: bool = False,
    failures: Sequence[ArmFailures] = (),
) -> list[Effect]:
    """The primary effect, then that of the other question, then the secondaries in their order.

    The primary comparison is one family at 5 %. All others are a second one, adjusted for their
    number, whether or not their cells allow a verdict: at most 10 % together.

    Args:
        table: cells of the test patients.
        decision: the declared rule.
        extended: the test had been opened before under another rule; no verdict is given.
        at_budget: more updates were not shown to gain less than the margin; the sentences say so.
        failures: of the arms; many of a primary arm are said before the primary verdict.
    """
    measured = decision.measured
    asked = decision.comparisons(table.arms)
    found = [table.infer(table.difference(*each.pair)) for each in asked]
    among_each = [None, *(len(asked) - 1 for _ in asked[1:])]
    say = partial(
        sentence,
        at_budget=at_budget,
        scope=table.cohorts.words,
        measure=measured,
    )
    effects = [
        _effect(
            each,
            inference,
            decision.margin,
            among,
            extended,
            measured,
            say,
            table.cohorts,
        )
        for each, inference, among in zip(asked, found, among_each, strict=True)
    ]
    failing = failing_words(failures, decision.primary)
    if failing:
        first = effects[0]
        effects[0] = replace(first, failing=failing, sentence=f"{failing} {first.sentence}")
    return effects


def _effect(
    asked: Asked,
    inference: Inference,
    margin: float,
    among: int | None,
    extended: bool,
    measured: Measure,
    say: Callable[..., str],
    cohorts: Cohorts,
) -> Effect:
    """`among`: so many secondaries of which this is one; None of the primary comparison."""
    adjusted = inference.among(among or 1)
    word = None if extended else verdict(adjusted, margin)
    if measured.lower_is_better:
        word = exchanged(word)
    judged = inference.status == "verdict" and not extended
    opened = EXTENDED if extended else ""
    lacks = re.sub(r"\b(1 of \d+ lack)$", r"\1s", inference.note or "")  # one lacks, several lack
    needed = "; ".join(part for part in (lacks, opened) if part)
    return Effect(
        *asked.pair,
        among is None,
        inference,
        _design(inference, margin, cohorts.overlap),
        needed,
        p=inference.p if judged else None,
        p_equivalence=inference.p_equivalence(margin) if judged else None,
        word=word or "",
        sentence=say(
            asked.pair, adjusted, margin, word, needed, comparisons=among or 1, asked=asked.words
        ),
        question=asked.question,
        asked=asked.words,
        comparisons=among,
        cohorts=cohorts,
        measured=measured,
    )


def _design(inference: Inference, margin: float, overlap: float) -> PlanFacts | None:
    """What the design can see; a table without spread says nothing about that."""
    if inference.components is None or inference.interval_95 is None:
        return None
    size = inference.patients, inference.replicates
    return plan_facts(inference.components, *size, margin, overlap)
