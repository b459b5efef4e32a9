"""How often a design's verdict would be right and wrong, counted over simulated comparisons."""

from __future__ import annotations

from typing import Any

from harness.base.rng import generator
from harness.commands.plan.spread import Spread
from harness.inference.planning import Design
from harness.inference.simulation import (
    BOUNDED,
    NO_VERDICT,
    WORDS,
    Counts,
    bounded,
    count,
    count_tables,
    from_mean_squares,
    monte_carlo_error,
)

TRUTHS = {"none": 0.0, "half the margin": 0.5, "the margin": 1.0, "twice the margin": 2.0}
"""True differences by name, in margins."""

DETECTABLE = "the design's smallest effect"


def rates(
    design: Design, spread: Spread, margin: float, repeats: int, share: bool = True
) -> list[dict[str, Any]]:
    """What comes out under each true difference; of none, on bounded data as well where the
    measure is a `share`."""
    size, overlap = (design.patients, design.replicates), design.overlap
    effects = {name: margins * margin for name, margins in TRUTHS.items()}
    effects[DETECTABLE] = design.detectable
    rows = []
    for name, effect in effects.items():
        rng = generator(0, "plan", name)
        found = from_mean_squares(spread.components, *size, repeats, rng, effect, overlap)
        rows.append(_row(name, effect, "normal", count(found, margin)))
    if not share:
        return rows
    rng = generator(0, "plan", BOUNDED)
    counts = count_tables(
        lambda n: bounded(spread.components, (n, *size), rng, spread.level, overlap),
        *size,
        repeats,
        margin,
        overlap,
    )
    return [rows[0], _row("none", 0.0, BOUNDED, counts), *rows[1:]]


def _row(truth: str, effect: float, data: str, counts: Counts) -> dict[str, Any]:
    return {
        "truth": truth,
        "effect": effect,
        "data": data,
        "repeats": counts.repeats,
        "excludes_zero": counts.rejected,
        "error": monte_carlo_error(counts.rejected, counts.repeats),
        "verdicts": {verdict: counts.share(verdict) for verdict in (*WORDS, NO_VERDICT)},
    }
