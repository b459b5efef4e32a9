"""Which seeds of finished sweeps failed to converge, and how diverse the others' samples are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.records.folder import WorkFolder
from harness.sweep.planner import SeedRun, SweepPlan, TrialRun


def collapse_table(work: WorkFolder, plans: Sequence[SweepPlan]) -> dict[str, Any]:
    """A row per seed, a verdict over all, and further lines to print."""
    rows = [
        _row(work, plan.stage, run, seed)
        for plan in plans
        for run in plan.trials
        for seed in run.seeds
        if seed.result is not None
    ]
    failed = [row for row in rows if row["failure"]]
    verdict = f"{len(failed)} of {len(rows)} trainings failed to converge"
    lines = [
        f"{row['stage']} trial {row['trial']} seed {row['seed']} {row['params']}: "
        f"since epoch {row['onset']}, {row['failure']}"
        for row in failed
    ]
    for row in rows:
        if row["diversity"] is not None and row["diversity_real"]:
            row["relative_diversity"] = row["diversity"] / row["diversity_real"]
    diverse = [row for row in rows if "relative_diversity" in row]
    if diverse:
        least = min(diverse, key=lambda row: row["relative_diversity"])
        lines.append(
            f"least diverse: {least['stage']} trial {least['trial']} seed {least['seed']}, "
            f"{least['relative_diversity']:.2f} times the diversity of real masks "
            "(1 - SSIM over pairs)"
        )
    return {"verdict": verdict, "failed": len(failed), "seeds": rows, "lines": lines}


def _row(work: WorkFolder, stage: str, run: TrialRun, seed: SeedRun) -> dict[str, Any]:
    trained = work.job(seed.training).result(run.epochs)
    assert trained is not None
    assert seed.result is not None
    failure = trained["values"].get("failure") or {}
    return {
        "stage": stage,
        "trial": run.trial.number,
        "seed": seed.seed,
        "params": ", ".join(f"{k}={v}" for k, v in run.trial.params.items()),
        "failure": failure.get("reason"),
        "onset": failure.get("onset"),
        "diversity": seed.result["values"].get("quality/diversity"),
        "diversity_real": seed.result["values"].get("quality/diversity_real"),
    }
