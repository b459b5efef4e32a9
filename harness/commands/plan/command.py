"""`harness plan`: before anything is trained, the cheapest design that sees the margin.

Test patients and replicates (each with its cohort, where it has one) are limited by the patients
that there are; hours are of this machine. Beside it stand simulated comparisons of the experiment's
own design. Trains nothing and leaves the test closed.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from harness.base.disk import may_write
from harness.base.errors import ConfigError, OutOfMemory
from harness.base.files import write_text
from harness.commands import steps
from harness.commands.chosen_settings import choice
from harness.commands.costs.forecast import seconds_per_unit
from harness.commands.plan.cost import Cost, cost_of
from harness.commands.plan.rates import rates
from harness.commands.plan.spread import spread_of
from harness.commands.plan.text import lines, sentence, table
from harness.commands.session import Session
from harness.data.roles import assign_roles
from harness.inference.cohorts import Cohorts
from harness.inference.crossed_t import table_status
from harness.inference.design import detectable_words, enough_for_verdict, plan_facts
from harness.inference.planning import Design, Limits, cheapest, design_of, sharpest
from harness.inference.power import equivalence_in_reach


def plan_comparison(
    session: Session,
    spread: Path | None = None,
    hours: float | None = None,
    repeats: int = 20_000,
    timed: bool = True,
) -> dict[str, Any]:
    """Plan; store, print and return the designs and how often each verdict is given.

    Args:
        spread: scores of a finished comparison on other patients; None: `decision.assumed`.
        hours: that the comparison may take, above 0.
        repeats: simulated comparisons per true difference.
        timed: False plans without hours, and times no steps.

    Returns:
        JSON-ready; `table`, where the rates are kept, is None where the work folder cannot be
        written; `rates` is empty where the experiment's own design allows no interval;
        `affordable` is the sharpest design within the hours, `needed` what the margin would take
        where no design sees it.
    """
    if hours is not None and not (math.isfinite(hours) and hours > 0):
        raise ConfigError(
            f"--hours must be a number above 0, but got {hours:g}; leave it out to plan without"
        )
    # The planner's own rule, so that what is simulated is what a comparison would do.
    rule = steps.comparison_of(session, choice(session)).rule()
    margin, cohorts = session.experiment.decision.margin, steps.cohorts_of(session)
    measured = session.experiment.decision.measured
    tests, roles = _test_patients(session), list(session.roles.values())
    seen = spread_of(session, spread, tests)
    limits = Limits(len(tests), roles.count("train"), cohorts)
    cost, untimed = _timed(session, cohorts) if timed else (None, "nobody asked for them")
    best = cheapest(seen.components, margin, limits)
    most = cost.replicates_within(hours) if cost and hours else 0
    size = len(rule["patients"]), len(rule["replicates"])
    status, note = table_status(np.zeros(size))
    interval = status != "cells only"
    own = design_of(seen.components, *size, cohorts.overlap) if interval else None
    more = enough_for_verdict(limits.patients, size[1])
    needed = plan_facts(seen.components, *more, margin, limits.overlap(more[1]))
    found: dict[str, Any] = {
        "margin": margin,
        "measure": measured.words,
        "unit": measured.unit,
        "spread": asdict(seen),
        "patients": size[0],
        "replicates": size[1],
        "limits": {
            **asdict(limits),
            "replicates": limits.replicates,
            "verdict": limits.verdict,
        },
        "hours": hours,
        "cost": cost and asdict(cost),
        "untimed": untimed,
        "cheapest": _told(best, cost),
        "affordable": _told(sharpest(seen.components, limits, most), cost),
        "needed": None if best else detectable_words(needed),
        "own": _told(own, cost),
        "status": status,
        "note": note,
        "rates": rates(own, seen, margin, repeats, measured.share) if own else [],
        "equivalence_in_reach": own
        and equivalence_in_reach(seen.components, *size, margin, overlap=own.overlap),
    }
    path = session.home / "plan-rates.csv"
    kept = may_write(path.parent)
    if kept:
        write_text(path, table(found["rates"]))
    for line in lines(found):
        session.console.say(line)
    return {**found, "verdict": sentence(found), "table": str(path) if kept else None}


def _test_patients(session: Session) -> set[str]:
    """Names of all that could test, those beyond data.limit.test too."""
    config, usable = session.experiment.data, session.patient_index.with_structures
    every = config.limit.model_copy(update={"test": None})
    roles = assign_roles({p.digest: p.role for p in usable}, config.roles, every)
    return {p.patient for p in usable if roles.get(p.digest) == "test"}


def _timed(session: Session, cohorts: Cohorts) -> tuple[Cost | None, str]:
    """What replicates cost here, or why nobody knows."""
    if session.address is not None:
        return None, "what a cluster does in an hour is not timed from here"
    steps.prepared(session)
    try:
        per_unit = seconds_per_unit(session, now=True)
    except OutOfMemory as error:
        return None, str(error)
    return cost_of(session, cohorts, per_unit), ""


def _told(design: Design | None, cost: Cost | None) -> dict[str, Any] | None:
    if design is None:
        return None
    return {**asdict(design), "hours": cost and cost.hours(design.replicates)}
