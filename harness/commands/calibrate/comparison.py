"""`harness calibrate comparison`: how often this design's verdict would be right and wrong.

Simulated comparisons with the experiment's own numbers of test patients and replicates, and the
variance components of its finished comparison, else those of `decision.assumed`. Trains nothing
and leaves the test closed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.base.errors import DataError
from harness.base.files import write_text
from harness.base.rng import generator
from harness.commands import steps
from harness.commands.calibrate.comparison_text import lines, sentence, table
from harness.commands.chosen_settings import choice
from harness.commands.session import Session
from harness.inference.crossed_t import (
    PATIENTS_FOR_VERDICT,
    REPLICATES_FOR_VERDICT,
    VarianceComponents,
    table_status,
)
from harness.inference.design import assumed_components
from harness.inference.power import (
    equivalence_in_reach,
    patients_needed,
    replicates_needed,
    smallest_detectable_effect,
)
from harness.inference.simulation import (
    BOUNDED,
    LEVEL,
    NO_VERDICT,
    WORDS,
    Counts,
    bounded,
    count,
    count_tables,
    from_mean_squares,
    monte_carlo_error,
    wilcoxon_on_one_replicate,
)

REPEATS = 20_000
LEVELS = 0.05, 0.95
"""Mean Dice beyond which bounded tables would hardly spread."""

TRUTHS = {"none": 0.0, "half the margin": 0.5, "the margin": 1.0, "twice the margin": 2.0}
"""True differences by name, in margins."""

DETECTABLE = "smallest detectable"


@dataclass(frozen=True)
class Design:
    """What is simulated.

    Attributes:
        patients, replicates: test patients and replicates of the experiment.
        margin: smallest difference in Dice that matters.
        components: standard deviations of the primary difference.
        level: Dice in the middle of bounded data.
        origin: "observed" in the finished comparison, or "assumed".
    """

    patients: int
    replicates: int
    margin: float
    components: VarianceComponents
    level: float
    origin: str


def design_of(session: Session) -> Design:
    """The experiment's design, with the observed components if its comparison is finished.

    Raises:
        DataError: there are no test patients, or the components are assumed to be zero.
    """
    # The planner's own rule, so that what is simulated is what a comparison would do.
    rule = steps.comparison_of(session, choice(session)).rule()
    decision = session.experiment.decision
    components, level, origin = assumed_components(decision), LEVEL, "assumed"
    plan = steps.begun_comparison(session)
    if plan is not None and plan.finished:
        compared = steps.read_comparison(session, plan)
        primary = compared.effects[0]
        if primary.inference.components is not None:
            components, origin = primary.inference.components, "observed"
            arms = [compared.table.values(arm) for arm in (primary.baseline, primary.candidate)]
            level = float(np.clip(np.mean(arms), *LEVELS))
    if not any(asdict(components).values()):
        raise DataError(
            f"a simulation needs some spread, but got 0 for patients, replicates and residual "
            f"({origin}); set decision.assumed to what differences vary by"
        )
    return Design(
        len(rule["patients"]), len(rule["replicates"]), decision.margin, components, level, origin
    )


def calibrate_comparison(session: Session, repeats: int = REPEATS) -> dict[str, Any]:
    """Simulate; store, print and return how often each verdict is given.

    Args:
        repeats: simulated comparisons per true difference.

    Returns:
        JSON-ready; `rates` is empty where the design allows no interval.
    """
    design = design_of(session)
    size = design.patients, design.replicates
    status, note = table_status(np.zeros(size))
    components, interval = design.components, status != "cells only"
    found: dict[str, Any] = {
        "of": "comparison",
        "design": asdict(design),
        "status": status,
        "note": note,
        "rates": rates(design, repeats) if interval else [],
        "smallest_detectable": smallest_detectable_effect(components, *size) if interval else None,
        "equivalence_in_reach": (
            equivalence_in_reach(components, *size, design.margin) if interval else None
        ),
        "needed": needed(design),
        "wilcoxon_on_one_replicate": _wilcoxon(design, repeats),
    }
    path = session.home / "calibration-comparison.csv"
    write_text(path, table(found["rates"]))
    for line in lines(found):
        session.console.say(line)
    return {**found, "verdict": sentence(found), "table": str(path)}


def rates(design: Design, repeats: int) -> list[dict[str, Any]]:
    """What comes out under each true difference; of none, on bounded data as well."""
    size = design.patients, design.replicates
    effects = {name: margins * design.margin for name, margins in TRUTHS.items()}
    effects[DETECTABLE] = smallest_detectable_effect(design.components, *size)
    rows = []
    for name, effect in effects.items():
        rng = generator(0, "calibration", "comparison", name)
        simulated = from_mean_squares(design.components, *size, repeats, rng, effect)
        rows.append(_row(name, effect, "normal", count(simulated, design.margin)))
    rng = generator(0, "calibration", "comparison", BOUNDED)
    counts = count_tables(
        lambda n: bounded(design.components, (n, *size), rng, design.level),
        *size,
        repeats,
        design.margin,
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


def needed(design: Design) -> dict[str, int | None]:
    """Patients (at these replicates) and replicates (at these patients) that see the margin.

    At 80 % power, and enough for a verdict. None: more than 500; left out where the other number
    is below 2.
    """
    found: dict[str, int | None] = {}
    if design.replicates >= 2:
        count_of = patients_needed(design.components, design.replicates, design.margin)
        found["patients"] = count_of and max(count_of, PATIENTS_FOR_VERDICT)
    if design.patients >= 2:
        count_of = replicates_needed(design.components, design.patients, design.margin)
        found["replicates"] = count_of and max(count_of, REPLICATES_FOR_VERDICT)
    return found


def _wilcoxon(design: Design, repeats: int) -> dict[str, Any]:
    rng = generator(0, "calibration", "comparison", "wilcoxon")
    share = wilcoxon_on_one_replicate(design.components, design.patients, repeats, rng)
    error = monte_carlo_error(share, repeats)
    return {"rejected": share, "error": error, "repeats": repeats}
