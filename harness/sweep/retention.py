"""Full states of trainings (weights, moments, position) are kept while a sweep may go on from them.

They are by far the largest files of a sweep: twelve bytes a parameter, four for final weights. When
every trial is told, nothing goes on any more. A wider sweep later restarts such a training from its
beginning and comes to the same weights.
"""

from __future__ import annotations

from pathlib import Path

from harness.jobs.folder import JobFolder, WorkFolder
from harness.sweep.plan import SweepPlan


def drop_states(plan: SweepPlan, work: WorkFolder) -> int:
    """Remove the states of a sweep's trainings; checkpoints, journals and samples stay.

    Returns:
        Bytes that became free.
    """
    jobs = (spec for _, seed in plan.seeds() for spec in seed.phases.jobs)
    return sum(_remove(path) for spec in jobs for path in _states(work.job(spec)))


def _states(folder: JobFolder) -> list[Path]:
    branches = [folder.branch(epoch) for epoch in folder.checkpoints()]
    return [path for path in (folder.state, *branches) if path.exists()]


def _remove(path: Path) -> int:
    size = path.stat().st_size if path.stat().st_nlink == 1 else 0  # a linked one stays elsewhere
    path.unlink()
    return size
