"""Audits of a finished comparison's replicates: what their synthetic pairs are worth and owe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.commands.session import Session
from harness.compare.protocol import ComparisonPlan
from harness.compare.replicate import Replicate
from harness.config.arms import arm_of
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Input, Spec
from harness.tracking.views.verdicts import audit_views


def audit(session: Session, plan: ComparisonPlan) -> dict[int, dict[str, Any]]:
    """Make what is missing; values of each replicate's audit, by seed. {} without a GAN arm."""
    found: dict[int, dict[str, Any]] = session.drive(
        lambda graph: read_audits(session, plan, graph)
    )
    if found:
        session.views["audit"] = audit_views(audit_specs(session, plan), session.graph())
    return found


def read_audits(
    session: Session, plan: ComparisonPlan, graph: JobGraph
) -> dict[int, dict[str, Any]]:
    """Ask the graph for every audit and its parts; values of those that are finished, by seed."""
    specs = audit_specs(session, plan)
    stores = {replicate.store.digest: replicate for replicate in plan.replicates if specs}
    for replicate in stores.values():  # replicates of one cohort share the parts
        parts = session.specs.audit_parts(replicate.store, _judge(plan, replicate))
        for name, spec in parts.items():
            graph.need(spec, label=name.replace("-", " of real ", 1))
    results = {s: graph.need(spec, label=f"audit of replicate {s}") for s, spec in specs.items()}
    return {seed: result["values"] for seed, result in results.items() if result}


def audit_folders(session: Session, plan: ComparisonPlan) -> dict[int, Path]:
    """Where each replicate's audit lies, with its pictures."""
    return {seed: session.work.job(s).path for seed, s in audit_specs(session, plan).items()}


def audit_specs(session: Session, plan: ComparisonPlan) -> dict[int, Spec]:
    """A replicate's audit by its seed."""
    return {
        replicate.seed: session.specs.audit(
            replicate.store,
            replicate.synthesis,
            replicate.scores["image"].inputs["training"],
            _judge(plan, replicate),
            replicate.seed,
        )
        for replicate in plan.replicates
        if replicate.synthesis is not None
    }


def _judge(plan: ComparisonPlan, of: Replicate) -> Input | None:
    """The segmenter that judges a replicate's labels: that of the first replicate with the same
    training patients that saw real pairs alone, all with labels of their own; one that augments, if
    there is one."""
    replicate = next(entry for entry in plan.replicates if entry.store == of.store)
    arms = {name: arm_of(name) for name in replicate.segmenters}
    real = [
        (arm.pairs.stream != "shared", not arm.augmented, name)
        for name, arm in arms.items()
        if not (arm.pairs.generated or arm.pairs.not_exported)
    ]
    return replicate.done(min(real)[2]) if real else None


def lines(found: dict[int, dict[str, Any]]) -> list[str]:
    """What the console says: a line per replicate and kind of image."""
    from harness.report.audits import JUDGED  # by matplotlib

    text = [JUDGED] if any("mask" in values for values in found.values()) else []
    for seed, values in found.items():
        for shows, title in (("mask", "masks"), ("ct", "CT")):
            if shows in values:
                part = values[shows]
                text.append(f"replicate {seed}, {title}: {part['collapse']['sentence']}")
                text.append(f"replicate {seed}, {title}: {part['memorisation']['sentence']}")
        labels = values["labels"]
        if "synthetic" in labels and labels["synthetic"]["value"] is not None:
            text.append(
                f"replicate {seed}, labels: a segmenter of real patients finds the conditioning "
                f"mask at Dice {labels['synthetic']['value']:.2f}, and validation structures at "
                f"{labels['real']['value']:.2f}. {labels['sentence']}"
            )
    return text
