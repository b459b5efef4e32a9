"""The answer of `harness decide` as lines that people read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from harness.base.text import counted, interval, number, percent, probability, signed, typeset
from harness.commands.decide.request import LOWER
from harness.inference.companion import ASIDE
from harness.inference.crossed_t import VarianceComponents
from harness.inference.design import detectable_words, equivalence_words, plan_facts
from harness.inference.verdict_text import FAMILIES, adjusted_for, spoken

OVER = {"patient": "over patients", "replicate": "over replicates", "residual": "residual"}
MOST_MEANS = 20
ALL = "--json has them all"
FEW_PATIENTS, FEW_REPLICATES = 30, 10
"""A table up to this size is printed where there is nothing else to print."""


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The answer line by line: the verdict, what stands beside it, the further comparisons; of
    several measures the common verdict first."""
    if "measures" in found:
        if found["verdict"]:
            yield f"{typeset(found['verdict'])} Every measure by itself:"
        for about in found["measures"].values():
            yield ""
            yield from lines(about)
        return
    effects, margin = found["effects"], found["margin"]
    primary, *others = effects
    yield typeset(primary["sentence"])
    yield ""
    yield from _missing(found["missing"])
    yield from _numbers(primary, margin)
    yield from _beside(primary)
    yield from _means(found["differences"][0], found["better"] == LOWER)
    if primary["status"] == "cells only":
        yield from _cells(found["differences"][0])
    if found["failure_rate_left_open"] is not None:
        clean = counted(primary["replicates"], "clean replicate")
        leave = "leaves" if primary["replicates"] == 1 else "leave"
        share = percent(found["failure_rate_left_open"])
        yield f"failures: {clean} {leave} a failure rate up to {share} open"
    if found["companion"] is not None:
        yield f"probability by margin {margin:g} ({ASIDE}): {found['companion']['words']}"
    yield f"scope: {primary['scope']}"
    if primary["method"]:
        yield f"method: {primary['method']}."
    if any(not effect["primary"] for effect in others):
        yield ""
        yield f"{FAMILIES}."
    for effect in others:
        yield ""
        yield typeset(effect["sentence"])
        yield from _numbers(effect, margin)
        yield from _beside(effect)


def _beside(effect: Mapping[str, Any]) -> Iterator[str]:
    """What a verdict on holes rests on, and further estimates from the same cells."""
    if effect["cells_filled"]:
        yield (
            f"  {counted(effect['cells_filled'], 'difference')} filled in by the additive fit: "
            "sound where they lack for a cause that has nothing to do with the result"
        )
    for other in effect["beside"]:
        line = f"  {other['name']}: {signed(other['mean'], 4)}"
        if other["interval_95"] is not None:
            line += f", 95 % interval {interval(other['interval_95'], 4)}"
        about = ", ".join(part for part in (other["size"], other["status"]) if part)
        yield f"{line} ({about.removesuffix(', cells only')})"


def _missing(missing: Mapping[str, Any]) -> Iterator[str]:
    if not missing["count"]:
        return
    named = "; ".join(
        f"patient {cell['patient']}, replicate {cell['replicate']}, arm {cell['arm']}"
        for cell in missing["first"]
    )
    more = "; ..." if missing["count"] > len(missing["first"]) else ""
    each = ", ".join(f"{arm} {count}" for arm, count in missing["by_arm"].items())
    yield f"missing: {missing['count']} of {missing['of']} cells ({each}): {named}{more}"
    if 2 * missing["count"] >= missing["of"]:
        yield "  (arms are compared within a patient and replicate: both need the same ids)"


