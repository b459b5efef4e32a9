"""One sentence each about a sweep, a trial and a seed, as MLflow's pages show them."""

from __future__ import annotations

from harness.base.text import counted, short
from harness.figures.axes import SearchAxis, value_words
from harness.metrics.records import title_of
from harness.report.results import is_failed, seed_value, values_of
from harness.sweep.plan import SeedRun, SweepPlan, TrialRun


def of_sweep(plan: SweepPlan, figures: bool) -> str:
    """What was searched for, how far it is, and what is best.

    Args:
        figures: whether its run carries figures.
    """
    told = [run for run in plan.trials if run.trial.value is not None]
    least = "lowest" if plan.direction == "minimize" else "highest"
    what = f"{least} {title_of(plan.objective)}"
    best = next((r for r in told if plan.best and r.trial.number == plan.best.number), None)
    note = ""
    if best is not None:
        note = f"{what} {short(best.trial.value)}: {_trial(best)}; "
    note += f"search of the {plan.stage} stage for the {what} on validation patients; "
    note += f"{counted(len(told), 'trial')} finished"
    checkpoints = sum(run.trial.checkpoint_of is not None for run in told)
    note += f", {checkpoints} of them read out of longer ones" if checkpoints else ""
    failed = sum(map(is_failed, told))
    note += f", {failed} with a failed seed" if failed else ""
    if told and best is None:
        note += "; none can be chosen"
    if figures:
        note += "; figures and a grid of samples by setting are among the artifacts, in `sweep/`"
    return f"{note[0].upper()}{note[1:]}."


def of_trial(plan: SweepPlan, run: TrialRun, best: bool) -> str:
    """A trial's settings and its objective."""
    note = f"T{_trial(run)[1:]}"
    if run.trial.checkpoint_of is not None:
        note += f", read out of trial {run.trial.checkpoint_of}"
    seeds, name = counted(len(run.seeds), "seed"), title_of(plan.objective)
    if run.trial.value is None:
        done = sum(seed.ended for seed in run.seeds)
        return f"{note}: under way, {done} of {seeds} ended."
    values = [seed_value(seed, plan.objective) for seed in run.seeds]
    known = None not in values
    note += f": {name} {short(run.trial.value)}, mean over {seeds}" if known else ""
    note += "" if known else f": no {name}, for a seed gave no number"
    if run.trial.failed_seeds:
        note += f"; {counted(run.trial.failed_seeds, 'seed')} failed, so it cannot be chosen"
    elif run.trial.pruned:
        note += f"; {counted(run.pruned_seeds, 'further seed')} left out, so it cannot be chosen"
    return f"{note}; chosen." if best else f"{note}."


def of_seed(plan: SweepPlan, run: TrialRun, seed: SeedRun) -> str:
    """A seed's objective and verdict."""
    note = f"Seed {seed.seed} of {_trial(run)}"
    if seed.too_large:
        return f"{note}: {seed.too_large}."
    if seed.result is None:
        return f"{note}: under way."
    value, name = seed_value(seed, plan.objective), title_of(plan.objective)
    note += f": {name} {short(value)}" if value is not None else f": no {name}"
    note += f" at epoch {max(seed.scores, default=run.epochs)}"
    note += " (ended early)" if seed.stopped_at is not None else ""
    verdict = values_of(seed.result).get("collapse", {}).get("word", "")
    return f"{note}; {verdict}." if verdict else f"{note}."


def _trial(run: TrialRun) -> str:
    settings = ", ".join(
        f"{SearchAxis(path).name} {value_words(value)}" for path, value in run.trial.params.items()
    )
    return f"trial {run.trial.number} ({settings})"
