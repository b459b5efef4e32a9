"""Full states of trainings (weights, moments, position) are kept while a sweep may go on from them.

They are by far the largest files of a sweep: twelve bytes a parameter, four for final weights. When
every trial is told, nothing goes on any more. A wider sweep later restarts such a training from its
beginning and comes to the same weights.
"""

from __future__ import annotations

from pathlib import Path

from harness.jobs.folder import WorkFolder
from harness.sweep.plan import SweepPlan


def drop_states(plan: SweepPlan, work: WorkFolder) -> int:
    """Remove the states of a sweep's trainings; checkpoints, journals and samples stay.

    Returns:
        Bytes that became free.
    """
    folders = [work.job(spec) for _, seed in plan.seeds() for spec in seed.phases.jobs]
    states = {f.branch(epoch) for f in folders for epoch in f.checkpoints()}
    states |= {folder.state for folder in folders}
    return sum(_remove(path) for path in states if path.exists())


def _remove(path: Path) -> int:
    size = path.stat().st_size if path.stat().st_nlink == 1 else 0  # a linked one stays elsewhere
    path.unlink()
    return size
