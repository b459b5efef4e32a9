"""Where jobs live on disk.

format.json           the format's number
jobs/<kind>/<digest>/
    spec.json         the spec
    inputs.json       content of its inputs when the work on it began
    journal.jsonl     values by step
    covered.json      how much of the journal is final
    samples/          sample grids, <key>-<epoch>.png
    state/latest.pt   full state of an unfinished or continuable training
    checkpoints/<epoch>/ a training's weights and result.json at an epoch; state.pt where a decay
                      is to branch off
    result.json       written last: its presence is "done"
    failure.json      the reason of the last failure, until the job is tried again
"""

from __future__ import annotations

import errno
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import __version__
from harness.base.errors import ConfigError, DataError
from harness.base.files import digest_of, read_json, sha256_file, write_json
from harness.jobs.spec import Input, Spec

FORMAT = 2
"""Of what this page describes; folders without a number have the first one."""
PARTS = ("jobs", "experiments", "studies", "patient-index")
"""Folders in which commands look for what is there."""
LEFTOVERS = (".*.tmp", ".part.*")
"""Names of what a writer had not finished (`base.files`)."""


class JobFolder:
    """One job's folder: paths, results, failures. Makes nothing until asked to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / "journal.jsonl"
        self.samples = path / "samples"
        self.state = path / "state" / "latest.pt"

    def at(self, epoch: int | None) -> Path:
        """The folder that holds a result: the job's own, or a checkpoint's."""
        return self.path if epoch is None else self.path / "checkpoints" / str(epoch)

    def branch(self, epoch: int) -> Path:
        """The full state that a checkpoint keeps while another job may go on from it."""
        return self.at(epoch) / "state.pt"

    def result(self, epoch: int | None = None) -> dict[str, Any] | None:
        """The stored result, or None where there is none."""
        path = self.at(epoch) / "result.json"
        return read_json(path) if path.exists() else None

    def checkpoints(self) -> list[int]:
        """Epochs that have a result, ascending."""
        results = self.path.glob("checkpoints/*/result.json")
        return sorted(int(path.parent.name) for path in results)

    def size(self) -> int:
        """Bytes of all its files."""
        return sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())

    def open(self, spec: Spec) -> None:
        """Make the folder, store the spec, sweep up what a killed owner was still writing."""
        self.path.mkdir(parents=True, exist_ok=True)
        for name in LEFTOVERS:
            for rest in self.path.rglob(name):
                rest.unlink()
        if not (self.path / "spec.json").exists():
            write_json(self.path / "spec.json", spec.to_dict())

    def begin(self, inputs: Mapping[str, str]) -> None:
        """Note the inputs' contents: state and checkpoints made from now on stand for them
        alone."""
        if self.begun() != inputs:
            write_json(self.path / "inputs.json", dict(inputs))

    def begun(self) -> dict[str, str] | None:
        """What `begin` noted last, None before the first time."""
        path = self.path / "inputs.json"
        return read_json(path) if path.exists() else None

    def spec(self) -> Spec:
        return Spec.from_dict(read_json(self.path / "spec.json"))

    def fail(self, reason: str, too_large: bool = False) -> None:
        """Store why the job failed.

        Args:
            too_large: it wants more memory than its device has, and would again.
        """
        failure = {"reason": reason, "time": time.time(), "too_large": too_large}
        write_json(self.path / "failure.json", failure)

    def too_large(self) -> str | None:
        """The reason of the last failure where it was one of memory."""
        path = self.path / "failure.json"
        failure = read_json(path) if path.exists() else {}
        return failure["reason"] if failure.get("too_large") else None

    def forget_failure(self) -> None:
        (self.path / "failure.json").unlink(missing_ok=True)

    def finish(
        self,
        outputs: Iterable[Path],
        values: Mapping[str, Any],
        inputs: Mapping[str, str],
        cost: Mapping[str, float],
        compute: Mapping[str, Any],
        epoch: int | None = None,
        journal_length: int = 0,
    ) -> dict[str, Any]:
        """Write `result.json`, last and atomically.

        Args:
            outputs: files below the result's folder that others read.
            values: figures in words or numbers; they travel with the result.
            inputs: content digest of each input, as it was read.
            cost: e.g. {"seconds": 3.2}.
            compute: device and what else the numbers were made with.
            epoch: the checkpoint's epoch, or None for a job without checkpoints.
            journal_length: bytes of the journal that this result stands for.
        """
        home = self.at(epoch)
        sums = {str(path.relative_to(home)): sha256_file(path) for path in sorted(outputs)}
        result = {
            "content": digest_of({"outputs": sums, "values": values}),
            "outputs": sums,
            "values": dict(values),
            "inputs": dict(inputs),
            "cost": dict(cost),
            "compute": dict(compute),
            "versions": versions(),
            "journal": journal_length,
            "finished": time.time(),
        }
        write_json(home / "result.json", result)
        return result

    def clear(self) -> None:
        """Drop everything that the job made; the spec and lease stay.

        Results go first, so that none is left without its files.
        """
        for result in [self.path / "result.json", *self.path.glob("checkpoints/*/result.json")]:
            result.unlink(missing_ok=True)
        for name in ("checkpoints", "state", "samples", "store"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in ("journal.jsonl", "covered.json", "failure.json", "inputs.json"):
            (self.path / name).unlink(missing_ok=True)


class WorkFolder:
    """The folder below which everything is written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.jobs = root / "jobs"
        self._format = root / "format.json"

    @classmethod
    def existing(cls, root: Path) -> WorkFolder:
        """The work folder at `root`.

        Raises:
            DataError: there is none.
            ConfigError: it is of another format.
        """
        found = cls(root)
        if root.is_dir():
            found.check_format()
        if not found._format.exists():
            there = "which has no format.json" if root.is_dir() else "where there is no folder"
            raise DataError(
                "a work folder must be what a command of harness made, but got "
                f"'{root.absolute()}', {there}; name yours with --workdir, or begin with harness "
                "prepare"
            )
        return found

    def check_format(self) -> None:
        """Leave a folder of another format alone.

        Raises:
            ConfigError: it is one, or somebody else's.
            PermissionError: a part of it is somebody's who lets nobody look, so that it would seem
                to be empty.
        """
        for part in [*map(self.root.joinpath, PARTS), *self.jobs.glob("*")]:
            if part.exists() and not os.access(part, os.R_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(part))
        known = self._format.exists()
        try:
            number = read_json(self._format)["format"] if known else 1
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f"'{self._format}' must hold the format of a work folder, but holds something "
                "else; give --workdir another folder"
            ) from error
        if number != FORMAT and (known or self.jobs.exists()):
            raise ConfigError(
                f"'{self.root}' was made by format {number} of harness; this version begins anew "
                "in another folder: give --workdir another one"
            )

    def begin(self) -> None:
        """Write the format's number into a new folder.

        Raises:
            ConfigError: the folder is of another format.
        """
        self.check_format()
        if not self._format.exists():
            write_json(self._format, {"format": FORMAT})

    def job(self, reference: Spec | Input) -> JobFolder:
        return JobFolder(self.jobs / reference.kind / reference.digest)

    def result(self, reference: Input) -> dict[str, Any] | None:
        return self.job(reference).result(reference.epoch)


_PACKAGES = ("torch", "numpy", "scipy", "monai", "torchmetrics", "torch-fidelity", "pydicom")


def versions() -> dict[str, str]:
    """Versions that numbers depend on."""
    numbers = {"harness": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        if name.replace("-", "_") in sys.modules:
            numbers[name] = metadata.version(name)
    return numbers
