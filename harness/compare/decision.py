"""From a table of Dice to effects with their verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from harness.compare.effect import Effect
from harness.compare.table import Table
from harness.config.experiment import DecisionConfig
from harness.metrics.inference import Inference, crossed_weighted_t, holm, verdict
from harness.metrics.planning import smallest_detectable_effect

COHORT = "given this training cohort"
EXTENDED = "the test had been opened before under another rule"


def decide(table: Table, decision: DecisionConfig, extended: bool = False) -> list[Effect]:
    """The primary effect, then the secondaries in their order.

    Args:
        table: cells of the test patients.
        decision: the declared rule.
        extended: the test had been opened before under another rule; no verdict is given.
    """
    pairs = [(decision.baseline, decision.candidate), *decision.secondary]
    found = [crossed_weighted_t(table.difference(*pair)) for pair in pairs]
    adjusted = _adjusted(found[1:])
    return [
        _effect(pair, inference, decision.margin, index == 0, p, extended)
        for index, (pair, inference, p) in enumerate(
            zip(pairs, found, [None, *adjusted], strict=True)
        )
    ]


def _adjusted(secondaries: Sequence[Inference]) -> list[float | None]:
    """Holm over the secondaries that have a p."""
    known = [i for i, inference in enumerate(secondaries) if inference.p is not None]
    values = holm([p for i in known if (p := secondaries[i].p) is not None])
    adjusted: list[float | None] = [None] * len(secondaries)
    for place, value in zip(known, values, strict=True):
        adjusted[place] = value
    return adjusted


def _effect(
    pair: tuple[str, str],
    inference: Inference,
    margin: float,
    primary: bool,
    adjusted: float | None,
    extended: bool,
) -> Effect:
    baseline, candidate = pair
    spread = inference.spread
    word = None if extended else verdict(inference, margin, None if primary else adjusted)
    judged = inference.status == "verdict" and not extended
    needed = "; ".join(part for part in (inference.note, EXTENDED if extended else "") if part)
    return Effect(
        baseline=baseline,
        candidate=candidate,
        primary=primary,
        status=inference.status,
        needed=needed,
        patients=inference.patients,
        replicates=inference.replicates,
        mean=inference.mean,
        interval95=inference.interval_95,
        interval90=inference.interval_90,
        p=inference.p if judged else None,
        p_adjusted=adjusted if judged and not primary else None,
        sd_patient=spread.patient if spread else None,
        sd_replicate=spread.replicate if spread else None,
        sd_residual=spread.residual if spread else None,
        detectable=(
            smallest_detectable_effect(spread, inference.patients, inference.replicates)
            if spread
            else None
        ),
        word=word or "",
        sentence=_sentence(pair, inference, margin, word, needed),
    )


def _sentence(
    pair: tuple[str, str], inference: Inference, margin: float, word: str | None, needed: str
) -> str:
    """The verdict, or what can be said without one."""
    baseline, candidate = pair
    named = f"{candidate} against {baseline}"
    if inference.status == "cells only":
        return f"{named}: no interval and no verdict; {needed}."
    estimate = f"mean difference in Dice {inference.mean:+.4f}"
    if inference.interval_95 is not None:
        low, high = inference.interval_95
        estimate += f", 95 % interval {low:+.4f} to {high:+.4f}"
    size = f"{inference.patients} test patients, {inference.replicates} replicates, {COHORT}"
    if word is None:
        return f"{named}: {estimate} ({size}). No verdict: {needed}."
    said = {
        "undecided": 'undecided, which is not "no difference"',
        "no useful effect": f"no useful effect (within {margin:g} Dice)",
    }.get(word, word)
    return f"{named}: {said}; {estimate} ({size})."
