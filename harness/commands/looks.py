"""Looks at the test patients: what one finds, and how many there were before."""

from __future__ import annotations

from harness.base.files import digest_of
from harness.commands.session import Session
from harness.compare.protocol import ComparisonPlan
from harness.compare.user_register import earlier_openings
from harness.inference.decision import decide
from harness.jobs.folder import JobFolder
from harness.jobs.spec import Spec
from harness.report.results import measured_tables


def finds_an_effect(session: Session, plan: ComparisonPlan) -> bool:
    """Whether a comparison that is scored, as far as it is planned, "helps" or "harms"."""
    rule = session.experiment.decision
    table = measured_tables(session.work, plan.tests)["mean"][rule.measure]
    primary = decide(table, rule, plan.extended, looked_at=plan.looked_at)[0]
    return primary.word.startswith(("helps", "harms"))


def looked_at_before(session: Session, opening: Spec) -> int:
    """Candidates that were looked at on the test patients of an opening before it: what it was made
    with, so that a verdict is the same whoever reads it; before that what the rule says, or the
    user's register where it knows of more."""
    made = [
        (folder.result() is not None, int(spec.config.get("looked_at", 0)))
        for path in session.work.jobs.glob("opening/*/spec.json")
        for folder in [JobFolder(path.parent)]
        for spec in [folder.spec()]
        if spec.inputs == opening.inputs and spec.config["rule"] == opening.config["rule"]
    ]
    if made:
        return max(made)[1]
    results = {name: session.work.result(of) for name, of in opening.inputs.items()}
    contents = {name: str(r["content"]) for name, r in results.items() if r and name != "store"}
    rule = opening.config["rule"]
    asked = rule["patients"], digest_of(rule), digest_of(contents)
    known = earlier_openings(session.root, *asked).candidates
    return max(known, session.experiment.decision.looked_at)
