"""Two questions about synthetic pairs: what are they worth in the place of real ones, and what on
top of them? Each is a pair of arms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from harness.config.arms import arm_of

Question = Literal["replace", "add"]
OBSERVER = "observer"


@dataclass(frozen=True)
class Asked:
    """A comparison of two arms.

    Attributes:
        question: which question it answers; "" where the arms differ in something else;
            `OBSERVER` where the baseline is a second observer.
        words: that question in words; "" without one.
    """

    baseline: str
    candidate: str
    question: str = ""
    words: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        return self.baseline, self.candidate


def question_pairs(baseline: str, candidate: str) -> dict[Question, tuple[str, str]]:
    """The arms that answer each question, from those that answer "replace".

    Under "add" the baseline leaves its extra places empty and the candidate's extra pairs come on
    top: real pairs, their order and number are the same in both. There is no such pair where the
    arms differ in more than what fills a part of every batch.
    """
    one, other = arm_of(baseline), arm_of(candidate)
    found: dict[Question, tuple[str, str]] = {"replace": (baseline, candidate)}
    mixed = one.order == other.order == "mixed"
    if mixed and one.augmented == other.augmented and not other.pairs.empty:
        empty, added = replace(one, filling="nothing"), replace(other, order="added")
        found["add"] = empty.product, added.product
    return found


def asked(baseline: str, candidate: str) -> Asked:
    """The comparison of two arms, with the question that it answers."""
    one, other = arm_of(baseline), arm_of(candidate)
    filled, made = one.pairs, other.pairs
    if one.order == "mixed" and one.augmented == other.augmented:
        if other.order == "added" and filled.empty:
            words = f"{made.words} on top of the same real ones"
            return Asked(baseline, candidate, "add", words)
        real = not (filled.empty or filled.generated)
        if other.order == "mixed" and made.generated and real:
            words = f"{made.words} in the place of real ones"
            return Asked(baseline, candidate, "replace", words)
    return Asked(baseline, candidate)
