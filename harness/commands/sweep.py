"""Search the settings of both stages; then each arm chooses those of its segmenter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.base.errors import ConfigError
from harness.base.text import counted, meant
from harness.commands import steps
from harness.commands.chosen_settings import (
    finished_sweeps,
    need_validation,
    tuning_of,
    why_untunable,
)
from harness.commands.costs.forecast import foresee
from harness.commands.prepare import prepare_data
from harness.commands.session import Session
from harness.commands.sweep_text import (
    candidate_lines,
    observation_lines,
    trial_lines,
    trial_mean,
)
from harness.compare.tuning import candidates_of_arm, tuned_arms
from harness.config.experiment import Experiment
from harness.sweep.chosen import newest_chosen
from harness.sweep.costs import Costs, count_costs
from harness.sweep.epochs import count_epochs
from harness.sweep.observations import observe
from harness.sweep.plan import SweepPlan

STAGES = ("mask", "image", "segmentation")


def stages_of(stage: str, experiment: Experiment) -> tuple[str, ...]:
    """The stages that `--stage` names: `all` are those that the experiment sweeps.

    Raises:
        ConfigError: no such stage, or the experiment has no sweep of it.
    """
    if stage not in (*STAGES, "all"):
        raise ConfigError(
            f"--stage must be mask, image, segmentation or all, but got '{stage}'"
            f"{meant(stage, (*STAGES, 'all'))}"
        )
    swept = swept_stages(experiment)
    wanted = swept if stage == "all" else tuple(name for name in swept if name == stage)
    if wanted:
        return wanted
    if stage == "segmentation" and experiment.sweep.segmentation is not None:
        why = why_untunable(experiment)
        raise ConfigError(f"the segmenters' settings cannot be chosen here: {why}")
    paths = " or ".join(f"sweep.{name}" for name in (STAGES if stage == "all" else (stage,)))
    raise ConfigError(f"a sweep needs {paths}, but got null; give it a space of settings")


def swept_stages(experiment: Experiment) -> tuple[str, ...]:
    """What `harness sweep` would search: stages with a space, the segmenters' settings if arms have
    any to choose among."""
    swept = (name for name in STAGES if getattr(experiment.sweep, name) is not None)
    why = why_untunable(experiment)
    return tuple(name for name in swept if name != "segmentation" or not why)


def run_sweep(session: Session, stages: Sequence[str]) -> dict[str, Any]:
    """Prepare, sweep, print the trials, freeze the choice."""
    prepare_data(session)
    foresee(session, stages)
    return sweep_stages(session, stages)


def sweep_stages(session: Session, stages: Sequence[str]) -> dict[str, Any]:
    costs: list[Costs] = []

    def ended(plan: SweepPlan) -> None:
        costs.append(count_costs(plan, session.work))
        for line in trial_lines(session.experiment, plan, costs[-1]):
            session.console.say(line)

    plans = steps.sweep(session, stages, ended)
    asked = session.experiment.observations
    observed = observe(session.work, asked, finished_sweeps(session)) if asked else []
    for line in observation_lines(observed):
        session.console.say(line)
    tuning = tuning_of(session) if "segmentation" in stages else None
    for line in candidate_lines(tuning) if tuning else []:
        session.console.say(line)
    chosen = newest_chosen(session.home)
    return {
        "chosen": str(chosen) if chosen else None,
        "sweeps": [_sweep_to_dict(plan, cost) for plan, cost in zip(plans, costs, strict=True)],
        "observations": [asdict(one) for one in observed],
        "segmentation": tuning.to_dict() if tuning else None,
    }


def dry_run_sweep(session: Session, stages: Sequence[str]) -> dict[str, Any]:
    """What a sweep would train, how long and how large."""
    from harness.commands.costs.dry_run import dry_run  # by torch, which takes seconds

    prepare_data(session)
    if "segmentation" in stages:
        need_validation(session)
        session.console.say(_choice_plan(session.experiment))
    return dry_run(session, stages)


def _sweep_to_dict(plan: SweepPlan, costs: Costs) -> dict[str, Any]:
    return {
        "stage": plan.stage,
        "study": plan.study,
        "objective": plan.objective,
        "finished": plan.finished,
        "best": plan.best.number if plan.best else None,
        "front": plan.front,
        "trials": [
            {
                "number": run.trial.number,
                "params": dict(run.trial.params),
                "value": trial_mean(run, plan),
                "failed_seeds": run.trial.failed_seeds,
                "too_large": run.too_large or None,
                "checkpoint_of": run.trial.checkpoint_of,
                "pruned_seeds": run.pruned_seeds,
                "further": dict(run.trial.further),
            }
            for run in plan.trials
        ],
        "epochs": asdict(count_epochs(plan)),
        "costs": asdict(costs),
    }


def _choice_plan(experiment: Experiment) -> str:
    """What the choice would train, in a sentence."""
    arms = tuned_arms(experiment)
    each = min(len(candidates_of_arm(experiment, arm)) for arm in arms)
    return (
        f"{' and '.join(arms)} choose among {counted(each, 'setting')} each, on "
        f"{counted(experiment.sweep.seeds, 'seed')}, of up to {experiment.segmentation.updates} "
        "updates a segmenter"
    )
