"""Several measures that are primary together: all of them must succeed, or any may.

**All** (the default): a common word needs that word of every measure, each judged at full 5 %
against its own margin (intersection-union: Berger 1982); nothing is adjusted. **Any**: every
measure has a word of its own, adjusted for their number, and there is no common one. Which of the
two is declared before the test is opened: dropping a measure afterwards turns the first into the
second, unadjusted.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.inference.effect import Effect
from harness.inference.verdict_text import Word

LESS = ", by less than the margin"


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
    said = 'undecided, which is not "no difference"' if word == "undecided" else word
    return f"{pair}, all of {measures}: {said}."
