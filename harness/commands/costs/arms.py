"""What each arm of a comparison cost: tuning and compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.commands.session import Session
from harness.compare.protocol import ComparisonPlan
from harness.compare.tuning import mixes_synthetic_pairs
from harness.inference.arm_summary import ArmCost
from harness.jobs.spec import Spec
from harness.sweep.plan import SweepPlan
from harness.work.specs import ARM_FILLS, SOURCES_OF_EXTRA


def arm_costs(
    session: Session,
    plan: ComparisonPlan,
    sweeps: Sequence[SweepPlan],
    candidates: Mapping[str, Any],
) -> list[ArmCost]:
    """Costs per arm, in the order of the experiment.

    Args:
        sweeps: of both stages.
        candidates: of magnitude and share, by axis as `TuningPlan.to_dict` has them.
    """
    tried = sum(len(sweep.trials) for sweep in sweeps)
    magnitudes, shares = (
        len(candidates[axis]["candidates"]) if axis in candidates else 0
        for axis in ("magnitude", "synthetic_fraction")
    )
    return [
        replace(
            _cost(session, plan, arm, tried),
            magnitudes_tried=magnitudes if ARM_FILLS[arm]["augment"] else 0,
            shares_tried=shares if mixes_synthetic_pairs(arm) else 0,
        )
        for arm in session.experiment.arms
    ]


def _cost(session: Session, plan: ComparisonPlan, arm: str, tried: int) -> ArmCost:
    trained = sum(
        _seconds(session, replicate.segmenters[arm], plan.segmenter_epochs)
        for replicate in plan.replicates
    )
    source = SOURCES_OF_EXTRA.get(arm)
    made = 0.0
    for replicate in plan.replicates:
        stages = {"synthesis": ("mask", "image"), "synthesis_on_real_masks": ("image",)}.get(
            source or "", ()
        )
        for training in (replicate.stages[stage] for stage in stages):
            made += _seconds(session, training.last, training.epochs)
            if training.decay is not None:
                made += _seconds(session, training.steady, training.steady_epochs)
        pairs = {
            "synthesis": replicate.synthesis,
            "synthesis_on_real_masks": replicate.synthesis_on_real_masks,
        }.get(source or "")
        made += _seconds(session, pairs, None) if pairs is not None else 0.0
    return ArmCost(
        arm, trained, made, tried if source in ("synthesis", "synthesis_on_real_masks") else 0
    )


def _seconds(session: Session, spec: Spec, epoch: int | None) -> float:
    result = session.work.job(spec).result(epoch)
    return float(result["cost"]["seconds"]) if result else 0.0
