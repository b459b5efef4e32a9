"""Full states of trainings (weights, moments, position) are kept while a sweep may go on from them.

They are by far the largest files of a sweep: twelve bytes a parameter, four for final weights. When
every trial is told, nothing goes on any more. A wider sweep later restarts such a training from its
beginning and comes to the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.base.owned import look_before
from harness.jobs.folder import JobFolder, WorkFolder
from harness.sweep.plan import SweepPlan


def drop_states(plan: SweepPlan, work: WorkFolder) -> int:
    """Remove the states of a sweep's trainings; checkpoints, journals and samples stay.

    Returns:
        Bytes that became free.
    """
    folders = [work.job(spec) for _, seed in plan.seeds() for spec in seed.phases.jobs]
    return sum(map(remove, states(folders)))


def states(folders: Sequence[JobFolder]) -> list[Path]:
    """The full states that trainings keep: their latest one, and those that a decay goes on
    from."""
    kept = {folder.branch(epoch) for folder in folders for epoch in folder.checkpoints()}
    return sorted(path for path in kept | {f.state for f in folders} if path.exists())


def bytes_of(path: Path) -> int:
    """What removing a file would free: nothing of a linked one, which stays elsewhere."""
    stat = path.stat()
    return stat.st_size if stat.st_nlink == 1 else 0


def remove(path: Path) -> int:
    """Remove a file; returns the bytes that became free."""
    look_before(path)
    freed = bytes_of(path)
    path.unlink()
    return freed
