"""Begin a job with the past of another one: its journal, its samples, its state."""

from __future__ import annotations

import os
import shutil

from harness.base.files import write_bytes
from harness.base.owned import look_before
from harness.jobs.folder import JobFolder, epoch_of


def branch_off(trunk: JobFolder, epoch: int, branch: JobFolder) -> None:
    """Let `branch` go on from the checkpoint of `trunk` at `epoch`.

    A branch that began is left alone. Without a kept state nothing is taken over, and the branch
    trains from its own beginning. The state comes last, so that a killed start begins again.
    """
    state = trunk.branch(epoch)
    result = trunk.result(epoch)
    if branch.state.exists() or branch.checkpoints() or result is None or not state.exists():
        return
    with open(trunk.journal, "rb") as file:
        write_bytes(branch.journal, file.read(result["journal"]))
    branch.samples.mkdir(parents=True, exist_ok=True)
    for picture in trunk.samples.glob("*.png"):
        copy = branch.samples / picture.name
        if epoch_of(picture) <= epoch and not copy.exists():
            _link(str(picture), str(copy))
    branch.state.parent.mkdir(parents=True, exist_ok=True)
    look_before(branch.path)
    part = branch.state.with_name(f".{branch.state.name}.tmp")
    part.unlink(missing_ok=True)
    _link(str(state), str(part))
    os.replace(part, branch.state)


def _link(source: str, target: str) -> None:
    """A second name for a file that is never written again; a copy where the disk has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
