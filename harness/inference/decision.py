"""From a table of scores to effects with their verdicts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from harness.config.measures import DICE, Measure
from harness.config.questions import OBSERVER, Asked
from harness.inference.cohorts import Cohorts
from harness.inference.crossed_t import Inference
from harness.inference.design import PlanFacts, plan_facts
from harness.inference.effect import Effect, scope_words
from harness.inference.failures import ArmFailures, failing_words
from harness.inference.looks import Look, look_at
from harness.inference.observer import with_observer
from harness.inference.procedure import compared
from harness.inference.table import Table
from harness.inference.verdict_text import exchanged, sentence, spoken, verdict

if TYPE_CHECKING:
    from harness.config.decision import DecisionConfig

EXTENDED = "the test had been opened before under another rule"
WAITS = "only the last look judges further comparisons"


@dataclass(frozen=True)
class DecisionRule:
    """A rule about arms of any name.

    Attributes:
        baseline, candidate: of the primary comparison.
        margin: smallest difference that matters, above 0, in the unit of the cells.
        secondary: further pairs (baseline, candidate), adjusted for their number.
        further: further candidates against the same baseline, of the primary family.
        looked_at: candidates that were looked at on these patients before; they count as well.
        looks: numbers of replicates at which the table may be looked at; none: once, at the end.
        measured: what the cells are; of one where lower is better a candidate below the baseline
            helps, and estimates keep their sign.
        observer: the baseline is a second observer and the cells are closeness to the first, so
            that its one value per patient holds in every replicate.
    """

    baseline: str
    candidate: str
    margin: float
    secondary: tuple[tuple[str, str], ...] = ()
    measured: Measure = DICE
    further: tuple[str, ...] = ()
    looked_at: int = 0
    looks: tuple[int, ...] = ()
    observer: bool = False

    @property
    def primary(self) -> tuple[str, str]:
        """Baseline and candidate of the primary comparison."""
        return self.baseline, self.candidate

    @property
    def primaries(self) -> list[tuple[str, str]]:
        """All pairs of the primary family."""
        return [(self.baseline, name) for name in (self.candidate, *self.further)]

    def comparisons(self, arms: Collection[str]) -> list[Asked]:
        """The primary family, then the secondaries; nothing is known of what arms hold."""
        return [
            Asked(*pair, OBSERVER if self.observer and pair[0] == self.baseline else "")
            for pair in (*self.primaries, *self.secondary)
        ]


def decide(
    table: Table,
    decision: DecisionConfig | DecisionRule,
    extended: bool = False,
    at_budget: bool = False,
    failures: Sequence[ArmFailures] = (),
    looked_at: int = 0,
) -> list[Effect]:
    """The primary effect, then that of the other question, then the secondaries in their order.

    The primary comparison, or all candidates against one baseline, is one family at 5 %, adjusted
    for how many were looked at. All others are a second one, adjusted for their number, whether or
    not their cells allow a verdict: at most 10 % together.

    Args:
        table: cells of the test patients.
        decision: the declared rule.
        extended: the test had been opened before under another rule; no verdict is given.
        at_budget: more updates were not shown to gain less than the margin; the sentences say so.
        failures: of the arms; many of a primary arm are said before the primary verdict.
        looked_at: candidates that were looked at on these patients before, where that is more than
            the rule says.
    """
    measured = decision.measured
    asked = decision.comparisons(table.arms)
    if asked[0].question == OBSERVER:
        table = with_observer(table, decision.baseline)
    candidates = len(decision.primaries)
    family, others = candidates + max(decision.looked_at, looked_at), len(asked) - candidates
    among_each = [family if family > 1 else None] * candidates + [others] * others
    say = partial(sentence, at_budget=at_budget, measure=measured)
    look = look_at(len(table.replicates), decision.looks) if decision.looks else None
    early = WAITS if look and not look.final else ""
    opened = EXTENDED if extended else ""
    effects = [
        _effect(
            each,
            compared(table, *each.pair),
            decision.margin,
            place < candidates,
            among,
            opened if place < candidates or not early else early,
            measured,
            say,
            table.cohorts,
            look if place < candidates else None,
        )
        for place, (each, among) in enumerate(zip(asked, among_each, strict=True))
    ]
    effects = [_with_filled_low(table, effect, decision.margin) for effect in effects]
    failing = failing_words(failures, decision.primary)
    if failing:
        first = effects[0]
        effects[0] = replace(first, failing=failing, sentence=f"{failing} {first.sentence}")
    return effects


def _effect(
    asked: Asked,
    inference: Inference,
    margin: float,
    primary: bool,
    among: int | None,
    withheld: str,
    measured: Measure,
    say: Callable[..., str],
    cohorts: Cohorts,
    look: Look | None,
) -> Effect:
    """`among`: so many comparisons of which this is one; None of a primary one that is alone.
    `withheld`: why there is no word, whatever the cells say; else ""."""
    at_look = (look.level, look.final) if look else ()
    adjusted = inference.among(among or 1, *at_look)
    word = None if withheld else verdict(adjusted, margin)
    if measured.lower_is_better:
        word = exchanged(word)
    judged = inference.status == "verdict" and not withheld
    needed = "; ".join(part for part in (inference.note, withheld) if part)
    return Effect(
        *asked.pair,
        primary,
        inference,
        _design(inference, margin, cohorts.overlap),
        margin,
        needed,
        p=inference.p if judged else None,
        p_equivalence=inference.p_equivalence(margin) if judged else None,
        word=word or "",
        sentence=say(
            asked.pair,
            adjusted,
            margin,
            word,
            needed,
            comparisons=among or 1,
            asked=asked.words,
            scope=scope_words(inference, cohorts, asked.question),
            look=look,
            question=asked.question,
        ),
        question=asked.question,
        asked=asked.words,
        comparisons=among,
        cohorts=cohorts,
        measured=measured,
        look=look,
    )


def _with_filled_low(table: Table, effect: Effect, margin: float) -> Effect:
    """With the word if each cell that lacks were as bad as the worst there is."""
    if not effect.inference.holes or not effect.word:
        return effect
    cells = table.difference(effect.baseline, effect.candidate)
    worst = np.nanmax(cells) if effect.measured.lower_is_better else np.nanmin(cells)
    found = replace(effect, inference=table.infer(np.where(np.isnan(cells), worst, cells)))
    word = verdict(found.judged, margin)
    word = exchanged(word) if effect.measured.lower_is_better else word
    becomes = f"becomes '{spoken(word or '', effect.question)}'"
    becomes = "stays" if word == effect.word else becomes
    said = f" With the worst difference seen in place of those that lack the word {becomes}."
    return replace(effect, filled_low=word or "", sentence=effect.sentence + said)


def _design(inference: Inference, margin: float, overlap: float) -> PlanFacts | None:
    """What the design can see; a table without spread says nothing about that."""
    if inference.components is None or inference.interval_95 is None:
        return None
    size = inference.patients, inference.replicates
    return plan_facts(inference.components, *size, margin, overlap)
