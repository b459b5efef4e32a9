"""What `harness sweep` says of the candidates of augmentation magnitude and synthetic
fraction."""

from __future__ import annotations

from harness.base.text import counted
from harness.compare.tuning import TuningPlan
from harness.config.experiment import Experiment
from harness.inference.dose import AXIS_NAMES


def choice_plan(experiment: Experiment) -> str:
    """What the choice would train, in a sentence."""
    asked, rule = experiment.sweep.segmentation, experiment.decision
    assert asked is not None
    each = f"{counted(len(asked.magnitude), 'candidate')} each x "
    each += counted(experiment.sweep.seeds, "seed")
    return (
        f"augmentation magnitude of '{rule.baseline}', synthetic fraction of '{rule.candidate}': "
        f"{each}, "
        f"{experiment.segmentation.updates} updates a segmenter"
    )


def candidate_lines(plan: TuningPlan) -> list[str]:
    """A line per candidate, the chosen one marked."""
    found = []
    for axis, candidates in plan.candidates.items():
        found.append(
            f"{AXIS_NAMES[axis]}, validation Dice of '{candidates[0].arm}' (mean; each seed):"
        )
        for candidate in candidates:
            mark = "*" if plan.chosen.get(axis) == candidate.value else " "
            mean = "running" if candidate.mean is None else f"{candidate.mean:.4f}"
            seeds = ", ".join("running" if d is None else f"{d:.4f}" for d in candidate.dice)
            found.append(f" {mark} {candidate.value:g}: {mean}  ({seeds})")
    return found
