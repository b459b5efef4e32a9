"""What a design of P patients and R replicates can see, as numbers and in plain sentences.

The numbers are those of `inference.power`; the standard deviations are assumed (before the test)
or observed (beside a result). Both use the same words.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.config.experiment import DecisionConfig
from harness.inference.crossed_t import (
    PATIENTS_FOR_VERDICT,
    REPLICATES_FOR_VERDICT,
    VarianceComponents,
)
from harness.inference.power import (
    LARGEST_DESIGN,
    equivalence_in_reach,
    patients_needed,
    replicates_needed,
    smallest_detectable_effect,
)


@dataclass(frozen=True)
class PlanFacts:
    """What a design can see, in the unit of the standard deviations that it was asked with.

    Attributes:
        patients, replicates: the design, 2 or more each.
        margin: smallest difference that matters, above 0.
        detectable: the smallest true difference that is seen with 80 % power.
        patients_needed: fewest patients, at this number of replicates, that see the margin with
            80 % power, and no fewer than a verdict needs; None if 500 do not.
        replicates_needed: likewise, replicates at this number of patients.
        equivalence_in_reach: whether "no useful effect" would be found with 80 % power if there
            were no difference.
    """

    patients: int
    replicates: int
    margin: float
    detectable: float
    patients_needed: int | None
    replicates_needed: int | None
    equivalence_in_reach: bool


def plan_facts(
    components: VarianceComponents, patients: int, replicates: int, margin: float
) -> PlanFacts:
    """What a design can see.

    Args:
        components: standard deviations of a paired difference, assumed or observed.
        patients, replicates: 2 or more each.
        margin: smallest difference that matters, above 0, in the unit of `components`.

    Raises:
        DataError: fewer than 2 patients or replicates.
    """
    return PlanFacts(
        patients=patients,
        replicates=replicates,
        margin=margin,
        detectable=smallest_detectable_effect(components, patients, replicates),
        patients_needed=_at_least(
            patients_needed(components, replicates, margin), PATIENTS_FOR_VERDICT
        ),
        replicates_needed=_at_least(
            replicates_needed(components, patients, margin), REPLICATES_FOR_VERDICT
        ),
        equivalence_in_reach=equivalence_in_reach(components, patients, replicates, margin),
    )


def assumed_components(decision: DecisionConfig) -> VarianceComponents:
    """The standard deviations that an experiment plans with."""
    assumed = decision.assumed
    return VarianceComponents(assumed.patient, assumed.replicate, assumed.residual)


def detectable_words(facts: PlanFacts) -> str:
    """One sentence: the smallest effect that is seen, and what seeing the margin would take."""
    design = f"{facts.patients} patients and {facts.replicates} replicates"
    seen = f"with {design} a difference of {facts.detectable:.4f} is seen with 80 % power"
    if facts.detectable <= facts.margin:
        return f"{seen}: enough for the margin of {facts.margin:g}."
    return f"{seen}; seeing the margin of {facts.margin:g} {_takes(facts)}."


def equivalence_words(facts: PlanFacts) -> str:
    """One sentence: whether "no useful effect" can come out of this design."""
    if facts.equivalence_in_reach:
        return (
            f'"no useful effect" (within {facts.margin:g}) is in reach: without a difference it '
            "would be found with 80 % power or more."
        )
    return (
        f'"no useful effect" (within {facts.margin:g}) is out of reach of this design: without a '
        "difference it would be found with less than 80 % power."
    )


def _takes(facts: PlanFacts) -> str:
    """The ways to see the margin; each is alone, the other number staying as it is."""
    patients, replicates = facts.patients_needed, facts.replicates_needed
    if patients is None and replicates is None:
        return f"is out of reach by patients alone and by replicates alone (up to {LARGEST_DESIGN})"
    if patients is None:
        return f"takes {replicates} replicates, and is out of reach by patients alone"
    if replicates is None:
        return f"takes {patients} patients, and is out of reach by replicates alone"
    return f"takes {patients} patients, or {replicates} replicates"


def _at_least(needed: int | None, for_verdict: int) -> int | None:
    """Fewer than a verdict needs would see the margin and yet give none."""
    return None if needed is None else max(needed, for_verdict)
