"""Where an experiment's studies are kept, and how to open them in Optuna's dashboard."""

from __future__ import annotations

from pathlib import Path

from harness.config.experiment import Experiment
from harness.jobs.identity import folder_identity
from harness.sweep.storage import Server, dashboard, is_begun


def study_file(root: Path, stage: str) -> Path:
    """The stage's studies, where no server has them."""
    return root / "studies" / f"{stage}.db"


def study_server(experiment: Experiment, root: Path) -> Server | None:
    """The server that `sweep.storage` names, as this work folder uses it."""
    url = experiment.sweep.storage
    return None if url is None else Server(url, folder_identity(root))


def dashboards(experiment: Experiment, root: Path) -> dict[str, str]:
    """The command that opens Optuna's dashboard, by stage with a study; raises as `is_begun`."""
    server, found = study_server(experiment, root), {}
    for stage in ("mask", "image"):
        file = study_file(root, stage)
        if getattr(experiment.sweep, stage) is not None and is_begun(file, stage, server):
            found[stage] = dashboard(file, server)
    return found
