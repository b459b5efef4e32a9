"""The cheapest design that sees the margin, among those that patients and cohorts allow.

A replicate costs hours of training, a test patient that is at hand next to none: so replicates are
spared first, then patients. Designs that would have no verdict are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.inference.cohorts import ONE_COHORT, Cohorts, balanced_overlap
from harness.inference.crossed_t import (
    PATIENTS_FOR_VERDICT,
    REPLICATES_FOR_VERDICT,
    VarianceComponents,
)
from harness.inference.design import enough_for_verdict
from harness.inference.power import LARGEST_DESIGN, patients_needed, smallest_detectable_effect


@dataclass(frozen=True)
class Design:
    """So many test patients and replicates.

    Attributes:
        detectable: the smallest true difference that it sees with 80 % power.
        overlap: rho of the replicates' training cohorts.
    """

    patients: int
    replicates: int
    detectable: float
    overlap: float = 0.0


@dataclass(frozen=True)
class Limits:
    """What designs can be made of.

    Attributes:
        patients: test patients that there are.
        pool: training patients that there are.
        cohorts: way and size of the replicates' training cohorts; a replicate has one of its own.
    """

    patients: int
    pool: int
    cohorts: Cohorts = ONE_COHORT

    @property
    def replicates(self) -> int:
        """Most replicates: those that 500 are beyond, or cohorts that share nobody."""
        if self.cohorts.way != "disjoint":
            return LARGEST_DESIGN
        return min(LARGEST_DESIGN, self.pool // self.cohorts.size)

    @property
    def verdict(self) -> bool:
        """Whether any design has one."""
        enough = enough_for_verdict(self.patients, self.replicates)
        return enough == (self.patients, self.replicates)

    def overlap(self, replicates: int) -> float:
        """rho of the cohorts of so many replicates."""
        if self.cohorts.way != "drawn":
            return 0.0
        return balanced_overlap(self.pool, self.cohorts.size, replicates)


def cheapest(components: VarianceComponents, margin: float, limits: Limits) -> Design | None:
    """Fewest replicates that see `margin` with 80 % power, then fewest patients; None if none do.

    Args:
        components: standard deviations of a paired difference.
        margin: smallest difference that matters, above 0, in the unit of `components`.
    """
    seeing = (design for design in _designs(components, limits) if design.detectable <= margin)
    found = next(seeing, None)
    if found is None:
        return None
    # The effect falls with the number of patients; all of them see it.
    fewest = patients_needed(components, found.replicates, margin, found.overlap)
    patients = min(limits.patients, max(fewest or limits.patients, PATIENTS_FOR_VERDICT))
    return design_of(components, patients, found.replicates, found.overlap)


def sharpest(components: VarianceComponents, limits: Limits, most: int) -> Design | None:
    """What sees the smallest effect with up to `most` replicates; None if no verdict is in them."""
    found = (design for design in _designs(components, limits) if design.replicates <= most)
    return min(found, key=lambda design: design.detectable, default=None)


def design_of(
    components: VarianceComponents, patients: int, replicates: int, overlap: float = 0.0
) -> Design:
    """A design with what it can see; 2 patients and replicates or more."""
    seen = smallest_detectable_effect(components, patients, replicates, overlap=overlap)
    return Design(patients, replicates, seen, overlap)


def _designs(components: VarianceComponents, limits: Limits) -> Iterator[Design]:
    """Designs with a verdict and all patients, by replicates ascending."""
    if not limits.verdict:
        return
    for replicates in range(REPLICATES_FOR_VERDICT, limits.replicates + 1):
        yield design_of(components, limits.patients, replicates, limits.overlap(replicates))
