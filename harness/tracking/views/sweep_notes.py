"""One sentence each about a sweep, a trial and a seed, as MLflow's pages show them."""

from __future__ import annotations

from harness.base.text import counted, score_name, short
from harness.figures.axes import SearchAxis, value_words
from harness.report.results import is_failed, seed_value, values_of
from harness.sweep.plan import SeedRun, SweepPlan, TrialRun


def of_sweep(plan: SweepPlan, figures: bool) -> str:
    """What was searched for, how far it is, and what is best.

    Args:
        figures: whether its run carries figures.
    """
    told = [run for run in plan.trials if run.trial.value is not None]
    least = "lowest" if plan.direction == "minimize" else "highest"
    said = f"Search of the {plan.stage} stage for the {least} {_name(plan)} on validation patients"
    said += f": {counted(len(told), 'trial')} finished"
    read = sum(run.trial.checkpoint_of is not None for run in told)
    said += f", {read} of them read out of longer ones" if read else ""
    failed = sum(map(is_failed, told))
    said += f", {failed} with a failed seed" if failed else ""
    best = next((r for r in told if plan.best and r.trial.number == plan.best.number), None)
    if best is not None:
        said += f"; the best is {_trial(best)} with {short(best.trial.value)}"
    elif told:
        said += "; none can be chosen"
    if figures:
        said += "; figures and a grid of samples by setting are among the artifacts, in `sweep/`"
    return f"{said}."


def of_trial(plan: SweepPlan, run: TrialRun, best: bool) -> str:
    """A trial's settings and its objective."""
    said = f"T{_trial(run)[1:]}"
    if run.trial.checkpoint_of is not None:
        said += f", read out of trial {run.trial.checkpoint_of}"
    seeds = counted(len(run.seeds), "seed")
    if run.trial.value is None:
        done = sum(seed.ended for seed in run.seeds)
        return f"{said}: under way, {done} of {seeds} ended."
    values = [seed_value(seed, plan.objective) for seed in run.seeds]
    known = None not in values
    said += f": {_name(plan)} {short(run.trial.value)}, mean over {seeds}" if known else ""
    said += "" if known else f": no {_name(plan)}, for a seed gave no number"
    if run.trial.failed_seeds:
        said += f"; {counted(run.trial.failed_seeds, 'seed')} failed, so it cannot be chosen"
    elif run.trial.pruned:
        said += f"; {counted(run.pruned_seeds, 'further seed')} left out, so it cannot be chosen"
    return f"{said}; chosen." if best else f"{said}."


def of_seed(plan: SweepPlan, run: TrialRun, seed: SeedRun) -> str:
    """A seed's objective and verdict."""
    said = f"Seed {seed.seed} of {_trial(run)}"
    if seed.too_large:
        return f"{said}: {seed.too_large}."
    if seed.result is None:
        return f"{said}: under way."
    values = values_of(seed.result)
    value = seed_value(seed, plan.objective)
    said += f": {_name(plan)} {short(value)}" if value is not None else f": no {_name(plan)}"
    said += f" at epoch {max(seed.scores, default=run.epochs)}"
    said += " (ended early)" if seed.stopped_at is not None else ""
    word = values.get("collapse", {}).get("word", "")
    return f"{said}; {word}." if word else f"{said}."


def _name(plan: SweepPlan) -> str:
    return score_name(plan.objective).partition(" (")[0]


def _trial(run: TrialRun) -> str:
    settings = ", ".join(
        f"{SearchAxis(path).name} {value_words(value)}" for path, value in run.trial.params.items()
    )
    return f"trial {run.trial.number} ({settings})"
