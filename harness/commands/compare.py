"""Train every arm, evaluate on the test patients once, decide; print the arms and the verdicts."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain
from typing import Any

from harness.base.files import write_text
from harness.commands import audit, steps
from harness.commands.chosen_settings import candidates_of, finished_sweeps
from harness.commands.compare_text import (
    budget_lines,
    contrast_lines,
    dose_lines,
    table_lines,
    verdict_lines,
)
from harness.commands.costs.arms import arm_costs, arm_exposures
from harness.commands.costs.forecast import foresee
from harness.commands.session import Session
from harness.inference.arm_summary import arm_means
from harness.report.results import mixed_versions, patient_measures


def dry_run(session: Session) -> dict[str, Any]:
    """What a comparison takes on this machine; patients are prepared, nothing is trained."""
    from harness.commands.costs.dry_run import dry_run as say  # by torch, which takes seconds

    steps.prepare(session)
    found = say(session, ["comparison"])
    for line in (*steps.floor_words(session), *steps.extension_words(session)):
        session.console.warn(line)
    return found


def run_compare(session: Session) -> dict[str, Any]:
    """Compare, print the arms and the verdicts, write the scores."""
    if session.ahead is None:  # no part of a larger command
        steps.prepare(session)
        foresee(session, ["comparison"])
    compared = steps.compare(session)
    path = session.home / "scores.csv"
    rule = session.experiment.decision
    measures = patient_measures(session.work, compared.plan.tests, rule.measure)
    write_text(path, compared.table.to_csv(measures))
    say = session.console.say
    for stage, origin in compared.choice.origin.items():
        say(f"{stage}: {origin}" if stage == "segmentation" else f"{stage} stage: {origin}")
    graph = session.graph()
    sweeps, candidates = finished_sweeps(session, graph), candidates_of(session, graph)
    costs = arm_costs(session, compared.plan, sweeps, candidates)
    exposures = arm_exposures(session, compared.plan)
    for line in table_lines(compared, rule.measured, costs, exposures):
        say(line)
    audits = audit.audit(session, compared.plan)
    (session.console.warn if compared.earlier.trouble else say)(compared.earlier.sentence)
    if mixed := mixed_versions(session.work, compared.plan):
        session.console.warn(mixed)
    told = (
        dose_lines(compared, rule.measured),
        contrast_lines(compared, rule),
        budget_lines(compared, rule.measured),
        [one.sentence(rule.measured.digits + 1) for one in compared.subgroups],
        verdict_lines(compared),
    )
    for line in (*audit.lines(audits), *chain(*told)):
        say(line)
    return {
        "scores": str(path),
        "audits": audits,
        "means": {entry.arm: entry.mean for entry in arm_means(compared.table)},
        "costs": [asdict(cost) for cost in costs],
        "exposures": {arm: asdict(seen) for arm, seen in exposures.items()},
        "question": rule.question,
        "measure": rule.measure,
        "failures": [asdict(entry) for entry in compared.failures],
        "subgroups": [one.to_dict() for one in compared.subgroups],
        "effects": [effect.to_dict() for effect in compared.effects],
        "doses": [asdict(dose) for dose in compared.doses],
        "worth": [one.to_dict() for one in compared.worth],
        "budget": asdict(compared.budget),
        "verdicts": [effect.sentence for effect in compared.effects],
        "earlier_openings": compared.earlier.to_dict(),
        "chosen": dict(compared.choice.origin),
    }
