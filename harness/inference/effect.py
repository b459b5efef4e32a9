"""One comparison of two arms, with everything that is printed beside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from harness.config.measures import DICE, Measure
from harness.config.questions import OBSERVER
from harness.inference.cohorts import ONE_COHORT, Cohorts
from harness.inference.crossed_t import Inference
from harness.inference.design import PlanFacts
from harness.inference.looks import Look

P_VALUES = ("p", "p_adjusted", "p_equivalence", "p_equivalence_adjusted")
"""Keys of `Effect.to_dict` that are None where no verdict is allowed."""


@dataclass(frozen=True)
class Effect:
    """candidate - baseline in what is measured per patient, patients and replicates both random.

    Attributes:
        primary: the primary comparison of the decision rule; others are secondary.
        inference: from the table of differences, not adjusted.
        design: what this design can see with the standard deviations observed here; None where
            there is no interval.
        margin: smallest difference that matters, in the measure's unit.
        needed: what the status lacks, in words; empty under "verdict".
        p, p_equivalence: two-sided of no effect, and of an effect beyond the margin (TOST); not
            adjusted, None where no verdict is allowed.
        word: "helps" or "harms" (also ", by less than the margin"), "no useful effect",
            "undecided", or "" without a verdict.
        sentence: the verdict or estimate in one sentence, after `failing`.
        question: "replace", "add", "observer", or "" where it is none; `asked` in words.
        cohorts: for whose training patients it is claimed.
        comparisons: how many its family has, itself and what was looked at before among them, for
            which word, interval and p are adjusted; None for a primary one that is alone.
        measured: what the cells are.
        failing: how often the primary arms fail, where that is often; else "".
        look: which of the looks at the replicates that were declared; None without any, and of
            secondaries.
        together: titles of the measures that are primary together, this one among them; () where it
            is alone. Of the first, where all must succeed, word and sentence are those that they
            have in common; of the others, as of one of so many, they describe.
        filled_low: the word if every cell that lacks were as bad as the worst there is; "" where
            none lacks.
    """

    baseline: str
    candidate: str
    primary: bool
    inference: Inference
    design: PlanFacts | None
    margin: float
    needed: str
    p: float | None
    p_equivalence: float | None
    word: str
    sentence: str
    question: str = ""
    asked: str = ""
    cohorts: Cohorts = ONE_COHORT
    comparisons: int | None = None
    measured: Measure = DICE
    failing: str = ""
    look: Look | None = None
    filled_low: str = ""
    together: tuple[str, ...] = ()

    @property
    def judged(self) -> Inference:
        """What the word goes by: adjusted for its family."""
        if self.look is None:
            return self.inference.among(self.comparisons or 1)
        return self.inference.among(self.comparisons or 1, self.look.level, self.look.final)

    @property
    def p_adjusted(self) -> float | None:
        """p as one of its family; None where it is alone and without a verdict."""
        return self._adjusted(self.p)

    @property
    def p_equivalence_adjusted(self) -> float | None:
        """`p_equivalence` likewise."""
        return self._adjusted(self.p_equivalence)

    def _adjusted(self, p: float | None) -> float | None:
        return None if p is None or self.comparisons is None else min(1.0, self.comparisons * p)

    def to_dict(self) -> dict[str, Any]:
        """Flat, in the words of the page; what there is not is None."""
        about, sd, design = self.inference, self.inference.components, self.design
        adjusted: Inference | None = self.judged if self.comparisons or self.look else None
        return {
            "baseline": self.baseline,
            "candidate": self.candidate,
            "primary": self.primary,
            "question": self.question,
            "measure": self.measured.name,
            "margin": self.margin,
            "together": list(self.together),
            "status": about.status,
            "needed": self.needed,
            "patients": about.patients,
            "replicates": about.replicates,
            "mean": about.mean,
            "standard_error": about.standard_error,
            "df": about.t and about.t.df,
            "weights": about.t and about.t.weights,
            "cells_filled": about.holes,
            "word_if_filled_low": self.filled_low,
            "interval_95": about.interval_95,
            "interval_90": about.interval_90,
            "comparisons": self.comparisons,
            "look": self.look and asdict(self.look),
            "interval_95_adjusted": adjusted and adjusted.interval_95,
            "interval_90_adjusted": adjusted and adjusted.interval_90,
            "p": self.p,
            "p_adjusted": self.p_adjusted,
            "p_equivalence": self.p_equivalence,
            "p_equivalence_adjusted": self.p_equivalence_adjusted,
            "sd_patient": sd and sd.patient,
            "sd_replicate": sd and sd.replicate,
            "sd_residual": sd and sd.residual,
            "detectable": design and design.detectable,
            "patients_needed": design and design.patients_needed,
            "replicates_needed": design and design.replicates_needed,
            "equivalence_in_reach": design and design.equivalence_in_reach,
            "word": self.word,
            "sentence": self.sentence,
            "scope": scope_words(about, self.cohorts, self.question),
            "method": about.method,
            "beside": [
                {
                    "name": name,
                    "mean": other.mean,
                    "interval_95": other.interval_95,
                    "size": other.size,
                    "scope": other.claim,
                    "status": other.status,
                }
                for name, other in about.beside
            ],
        }


def scope_words(inference: Inference, cohorts: Cohorts, question: str) -> str:
    """For whom it is claimed."""
    observers = ", of these two observers" if question == OBSERVER else ""
    return (inference.claim or cohorts.words) + observers
