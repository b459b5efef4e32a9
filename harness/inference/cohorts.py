"""Whose training patients each replicate has, and what a comparison may claim for it.

Cohorts that share no patient are part of the replicates: the procedure holds as it is. Drawn with
overlap they are correlated, and the mean square of the replicates is multiplied by
1 + R rho/(1 - rho) with the measured overlap rho (Nadeau and Bengio 2003, *Inference for the
generalization error*): never liberal, and conservative. With one cohort nothing is known of others.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from harness.base.text import counted

COHORT = "given this training cohort"

Way = Literal["fixed", "disjoint", "drawn"]


@dataclass(frozen=True)
class Cohorts:
    """Training cohorts of a comparison.

    Attributes:
        way: one for all replicates, or one for each, disjoint or drawn with overlap.
        size: patients of each; 0 where it is one for all.
        overlap: rho in [0, 1), mean over all pairs of cohorts of the share that both hold.
    """

    way: Way = "fixed"
    size: int = 0
    overlap: float = 0.0

    def factor(self, replicates: int) -> float:
        """Of the replicates' mean square."""
        return overlap_factor(self.overlap, replicates)

    @property
    def words(self) -> str:
        """For whom the effect is claimed."""
        if self.way == "fixed":
            return COHORT
        claim = f"for cohorts of {counted(self.size, 'training patient')} from this source"
        if self.overlap:
            claim += f", corrected for the {100 * self.overlap:.0f} % that two cohorts share"
        return f"{claim}, with these settings"


ONE_COHORT = Cohorts()


def overlap_factor(overlap: float, replicates: int) -> float:
    """1 + R rho/(1 - rho), of the replicates' mean square; 1 without overlap."""
    return 1 + replicates * overlap / (1 - overlap)


def balanced_overlap(pool: int, size: int, replicates: int) -> float:
    """rho of cohorts that use every patient of a pool equally often, or once more, however drawn.

    A patient of u cohorts is shared by u (u - 1) / 2 pairs of them.
    """
    least, more = divmod(replicates * size, pool)
    shared = pool * least * (least - 1) / 2 + more * least
    pairs = replicates * (replicates - 1) / 2
    return shared / (pairs * size) if pairs else 0.0


def mean_overlap(cohorts: Sequence[Collection[str]]) -> float:
    """rho: mean over all pairs of equally large cohorts of the share that both hold."""
    pairs = list(combinations(cohorts, 2))
    shared = sum(len(set(one) & set(other)) / len(one) for one, other in pairs)
    return shared / len(pairs) if pairs else 0.0
