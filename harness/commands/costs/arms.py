"""What each arm of a comparison cost, tuning and compute, and what its trainings saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.commands.session import Session
from harness.compare.protocol import ComparisonPlan
from harness.config.arms import arm_of
from harness.data.pairs.store import Store
from harness.inference.arm_summary import ArmCost
from harness.jobs.spec import Input
from harness.sweep.plan import SweepPlan
from harness.work.slots import Exposure, exposure


def arm_costs(
    session: Session,
    plan: ComparisonPlan,
    sweeps: Sequence[SweepPlan],
    candidates: Mapping[str, Any],
) -> list[ArmCost]:
    """Costs per arm, in the order of the experiment.

    Args:
        sweeps: of both stages.
        candidates: of the segmenters' settings, by arm as `TuningPlan.to_dict` has them.
    """
    tried = sum(len(sweep.trials) for sweep in sweeps)
    least = min((len(entry["candidates"]) for entry in candidates.values()), default=0)
    return [
        replace(_cost(session, plan, arm, tried), candidates=least)
        for arm in session.experiment.arms
    ]


def arm_exposures(session: Session, plan: ComparisonPlan) -> dict[str, Exposure]:
    """What one training of each arm saw; the same in every replicate."""
    store = Store.open(session.work.job(plan.replicates[0].store).verified() / "store")
    segmenters = plan.replicates[0].segmenters
    return {arm: exposure(spec.config, store) for arm, spec in segmenters.items()}


def _cost(session: Session, plan: ComparisonPlan, arm: str, tried: int) -> ArmCost:
    of = arm_of(arm)
    trained = _seconds(session, [replicate.done(arm) for replicate in plan.replicates])
    made = _seconds(session, [job for rep in plan.replicates for job in rep.generators(of)])
    return ArmCost(arm, trained, made, tried if of.pairs.stages else 0)


def _seconds(session: Session, jobs: Iterable[Input]) -> float:
    results = [session.work.result(job) for job in jobs]
    return sum(float(result["cost"]["seconds"]) for result in results if result)