def _numbers(effect: Mapping[str, Any], margin: float) -> Iterator[str]:
    """What the sentence rests on; a pilot has no p, cells alone have no interval either."""
    there = " (of the cells that there are)" if "lack" in effect["needed"] else ""
    yield f"  mean difference      {signed(effect['mean'], 4)}{there}"
    if effect["interval_95"] is None:
        return
    yield f"  95 % interval        {interval(effect['interval_95'], 4)}"
    yield f"  90 % interval        {interval(effect['interval_90'], 4)}"
    if effect["p"] is not None:
        yield f"  p, two-sided         {probability(effect['p'])}"
        yield f"  p, equivalence       {probability(effect['p_equivalence'])}"
    yield f"  standard error       {number(effect['standard_error'], 4)}, {_freedom(effect)}"
    if effect["look"]:
        at = 100 * (1 - effect["look"]["level"])
        yield f"  at this look's {at:.2f} %  {interval(effect['interval_95_adjusted'], 4)}"
    elif adjusted_for(effect["comparisons"]):
        yield f" {adjusted_for(effect['comparisons'])}:"
        yield f"  95 % interval        {interval(effect['interval_95_adjusted'], 4)}"
        yield f"  90 % interval        {interval(effect['interval_90_adjusted'], 4)}"
        if effect["p_adjusted"] is not None:
            yield f"  p, two-sided         {probability(effect['p_adjusted'])}"
            yield f"  p, equivalence       {probability(effect['p_equivalence_adjusted'])}"
    if effect["sd_patient"] is None:
        return
    deviations = ", ".join(f"{of} {number(effect[f'sd_{key}'], 4)}" for key, of in OVER.items())
    yield f"  standard deviations  {deviations}"
    components = VarianceComponents(*(effect[f"sd_{key}"] for key in OVER))
    facts = plan_facts(components, effect["patients"], effect["replicates"], margin)
    yield f"  {detectable_words(facts, observed=True)}"
    if effect["word"] != "no useful effect":  # found is found, however unlikely it was
        yield f"  {equivalence_words(facts, spoken('no useful effect', effect['question']))}"


def _freedom(effect: Mapping[str, Any]) -> str:
    """Degrees of freedom, and how their t quantiles are mixed."""
    df = ", ".join(f"{each:g}" for each in effect["df"])
    if len(effect["df"]) == 1:
        return f"{df} degrees of freedom"
    weights = ", ".join(f"{100 * weight:.0f}" for weight in effect["weights"])
    return f"degrees of freedom {df}, mixed {weights} %"


def _means(about: Mapping[str, Any], lower_is_better: bool) -> Iterator[str]:
    """Every replicate's mean, and the worst patient."""
    named = list(zip(about["replicates"], about["replicate_means"], strict=True))
    if not any(math.isfinite(mean) for _, mean in named):  # unpaired ones have no difference
        return
    each = ", ".join(f"{name}: {signed(value)}" for name, value in named[:MOST_MEANS])
    if len(named) > MOST_MEANS:
        each += f", and {len(named) - MOST_MEANS} more ({ALL})"
    yield f"replicates (mean difference): {each}"
    means = about["patient_means"]
    known = [place for place, value in enumerate(means) if math.isfinite(value)]
    if known:
        worst = (max if lower_is_better else min)(known, key=lambda place: means[place])
        yield f"worst patient: {about['patients'][worst]} ({signed(means[worst])})"


def _cells(about: Mapping[str, Any]) -> Iterator[str]:
    """The differences themselves, where they fit."""
    patients, replicates = about["patients"], about["replicates"]
    if len(patients) > FEW_PATIENTS or len(replicates) > FEW_REPLICATES:
        size = f"{counted(len(patients), 'patient')} x {counted(len(replicates), 'replicate')}"
        yield f"differences: {size}, too many to print ({ALL})"
        return
    width = max(7, *(len(str(name)) for name in replicates))
    first = max(len("patient"), *(len(name) for name in patients))
    yield "differences:"
    yield "  " + "patient".ljust(first) + "".join(f"  {name!s:>{width}}" for name in replicates)
    for name, row in zip(patients, about["cells"], strict=True):
        yield f"  {name.ljust(first)}" + "".join(f"  {signed(v):>{width}}" for v in row)
