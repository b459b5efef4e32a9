"""Making a work folder: who may look into it."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path

from harness.base.console import Console
from harness.config.experiment import Experiment
from harness.data.dicom.private import private_folder
from harness.work.prepare.sources import PRIVATE, has_own_patients

ANYONE = 0o777
OWNER = 0o700


def folder_mode(experiment: Experiment) -> int:
    """The mode of a folder with this experiment's patients, less the umask: the user's own are for
    the user alone, unless the experiment shares them."""
    own = has_own_patients(experiment.data) and not experiment.privacy.shared
    return OWNER if own else ANYONE


def make_work_folder(root: Path, experiment: Experiment) -> None:
    """Make a work folder where there is none."""
    root.mkdir(folder_mode(experiment), parents=True, exist_ok=True)


def close_private_part(root: Path, experiment: Experiment, console: Console) -> None:
    """Keep the private part of a work folder to its owner, and say where the folder itself should
    be: one that is there is left as it is."""
    private_folder(root / PRIVATE)
    mode = stat.S_IMODE(root.stat().st_mode)
    if mode & ANYONE & ~folder_mode(experiment):
        console.warn(
            "the work folder of your own patients should be open to you alone (0700), but got mode "
            f"{mode:04o}; type chmod 700 {shlex.quote(str(root))}, or set privacy.shared: true"
        )
