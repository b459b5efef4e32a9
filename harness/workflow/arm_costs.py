"""What each arm of a comparison cost: tuning and compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.compare.protocol import ComparisonPlan
from harness.compare.summary import ArmCost
from harness.compare.tuning import TuningPlan
from harness.records.spec import Spec
from harness.sweep.planner import SweepPlan
from harness.work.specs import ARM_FILLS, SOURCES_OF_EXTRA
from harness.workflow.session import Session


def arm_costs(
    session: Session,
    plan: ComparisonPlan,
    sweeps: Sequence[SweepPlan],
    tuning: TuningPlan | None,
) -> list[ArmCost]:
    """A ledger per arm, in the order of the experiment; `sweeps` are those of both stages."""
    tried = sum(len(sweep.trials) for sweep in sweeps)
    candidates = tuning.candidates if tuning is not None else {}
    strengths, shares = (len(candidates.get(axis, ())) for axis in ("strength", "extra_share"))
    return [
        replace(
            _cost(session, plan, arm, tried),
            strengths_tried=strengths if ARM_FILLS[arm]["augment"] else 0,
            shares_tried=shares if _mixes(arm) else 0,
        )
        for arm in session.experiment.arms
    ]


def _mixes(arm: str) -> bool:
    """Whether the arm mixes pairs that were made with real ones."""
    return arm in SOURCES_OF_EXTRA and ARM_FILLS[arm].get("order", "mixed") == "mixed"


def _cost(session: Session, plan: ComparisonPlan, arm: str, tried: int) -> ArmCost:
    trained = sum(
        _seconds(session, chain.segmenters[arm], plan.segmenter_epochs) for chain in plan.chains
    )
    source = SOURCES_OF_EXTRA.get(arm)
    made = 0.0
    for chain in plan.chains:
        stages = {"synthesis": ("mask", "image"), "repaint": ("image",)}.get(source or "", ())
        for training in (chain.stages[stage] for stage in stages):
            made += _seconds(session, training.last, training.epochs)
            if training.decay is not None:
                made += _seconds(session, training.steady, training.steady_epochs)
        pairs = {"synthesis": chain.synthesis, "repaint": chain.repaint}.get(source or "")
        made += _seconds(session, pairs, None) if pairs is not None else 0.0
    return ArmCost(arm, trained, made, tried if source in ("synthesis", "repaint") else 0)


def _seconds(session: Session, spec: Spec, epoch: int | None) -> float:
    result = session.work.job(spec).result(epoch)
    return float(result["cost"]["seconds"]) if result else 0.0
