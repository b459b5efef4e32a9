"""One comparison of two arms, with everything that is printed beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["verdict", "pilot", "cells only"]


@dataclass(frozen=True)
class Effect:
    """candidate - baseline in mean Dice per patient, patients and replicates both random.

    Attributes:
        primary: the primary comparison of the decision rule; others are secondary.
        status: "verdict" where one is allowed, "pilot" (estimate and interval only), or
            "cells only" (too few patients or replicates, or an incomplete table).
        needed: what the status lacks, in words; empty under "verdict".
        mean: grand mean of the differences that there are; NaN for none.
        interval_95, interval90: None under "cells only".
        p, p_adjusted: two-sided; None unless status is "verdict" (p_adjusted: secondaries only).
        sd_patient, sd_replicate, sd_residual: of the differences; None under "cells only".
        detectable: smallest effect seen with 80 % power by this design. This and the next three are
            None under "cells only" and where all cells are equal.
        patients_needed: fewest patients, at these replicates, that see the margin with 80 % power;
            None also if 500 do not.
        replicates_needed: likewise, replicates at these patients.
        equivalence_in_reach: whether "no useful effect" would be found with 80 % power if there
            were no difference.
        word: "helps" or "harms" (also ", by less than the margin"), "no useful effect",
            "undecided", or "" without a verdict.
        sentence: the verdict or estimate in one sentence.
    """

    baseline: str
    candidate: str
    primary: bool
    status: Status
    needed: str
    patients: int
    replicates: int
    mean: float
    interval_95: tuple[float, float] | None
    interval90: tuple[float, float] | None
    p: float | None
    p_adjusted: float | None
    sd_patient: float | None
    sd_replicate: float | None
    sd_residual: float | None
    detectable: float | None
    patients_needed: int | None
    replicates_needed: int | None
    equivalence_in_reach: bool | None
    word: str
    sentence: str
