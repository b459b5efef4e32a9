"""Everything that an experiment declares, in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.commands import steps
from harness.commands.compare import run_compare
from harness.commands.costs.forecast import foresee
from harness.commands.prepare import prepare_data
from harness.commands.report import write_page
from harness.commands.session import Session
from harness.commands.sweep import sweep_stages, swept_stages


def run_all(session: Session) -> dict[str, Any]:
    """Everything that the experiment declares, in order."""
    experiment = session.experiment
    steps.need_masks(session)
    if not experiment.conclusive:
        session.console.warn("this experiment shows the path; it is too short to conclude")
    found = {"prepare": prepare_data(session)}
    stages = swept_stages(experiment)
    foresee(session, [*stages, "comparison"])
    if stages:
        found["sweep"] = sweep_stages(session, stages)
    found["compare"] = run_compare(session)
    page = write_page(session)
    steps.show_report(session, Path(page["report"]))
    return {**found, **page}


def dry_run(session: Session) -> dict[str, Any]:
    """What `run_all` takes on this machine; patients are prepared, nothing is trained."""
    from harness.commands.costs.dry_run import dry_run as say  # by torch, which takes seconds

    steps.need_masks(session)
    prepare_data(session)
    found = say(session, [*swept_stages(session.experiment), "comparison"])
    for line in steps.extension_words(session):
        session.console.warn(line)
    return found
