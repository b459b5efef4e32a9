"""Several measures that are primary together: all of them must succeed, or any may.

**All** (the default): a common word needs that word of every measure, each judged at full 5 %
against its own margin (intersection-union: Berger 1982); nothing is adjusted. **Any**: every
measure has a word of its own, adjusted for their number, and there is no common one. Which of the
two is declared before the test is opened: dropping a measure afterwards turns the first into the
second, unadjusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from harness.config.decision import DecisionConfig
from harness.inference.decision import decide
from harness.inference.effect import Effect
from harness.inference.failures import ArmFailures
from harness.inference.table import Table
from harness.inference.verdict_text import AT_BUDGET, LOWER_IS_BETTER, Word, spoken, undecided_words

LESS = ", by less than the margin"


def decide_together(
    tables: Mapping[str, Table],
    decision: DecisionConfig,
    extended: bool = False,
    at_budget: bool = False,
    failures: Sequence[ArmFailures] = (),
    looked_at: int = 0,
) -> list[Effect]:
    """`decide` by the declared measure, and the primary comparison by each that is primary too.

    Args:
        tables: by measure, of the same test patients.
        decision, extended, at_budget, failures, looked_at: as of `decide`.

    Returns:
        The primary effect, those of the further primary measures, then all others.
    """
    by = partial(decide, extended=extended, at_budget=at_budget)
    names = [decision.measure, *decision.co_primary]
    before = max(looked_at, decision.looked_at)
    one_of = len(names) * (1 + before) - 1
    any_may = decision.success == "any"
    first, *others = by(
        tables[decision.measure],
        decision,
        failures=failures,
        looked_at=one_of if any_may else before,
    )
    if len(names) == 1:
        return [first, *others]
    each = {name: decision.of_measure(name) for name in names}
    described = [by(tables[n], rule, looked_at=one_of)[0] for n, rule in each.items()]
    titles = tuple(effect.measured.title for effect in described)
    if not any_may:
        judged = [by(tables[n], rule, looked_at=before)[0] for n, rule in each.items()]
        together = dict(zip(titles, judged, strict=True))
        listed = _listed(judged, described) + (f", {AT_BUDGET}" if at_budget else "")
        said = f"{first.failing} {common_sentence(together)[:-1]} ({listed})."
        first = replace(first, word=common_word(together) or "", sentence=said.lstrip())
    co_primary = [replace(e, primary=False, together=titles) for e in described[1:]]
    return [replace(first, together=titles), *co_primary, *others]


def _listed(judged: Sequence[Effect], described: Sequence[Effect]) -> str:
    """Each measure's estimate at the full level, and its word as one of several."""
    parts = []
    for effect, alone in zip(judged, described, strict=True):
        digits, ends = effect.measured.digits + 1, effect.judged.interval_95
        part = f"{effect.measured.words} {effect.inference.mean:+.{digits}f}"
        part += f" ({LOWER_IS_BETTER})" if effect.measured.lower_is_better else ""
        if ends is not None:
            part += f", 95 % interval {ends[0]:+.{digits}f} to {ends[1]:+.{digits}f}"
        parts.append(part + (f", alone '{alone.word}'" if alone.word else ""))
    about = judged[0].inference
    parts.append(f"{about.patients} test patients, {about.replicates} replicates")
    return "; ".join([*parts, about.claim or judged[0].cohorts.words])


def common_word(effects: Mapping[str, Effect]) -> Word | None:
    """The word that holds of all measures; None where one of them has no verdict.

    Args:
        effects: by measure, each primary, alone in its family and judged in its own direction.
    """
    words = [effect.word for effect in effects.values()]
    if not all(words):
        return None
    within = all(word == "no useful effect" or word.endswith(LESS) for word in words)
    if all(word.startswith("helps") for word in words):
        return "helps, by less than the margin" if within else "helps"
    if all(word.startswith("harms") for word in words):
        return "harms, by less than the margin" if within else "harms"
    return "no useful effect" if within else "undecided"


def common_sentence(effects: Mapping[str, Effect]) -> str:
    """The common word, or why there is none."""
    word, first = common_word(effects), next(iter(effects.values()))
    measures, pair = ", ".join(effects), f"{first.candidate} against {first.baseline}"
    if word is None:
        lacking = [name for name, effect in effects.items() if not effect.word]
        return f"{pair}, all of {measures}: no verdict, for want of one of {', '.join(lacking)}."
    asked = first.question
    said = undecided_words(asked) if word == "undecided" else spoken(word, asked)
    return f"{pair}, all of {measures}: {said}."
