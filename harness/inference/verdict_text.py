"""The verdict on an effect: when it is "helps", "harms" or another word, and its sentence."""

from __future__ import annotations

from typing import Literal

from harness.inference.crossed_t import Inference

Word = Literal[
    "helps",
    "helps, by less than the margin",
    "harms",
    "harms, by less than the margin",
    "no useful effect",
    "undecided",
]

COHORT = "given this training cohort"
AT_BUDGET = "at a budget not shown to suffice"
LOWER_IS_BETTER = "lower is better"

_EXCHANGED: dict[Word, Word] = {
    "helps": "harms",
    "helps, by less than the margin": "harms, by less than the margin",
    "harms": "helps",
    "harms, by less than the margin": "helps, by less than the margin",
}


def verdict(inference: Inference, margin: float, adjusted_p: float | None = None) -> Word | None:
    """The one mapping from numbers to words, everywhere.

    Args:
        inference: of candidate - baseline.
        margin: smallest difference that matters, above 0.
        adjusted_p: a secondary comparison's Holm-adjusted p; "helps" and "harms" then need it below
            0.05 as well. "No useful effect" stays unadjusted.

    Returns:
        None where no verdict is allowed: "pilot", "cells only", or a table without spread.
    """
    wide, narrow = inference.interval_95, inference.interval_90
    if inference.status != "verdict" or wide is None or narrow is None:
        return None
    within = -margin < narrow[0] and narrow[1] < margin
    significant = adjusted_p is None or adjusted_p < 0.05
    if wide[0] > 0 and significant:
        return "helps, by less than the margin" if within else "helps"
    if wide[1] < 0 and significant:
        return "harms, by less than the margin" if within else "harms"
    return "no useful effect" if within else "undecided"


def exchanged(word: Word | None) -> Word | None:
    """The word for values of which the lower are better: helps and harms change places."""
    return None if word is None else _EXCHANGED.get(word, word)


def sentence(
    pair: tuple[str, str],
    inference: Inference,
    margin: float,
    word: Word | None,
    needed: str,
    adjusted_p: float | None = None,
    at_budget: bool = False,
    measure: str = "Dice",
    lower_is_better: bool = False,
    asked: str = "",
) -> str:
    """One sentence.

    Args:
        pair: baseline, candidate.
        inference: of candidate - baseline.
        margin: smallest difference that matters.
        word: the verdict; None where none is allowed.
        needed: what a verdict lacks, in words.
        adjusted_p: Holm-adjusted p of a secondary comparison; None for the primary one.
        at_budget: more updates were not shown to gain less than the margin.
        measure: what the cells are.
        lower_is_better: of the cells; said, as the word is no longer that of the sign.
        asked: the question that the pair answers, in words.
    """
    baseline, candidate = pair
    named = f"{candidate} against {baseline}"
    if asked:
        named += f" ({asked})"
    if lower_is_better:
        named += f" ({LOWER_IS_BETTER})"
    if inference.status == "cells only":
        return f"{named}: no interval and no verdict; {needed}."
    estimate = f"mean difference in {measure} {inference.mean:+.4f}"
    if inference.interval_95 is not None:
        low, high = inference.interval_95
        estimate += f", 95 % interval {low:+.4f} to {high:+.4f}"
    scope = f"{COHORT}, {AT_BUDGET}" if at_budget else COHORT
    size = f"{inference.patients} test patients, {inference.replicates} replicates, {scope}"
    if word is None:
        return f"{named}: {estimate} ({size}). No verdict: {needed}."
    said = _verdict_words(word, inference, margin, adjusted_p, measure)
    return f"{named}: {said}; {estimate} ({size})."


def _verdict_words(
    word: Word, inference: Inference, margin: float, adjusted_p: float | None, measure: str
) -> str:
    """The word, with what a reader would otherwise take it for."""
    unit = f" {measure}" if measure == "Dice" else ""
    within = f"within {margin:g}{unit}"
    said: str = word
    if word == "undecided":
        said = 'undecided, which is not "no difference"'
    elif word == "no useful effect":
        unadjusted = "" if adjusted_p is None else ", not adjusted for several comparisons"
        said = f"no useful effect ({within}{unadjusted})"
    elif word.endswith("margin") and adjusted_p is not None:
        said = f"{word} (the margin not adjusted for several comparisons)"
    wide = inference.interval_95
    excludes_zero = wide is not None and (wide[0] > 0 or wide[1] < 0)
    if adjusted_p is not None and adjusted_p >= 0.05 and excludes_zero:
        said += (
            "; its unadjusted 95 % interval excludes 0, but p adjusted for several comparisons is "
            f"{adjusted_p:.3f}"
        )
    return said
