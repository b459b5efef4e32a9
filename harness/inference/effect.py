"""One comparison of two arms, with everything that is printed beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.inference.crossed_t import Inference
from harness.inference.design import PlanFacts


@dataclass(frozen=True)
class Effect:
    """candidate - baseline in mean Dice per patient, patients and replicates both random.

    Attributes:
        primary: the primary comparison of the decision rule; others are secondary.
        inference: from the table of differences.
        design: what this design can see with the standard deviations observed here; None where
            there is no interval.
        needed: what the status lacks, in words; empty under "verdict".
        p, p_adjusted: two-sided; None where no verdict is allowed (p_adjusted: secondaries only).
        word: "helps" or "harms" (also ", by less than the margin"), "no useful effect",
            "undecided", or "" without a verdict.
        sentence: the verdict or estimate in one sentence.
        question: "replace", "add", or "" where it is neither; `asked` in words.
    """

    baseline: str
    candidate: str
    primary: bool
    inference: Inference
    design: PlanFacts | None
    needed: str
    p: float | None
    p_adjusted: float | None
    word: str
    sentence: str
    question: str = ""
    asked: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Flat, in the words of the page; what there is not is None."""
        about, sd, design = self.inference, self.inference.components, self.design
        return {
            "baseline": self.baseline,
            "candidate": self.candidate,
            "primary": self.primary,
            "question": self.question,
            "status": about.status,
            "needed": self.needed,
            "patients": about.patients,
            "replicates": about.replicates,
            "mean": about.mean,
            "interval_95": about.interval_95,
            "interval_90": about.interval_90,
            "p": self.p,
            "p_adjusted": self.p_adjusted,
            "sd_patient": sd and sd.patient,
            "sd_replicate": sd and sd.replicate,
            "sd_residual": sd and sd.residual,
            "detectable": design and design.detectable,
            "patients_needed": design and design.patients_needed,
            "replicates_needed": design and design.replicates_needed,
            "equivalence_in_reach": design and design.equivalence_in_reach,
            "word": self.word,
            "sentence": self.sentence,
        }
