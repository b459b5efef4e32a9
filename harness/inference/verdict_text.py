"""The verdict on an effect: when it is "helps", "harms" or another word, and its sentence."""

from __future__ import annotations

from typing import Literal

from harness.base.text import counted
from harness.config.measures import DICE, Measure
from harness.config.questions import OBSERVER
from harness.inference.cohorts import COHORT
from harness.inference.crossed_t import Inference
from harness.inference.looks import Look

Word = Literal[
    "helps",
    "helps, by less than the margin",
    "harms",
    "harms, by less than the margin",
    "no useful effect",
    "undecided",
]

AT_BUDGET = "at a budget not shown to suffice"
LOWER_IS_BETTER = "lower is better"
FAMILIES = (
    "The primary comparison and the secondary ones are two families of 5 %, so that a verdict is "
    "false in at most 10 % of studies together"
)

_EXCHANGED: dict[Word, Word] = {
    "helps": "harms",
    "helps, by less than the margin": "harms, by less than the margin",
    "harms": "helps",
    "harms, by less than the margin": "helps, by less than the margin",
}

_OF_OBSERVERS: dict[str, str] = {
    "helps": "closer to one observer than the other is",
    "harms": "less close to one observer than the other is",
    "no useful effect": "as close to one observer as the other is",
    "undecided": "undecided whether as close to one observer as the other is",
}


def verdict(inference: Inference, margin: float) -> Word | None:
    """The one mapping from numbers to words, everywhere.

    Args:
        inference: of candidate - baseline; of one of several comparisons, `Inference.among` them.
        margin: smallest difference that matters, above 0.

    Returns:
        None where no verdict is allowed: "pilot", "cells only", or a table without spread.
    """
    wide, narrow = inference.interval_95, inference.interval_90
    if inference.status != "verdict" or wide is None:
        return None
    within = narrow is not None and -margin < narrow[0] and narrow[1] < margin
    if wide[0] > 0:
        return "helps, by less than the margin" if within else "helps"
    if wide[1] < 0:
        return "harms, by less than the margin" if within else "harms"
    return "no useful effect" if within else "undecided"


def exchanged(word: Word | None) -> Word | None:
    """The word for values of which the lower are better: helps and harms change places."""
    return None if word is None else _EXCHANGED.get(word, word)


def spoken(word: str, question: str = "") -> str:
    """The word as people read it: of observers, what it says of closeness."""
    if question != OBSERVER:
        return word
    kind, comma, less = word.partition(",")
    return _OF_OBSERVERS.get(kind, kind) + comma + less


def undecided_words(question: str = "") -> str:
    """With what a reader would otherwise take it for."""
    nothing = "as close" if question == OBSERVER else "no difference"
    return f'{spoken("undecided", question)}, which is not "{nothing}"'


def sentence(
    pair: tuple[str, str],
    inference: Inference,
    margin: float,
    word: Word | None,
    needed: str,
    comparisons: int = 1,
    at_budget: bool = False,
    scope: str = COHORT,
    measure: Measure = DICE,
    asked: str = "",
    look: Look | None = None,
    question: str = "",
) -> str:
    """One sentence.

    Args:
        pair: baseline, candidate.
        inference: of candidate - baseline, among the `comparisons`.
        margin: smallest difference that matters.
        word: the verdict; None where none is allowed.
        needed: what a verdict lacks, in words.
        comparisons: so many the interval is adjusted for.
        at_budget: more updates were not shown to gain less than the margin.
        scope: for which training patients it is claimed, in words.
        measure: what the cells are; that lower is better is said, as the word is no longer that of
            the sign.
        asked: the question that the pair answers, in words.
        look: which of the declared looks at the replicates it is.
        question: as of `Asked`.
    """
    baseline, candidate = pair
    named = f"{candidate} against {baseline}"
    if asked:
        named += f" ({asked})"
    if measure.lower_is_better:
        named += f" ({LOWER_IS_BETTER})"
    if inference.status == "cells only":
        return f"{named}: no interval and no verdict; {needed}."
    digits = measure.digits + 1
    estimate = f"mean difference in {measure.words} {inference.mean:+.{digits}f}"
    if inference.interval_95 is not None:
        low, high = inference.interval_95
        level = "95 % interval" if look is None else f"interval at {look_level(look)}"
        estimate += f", {level}{adjusted_for(comparisons)} "
        estimate += f"{low:+.{digits}f} to {high:+.{digits}f}"
    scope += f", {AT_BUDGET}" if at_budget else ""
    many = f"{inference.patients} test patients, {counted(inference.replicates, 'replicate')}"
    if inference.holes:
        cells = inference.patients * inference.replicates
        many += f", {inference.holes} of {cells} differences filled in"
    size = f"{inference.size or many}, {scope}"
    if word is None:
        return f"{named}: {estimate} ({size}). No verdict: {needed}."
    said = _verdict_words(word, margin, measure, question)
    if look is not None:
        size, said = f"{size}, {look.words}", said + _at_look(word, look)
    return f"{named}: {said}; {estimate} ({size})."


def looked_at_words(before: int) -> str:
    """Why a verdict alone in its family is adjusted; "" where nobody looked before."""
    if not before:
        return ""
    one = counted(before, "candidate was", "candidates were")
    return (
        f"{one} looked at on these test patients before: the primary verdict is adjusted for "
        f"{before + 1}."
    )


def look_level(look: Look) -> str:
    """Of its interval."""
    return f"the level of this look ({100 * (1 - look.level):.2f} %)"


def _at_look(word: Word, look: Look) -> str:
    """What an early look means for what comes next."""
    if look.final:
        return ""
    if word == "undecided":
        return f", train on to {look.looks[look.number]} replicates"
    return ", found early and so overstated"


def adjusted_for(comparisons: int | None) -> str:
    """What stands behind "interval" or "p" that is adjusted for several comparisons; else ""."""
    return f" adjusted for {comparisons} comparisons" if (comparisons or 1) > 1 else ""


def _verdict_words(word: Word, margin: float, measure: Measure, question: str) -> str:
    """The word, with what a reader would otherwise take it for."""
    if word == "undecided":
        return undecided_words(question)
    if word == "no useful effect":
        within = f"within {measure.amount(margin)}"
        said = spoken(word, question)
        return f"{said}, {within}" if question == OBSERVER else f"{said} ({within})"
    return spoken(word, question)
