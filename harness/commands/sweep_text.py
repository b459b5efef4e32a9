"""What a sweep says: a line for each trial, and what all of them took."""

from __future__ import annotations

from collections.abc import Sequence

from harness.base.text import counted, duration, settings_text, size
from harness.compare.tuning import TuningPlan, lead_words
from harness.config.experiment import Experiment
from harness.metrics.records import title_of
from harness.report.results import seed_value
from harness.report.sweeps import epochs_words
from harness.sweep.costs import Costs
from harness.sweep.epochs import count_epochs
from harness.sweep.observations import Observation, claim_sentence, observed_sentence
from harness.sweep.plan import SweepPlan, TrialRun
from harness.sweep.planner import TOO_LARGE

BETTER = {"minimize": "lower is better", "maximize": "higher is better"}


def trial_line(run: TrialRun, plan: SweepPlan) -> str:
    """A trial: its objective, its settings, what was left out or failed."""
    value = "running" if run.trial.value is None else _mean_text(run, plan)
    failed = f", {counted(run.trial.failed_seeds, 'seed')} failed"
    value += failed if run.trial.failed_seeds else ""
    of = run.trial.checkpoint_of
    passed = "" if of is None else f"; read out of trial {of}"
    passed += f"; {counted(run.pruned_seeds, 'seed')} left out" if run.pruned_seeds else ""
    value += "".join(f", {title_of(name)} {mean:.4g}" for name, mean in run.trial.further.items())
    return f"trial {run.trial.number:3d}: {value}  ({settings_text(run.trial.params)}{passed})"


def trial_lines(experiment: Experiment, plan: SweepPlan, costs: Costs) -> list[str]:
    """Every trial of a stage, the chosen one marked, and what the sweep took."""
    objective = title_of(plan.objective)
    lines = [
        f"{plan.stage} sweep, {objective} on validation patients ({BETTER[plan.direction]}):",
    ]
    for run in plan.trials:
        mark = "*" if plan.best is not None and run.trial.number == plan.best.number else " "
        mark = "+" if mark == " " and run.trial.number in plan.front else mark
        lines.append(f" {mark} {trial_line(run, plan)}")
    for sentence in dict.fromkeys(run.too_large for run in plan.trials if run.too_large):
        lines.append(f"{TOO_LARGE}: {sentence}")
    if plan.front:
        lines.append("trials with + (and the chosen one) are on the Pareto front of the objectives")
    lines += [
        epochs_words(count_epochs(plan)),
        f"{duration(costs.trainings)} of trainings and {duration(costs.scores)} of scores on "
        f"workers, {size(costs.bytes)} of disk with saved states",
    ]
    asked = sum(run.trial.checkpoint_of is None for run in plan.trials)
    wanted = getattr(experiment.sweep, plan.stage).trials
    if plan.finished and asked < wanted and experiment.sweep.sampler != "grid":
        lines.append(f"ended by sweep.budget after {asked} of {counted(wanted, 'trial')}")
    return lines


def observation_lines(found: Sequence[Observation]) -> list[str]:
    """Each observation with its word and figures, then how many hold."""
    lines = [f"{claim_sentence(one.says, one.word)[:-1]}: {one.evidence}." for one in found]
    return [*lines, observed_sentence(found)] if found else []


def trial_mean(run: TrialRun, plan: SweepPlan) -> float | None:
    """Mean of the objective over a told trial's seeds; None if one gave no number."""
    values = [seed_value(seed, plan.objective) for seed in run.seeds]
    return None if None in values else run.trial.value


def _mean_text(run: TrialRun, plan: SweepPlan) -> str:
    mean = trial_mean(run, plan)
    if mean is None:
        return TOO_LARGE if run.too_large else "no number"
    return f"{mean:.4g}"


def candidate_lines(plan: TuningPlan) -> list[str]:
    """A line per candidate of each arm, the chosen one marked, with every rung that it reached."""
    found = []
    for name, arm in plan.arms.items():
        by = plan.measured.words
        found.append(f"settings of '{name}', validation {by} of whole volumes after each length:")
        for candidate in arm.candidates:
            mark = "*" if candidate is arm.chosen else " "
            rungs = ", ".join(
                f"{rung.updates} updates {'running' if rung.mean is None else f'{rung.mean:.4f}'}"
                for rung in candidate.rungs
            )
            found.append(f" {mark} {candidate.words}: {rungs}")
        if arm.lead is not None:
            found.append(f"   {lead_words(arm.lead)}")
    return found
