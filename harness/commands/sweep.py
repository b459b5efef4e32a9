"""Search the settings of both stages; then choose, once, what all arms share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.base.errors import ConfigError
from harness.base.text import counted, duration, meant, settings_text, size
from harness.commands import steps
from harness.commands.chosen_settings import need_validation, tuning_of, why_untunable
from harness.commands.prepare import prepare_data
from harness.commands.session import Session
from harness.compare.tuning import TuningPlan
from harness.config.experiment import Experiment
from harness.inference.dose import AXIS_NAMES
from harness.report.results import seed_value
from harness.report.sweeps import epochs_words
from harness.sweep.chosen import newest_chosen
from harness.sweep.costs import Costs, count_costs
from harness.sweep.epochs import count_epochs
from harness.sweep.plan import SweepPlan, TrialRun
from harness.sweep.planner import TOO_LARGE

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
        raise ConfigError(
            f"augmentation magnitude and synthetic fraction cannot be chosen here: {why}"
        )
    paths = " or ".join(f"sweep.{name}" for name in (STAGES if stage == "all" else (stage,)))
    raise ConfigError(f"a sweep needs {paths}, but got null; give it a space of settings")


def swept_stages(experiment: Experiment) -> tuple[str, ...]:
    """What `harness sweep` would search: stages with a space, magnitude and fraction if they can
    be."""
    swept = (name for name in STAGES if getattr(experiment.sweep, name) is not None)
    why = why_untunable(experiment)
    return tuple(name for name in swept if name != "segmentation" or not why)


def run_sweep(session: Session, stages: Sequence[str]) -> dict[str, Any]:
    """Prepare, sweep, print the trials, freeze the choice."""
    prepare_data(session)
    return sweep_stages(session, stages)


def sweep_stages(session: Session, stages: Sequence[str]) -> dict[str, Any]:
    costs: list[Costs] = []

    def ended(plan: SweepPlan) -> None:
        costs.append(count_costs(plan, session.work))
        _print_trials(session, plan, costs[-1])

    plans = steps.sweep(session, stages, ended)
    tuning = tuning_of(session) if "segmentation" in stages else None
    for line in _candidate_lines(tuning) if tuning else []:
        session.console.say(line)
    chosen = newest_chosen(session.home)
    return {
        "chosen": str(chosen) if chosen else None,
        "sweeps": [_sweep_to_dict(plan, cost) for plan, cost in zip(plans, costs, strict=True)],
        "segmentation": tuning.to_dict() if tuning else None,
    }


def dry_run_sweep(session: Session, stages: Sequence[str]) -> dict[str, Any]:
    """What a sweep would train, how long and how large."""
    from harness.commands.costs.sweep_estimate import estimate  # by torch, which takes seconds

    prepare_data(session)
    if "segmentation" in stages:
        need_validation(session)
    found = [estimate(session, stage) for stage in stages if stage != "segmentation"]
    if "segmentation" in stages:
        session.console.say(_choice_plan(session.experiment))
    for entry in found:
        session.console.say(entry["sentence"])
        if entry["warning"]:
            session.console.warn(entry["warning"])
    return {"plan": found}


def _print_trials(session: Session, plan: SweepPlan, costs: Costs) -> None:
    say = session.console.say
    say(f"{plan.stage} sweep, {plan.objective} on validation patients ({plan.direction}):")
    for run in plan.trials:
        mark = "*" if plan.best is not None and run.trial.number == plan.best.number else " "
        mark = "+" if mark == " " and run.trial.number in plan.front else mark
        value = "running" if run.trial.value is None else _mean_text(run, plan)
        failed = f", {counted(run.trial.failed_seeds, 'seed')} failed"
        value += failed if run.trial.failed_seeds else ""
        of = run.trial.checkpoint_of
        passed = "" if of is None else f"; read out of trial {of}"
        passed += f"; {counted(run.pruned_seeds, 'seed')} left out" if run.pruned_seeds else ""
        value += "".join(f", {name} {mean:.4g}" for name, mean in run.trial.further.items())
        params = settings_text(run.trial.params)
        say(f" {mark} trial {run.trial.number:3d}: {value}  ({params}{passed})")
    for sentence in dict.fromkeys(run.too_large for run in plan.trials if run.too_large):
        say(f"{TOO_LARGE}: {sentence}")
    if plan.front:
        say("trials with + (and the chosen one) are on the Pareto front of the objectives")
    say(epochs_words(count_epochs(plan)))
    say(
        f"{duration(costs.trainings)} of trainings and {duration(costs.scores)} of scores on "
        f"workers, {size(costs.bytes)} of disk with saved states"
    )
    asked = sum(run.trial.checkpoint_of is None for run in plan.trials)
    wanted = getattr(session.experiment.sweep, plan.stage).trials
    if plan.finished and asked < wanted and session.experiment.sweep.sampler != "grid":
        say(f"ended by sweep.budget after {asked} of {counted(wanted, 'trial')}")


def _mean(run: TrialRun, plan: SweepPlan) -> float | None:
    """Mean of the objective over a told trial's seeds; None if one gave no number."""
    values = [seed_value(seed, plan.objective) for seed in run.seeds]
    return None if None in values else run.trial.value


def _mean_text(run: TrialRun, plan: SweepPlan) -> str:
    mean = _mean(run, plan)
    if mean is None:
        return TOO_LARGE if run.too_large else "no number"
    return f"{mean:.4g}"


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
                "value": _mean(run, plan),
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
    asked, rule = experiment.sweep.segmentation, experiment.decision
    assert asked is not None
    each = f"{counted(len(asked.magnitude), 'candidate')} each x "
    each += counted(experiment.sweep.seeds, "seed")
    return (
        f"augmentation magnitude of '{rule.baseline}', synthetic fraction of '{rule.candidate}': "
        f"{each}, {experiment.segmentation.updates} updates a segmenter"
    )


def _candidate_lines(plan: TuningPlan) -> list[str]:
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
