"""Plan the trainings that show whether the declared updates suffice, on validation patients."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.compare.replicate import Replicate, ReplicatePlanner
from harness.inference.budget import FACTORS
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Spec


@dataclass
class BudgetPlan:
    """As planned so far, by factor of the declared updates.

    Attributes:
        scores: specs of validation scores by (arm, seed).
    """

    replicates: dict[float, list[Replicate]] = field(default_factory=dict)
    scores: dict[float, dict[tuple[str, int], Spec]] = field(default_factory=dict)


def plan_budget(planner: ReplicatePlanner, graph: JobGraph) -> BudgetPlan:
    """Ask for both arms of the primary question at every budget on the sweep's seeds, and for their
    validation scores; for nothing where `decision.budget_seeds` is 0."""
    rule, plan = planner.specs.experiment.decision, BudgetPlan()
    for factor in FACTORS if rule.budget_seeds else ():
        under, at = planner.with_updates(factor), f"{factor:g} x the updates"
        plan.replicates[factor] = [
            under.plan(graph, seed, rule.primary, f"sweep seed {seed}, {at}")
            for seed in range(rule.budget_seeds)
        ]
        plan.scores[factor] = scored(under, graph, plan.replicates[factor], at)
    return plan


def scored(
    planner: ReplicatePlanner, graph: JobGraph, replicates: list[Replicate], at: str
) -> dict[tuple[str, int], Spec]:
    """Ask for the validation score of every segmenter; specs by (arm, seed)."""
    specs: dict[tuple[str, int], Spec] = {}
    for replicate in replicates:
        for arm in replicate.segmenters:
            spec = planner.specs.validation_score(planner.store, replicate.done(arm))
            graph.need(spec, label=f"validation of {arm}, sweep seed {replicate.seed}, {at}")
            specs[arm, replicate.seed] = spec
    return specs
