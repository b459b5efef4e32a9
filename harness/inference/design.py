"""What a design of P patients and R replicates can see, as numbers and in plain sentences.

The numbers are those of `inference.power`; the standard deviations are assumed (before the test)
or observed (beside a result, which they do not judge). Both use the same words.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.config.decision import DecisionConfig
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

FLOORS = (
    f"a verdict takes {PATIENTS_FOR_VERDICT} patients and {REPLICATES_FOR_VERDICT} replicates or "
    "more"
)


@dataclass(frozen=True)
class PlanFacts:
    """What a design can see, in the unit of the standard deviations that it was asked with.

    Attributes:
        patients, replicates: the design, 2 or more each.
        margin: smallest difference that matters, above 0.
        detectable: the smallest true difference that is seen with 80 % power.
        patients_needed: fewest patients that see the margin with 80 % power, at this number of
            replicates; None if 500 do not. Neither number is below what a verdict needs.
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
    components: VarianceComponents,
    patients: int,
    replicates: int,
    margin: float,
    overlap: float = 0.0,
) -> PlanFacts:
    """What a design can see.

    Args:
        components: standard deviations of a paired difference, assumed or observed.
        patients, replicates: 2 or more each.
        margin: smallest difference that matters, above 0, in the unit of `components`.
        overlap: rho of the replicates' training cohorts.

    Raises:
        DataError: fewer than 2 patients or replicates.
    """
    size = patients, replicates
    rows, columns = enough_for_verdict(*size)
    return PlanFacts(
        *size,
        margin=margin,
        detectable=smallest_detectable_effect(components, *size, overlap=overlap),
        patients_needed=_at_least(
            patients_needed(components, columns, margin, overlap), PATIENTS_FOR_VERDICT
        ),
        replicates_needed=_at_least(
            replicates_needed(components, rows, margin, overlap), REPLICATES_FOR_VERDICT
        ),
        equivalence_in_reach=equivalence_in_reach(components, *size, margin, overlap=overlap),
    )


def enough_for_verdict(patients: int, replicates: int) -> tuple[int, int]:
    """The numbers, each no smaller than a verdict needs."""
    return max(patients, PATIENTS_FOR_VERDICT), max(replicates, REPLICATES_FOR_VERDICT)


def assumed_components(decision: DecisionConfig) -> VarianceComponents:
    """The standard deviations that an experiment plans with."""
    assumed = decision.assumed
    return VarianceComponents(assumed.patient, assumed.replicate, assumed.residual)


def detectable_words(facts: PlanFacts, observed: bool = False) -> str:
    """One sentence: the smallest effect that is seen, and what seeing the margin would take.

    Args:
        observed: beside the result that the standard deviations are of.
    """
    size = facts.patients, facts.replicates
    design = f"{facts.patients} patients and {facts.replicates} replicates"
    digits = 4 if facts.margin < 0.1 else 2  # of a share, or of millimetres
    seen = f"with {design} a difference of {facts.detectable:.{digits}f} is seen with 80 % power"
    if observed:
        seen = f"the design by the spread observed, which does not judge this result: {seen}"
    if facts.detectable <= facts.margin:
        but = "" if size == enough_for_verdict(*size) else f", but {FLOORS}"
        return f"{seen}: enough for the margin of {facts.margin:g}{but}."
    return f"{seen}; seeing the margin of {facts.margin:g} {_takes(facts)}."


def ways_to_margin(facts: PlanFacts) -> str:
    """Patients, or replicates, that see the margin; "" where neither do alone."""
    patients, replicates = enough_for_verdict(facts.patients, facts.replicates)
    designs = ((facts.patients_needed, replicates), (patients, facts.replicates_needed))
    found = dict.fromkeys((p, r) for p, r in designs if p is not None and r is not None)
    least = [w for w in found if not any(o != w and o[0] <= w[0] and o[1] <= w[1] for o in found)]
    ways = [f"{p} patients with {r} replicates" for p, r in least]
    return f"{' or '.join(ways)} ({FLOORS})" if ways else ""


def equivalence_words(facts: PlanFacts, word: str = "no useful effect") -> str:
    """One sentence: whether "no useful effect", or what it is called, can come out of this
    design."""
    if facts.equivalence_in_reach:
        return (
            f'"{word}" (within {facts.margin:g}) is in reach: without a difference it '
            "would be found with 80 % power or more."
        )
    return (
        f'"{word}" (within {facts.margin:g}) is out of reach of this design: without a '
        "difference it would be found with less than 80 % power."
    )


def _takes(facts: PlanFacts) -> str:
    """The ways to see the margin, and those that do not lead there."""
    needed = {"patients": facts.patients_needed, "replicates": facts.replicates_needed}
    out = " and ".join(f"by {what} alone" for what, count in needed.items() if count is None)
    ways = ways_to_margin(facts)
    if not ways:
        return f"is out of reach {out} (up to {LARGEST_DESIGN})"
    return f"takes {ways}" + (f", and is out of reach {out}" if out else "")


def _at_least(needed: int | None, for_verdict: int) -> int | None:
    """Fewer than a verdict needs would see the margin and yet give none."""
    return None if needed is None else max(needed, for_verdict)
