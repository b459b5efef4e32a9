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
    result.json       written last: its presence is "done"; it records the digests of what it
                      stands for, and its own
    failure.json      the reason of the last failure, until the job is tried again
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import __version__
from harness.base import damage
from harness.base.errors import ConfigError, Damaged, DataError
from harness.base.files import (
    CHANGED,
    check_sum,
    digest_of,
    read_json,
    read_record,
    sha256_file,
    stamp,
    write_json,
    write_record,
)
from harness.base.owned import look_before
from harness.jobs.spec import Input, Spec

FORMAT = 2
"""Of what this page describes; folders without a number have the first one."""
SMALL = 4_000_000
"""Bytes. Commands read outputs up to this size, tables and pictures; larger ones are read by jobs
alone, which check their inputs themselves."""
PARTS = ("jobs", "experiments", "studies", "patient-index")
"""Folders in which commands look for what is there."""
REMAKE = "repeat the command that made it (run, sweep or compare), which makes it again"
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
        """The stored result; None where there is none, or it is damaged, which is noted. Many ask
        for it, and none may change it."""
        path = self.at(epoch) / "result.json"
        try:
            return _read_result(path, stamp(path))
        except FileNotFoundError:
            return None
        except Damaged as damaged:
            damage.note(damaged)
            return None

    def check(self, epoch: int | None = None, most: int | None = None) -> None:
        """Compare what a result stands for with what it recorded.

        Args:
            most: leave out outputs of more bytes.

        Raises:
            Damaged: the first that is another.
        """
        for damaged in self.damaged(epoch, most):
            raise damaged

    def damaged(self, epoch: int | None = None, most: int | None = None) -> Iterator[Damaged]:
        """Everything that a result stands for and that is not what it recorded."""
        result = self.result(epoch)
        if result is None:
            yield Damaged(self.at(epoch) / "result.json", "it is gone")
            return
        sums: list[tuple[Path, str, int | None, int | None]] = [
            (self.at(epoch) / name, recorded, None, most)
            for name, recorded in result["outputs"].items()
        ]
        if "journal_sum" in result:
            sums.append((self.journal, result["journal_sum"], result["journal"], None))
        for recorded in sums:
            try:
                check_sum(*recorded)
            except Damaged as damaged:
                yield damaged

    def sound(self, epoch: int | None = None, most: int | None = None) -> bool:
        """Whether `check` finds nothing; what it finds is noted."""
        try:
            self.check(epoch, most)
        except Damaged as damaged:
            damage.note(damaged)
            return False
        return True

    def output(self, name: str) -> Path | None:
        """A file of the job's own result, as it was recorded; None where no result has one.

        Raises:
            Damaged: it is not.
        """
        result = self.result()
        if result is None or name not in result["outputs"]:
            return None
        with _for_a_command():
            check_sum(self.path / name, result["outputs"][name])
        return self.path / name

    def verified(self) -> Path:
        """The folder, all that the job's own result stands for being as it was recorded.

        Raises:
            Damaged: something is not.
        """
        with _for_a_command():
            self.check()
        return self.path

    def picture_sums(self) -> dict[str, str]:
        """Digests of the sample grids, as the checkpoints recorded them, by file name."""
        recorded: dict[str, str] = {}
        for epoch in self.checkpoints():
            recorded |= (self.result(epoch) or {}).get("pictures", {})
        return recorded

    def pictures(self) -> list[Path]:
        """The sample grids, without those that are not what was drawn, which are noted."""
        recorded, found = self.picture_sums(), []
        for path in sorted(self.samples.glob("*.png")):
            try:
                if path.name in recorded:
                    check_sum(path, recorded[path.name])
                found.append(path)
            except Damaged as damaged:
                damage.note(Damaged(path, damaged.why, "it is left out"))
        return found

    def checkpoints(self) -> list[int]:
        """Epochs that have a result, ascending."""
        results = self.path.glob("checkpoints/*/result.json")
        return sorted(int(path.parent.name) for path in results)

    def size(self) -> int:
        """Bytes of all its files."""
        return sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())

    def open(self, spec: Spec) -> None:
        """Make the folder, store the spec, sweep up what a killed owner was still writing."""
        look_before(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        for name in LEFTOVERS:
            for rest in self.path.rglob(name):
                rest.unlink()
        path = self.path / "spec.json"
        if _named(spec.digest, lambda: read_json(path)) is None:
            write_json(path, spec.to_dict())

    def begin(self, spec: Spec, inputs: Mapping[str, str]) -> None:
        """Note the inputs' contents: state and checkpoints made from now on stand for them
        alone. The spec stands there once more, should its own file be damaged."""
        if self.begun() != inputs:
            begun = {"inputs": dict(inputs), "spec": spec.to_dict()}
            write_record(self.path / "inputs.json", begun)

    def begun(self) -> dict[str, str] | None:
        """What `begin` noted last, None before the first time.

        Raises:
            Damaged: nobody can tell.
        """
        path = self.path / "inputs.json"
        return read_record(path)["inputs"] if path.exists() else None

    def spec(self) -> Spec:
        """The stored spec.

        Raises:
            Damaged: there is none that the folder is named after.
        """
        path = self.path / "spec.json"
        spec = _named(self.path.name, lambda: read_json(path))
        spec = spec or _named(
            self.path.name, lambda: read_record(self.path / "inputs.json").get("spec")
        )
        if spec is None:
            raise Damaged(path, CHANGED)
        return spec

    def fail(self, reason: str, too_large: bool = False) -> None:
        """Store why the job failed.

        Args:
            too_large: it wants more memory than its device has, and would again.
        """
        failure = {"reason": reason, "time": time.time(), "too_large": too_large}
        write_record(self.path / "failure.json", failure)

    def too_large(self) -> str | None:
        """The reason of the last failure where it was one of memory."""
        path = self.path / "failure.json"
        try:
            failure = read_record(path)
        except (FileNotFoundError, Damaged):  # the job is tried again and says it again
            return None
        return failure["reason"] if failure["too_large"] else None

    def forget_failure(self) -> None:
        look_before(self.path)
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
        allowed: Callable[[str], None] = lambda content: None,
    ) -> dict[str, Any]:
        """Write `result.json`, last and atomically.

        Its content digest covers outputs and values, so that the same work at another time has the
        same one; the journal, whose lines have times, and pictures are recorded beside it.

        Args:
            outputs: files below the result's folder that others read.
            values: figures in words or numbers; they travel with the result.
            inputs: content digest of each input, as it was read.
            cost: e.g. {"seconds": 3.2}.
            compute: device and what else the numbers were made with.
            epoch: the checkpoint's epoch, or None for a job without checkpoints.
            journal_length: bytes of the journal that this result stands for.
            allowed: asked with the content digest before anything is written; raises if that may
                not be.
        """
        home = self.at(epoch)
        sums = {str(path.relative_to(home)): sha256_file(path) for path in sorted(outputs)}
        content = digest_of({"outputs": sums, "values": values})
        allowed(content)
        result = {
            "content": content,
            "outputs": sums,
            "values": dict(values),
            "inputs": dict(inputs),
            "cost": dict(cost),
            "compute": dict(compute),
            "versions": versions(),
            "journal": journal_length,
            "finished": time.time(),
        }
        if journal_length:
            result["journal_sum"] = sha256_file(self.journal, journal_length)
        if epoch is not None:
            drawn = [p for p in self.samples.glob("*.png") if epoch_of(p) <= epoch]
            result["pictures"] = {path.name: sha256_file(path) for path in sorted(drawn)}
        return write_record(home / "result.json", result)

    def disown(self, epoch: int | None) -> None:
        """Take a result back, so that it is made again; what else is sound stays."""
        look_before(self.path)
        (self.at(epoch) / "result.json").unlink(missing_ok=True)

    def drop_unsound(self) -> None:
        """Take back every result that no longer is what it recorded, each noted."""
        for epoch in (None, *self.checkpoints()):
            if self.result(epoch) is None or not self.sound(epoch):
                self.disown(epoch)

    def clear(self) -> None:
        """Drop everything that the job made; the spec and lease stay.

        Results go first, so that none is left without its files.
        """
        look_before(self.path)
        for result in [self.path / "result.json", *self.path.glob("checkpoints/*/result.json")]:
            result.unlink(missing_ok=True)
        for name in ("checkpoints", "state", "samples", "store"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in ("journal.jsonl", "covered.json", "failure.json", "inputs.json"):
            (self.path / name).unlink(missing_ok=True)


def _named(digest: str, read: Callable[[], Any]) -> Spec | None:
    """The spec that is read, if its digest is this one."""
    try:
        spec = Spec.from_dict(read())
        return spec if spec.digest == digest else None
    except (AttributeError, Damaged, FileNotFoundError, KeyError, TypeError, ValueError):
        return None


@contextlib.contextmanager
def _for_a_command() -> Iterator[None]:
    """What reads and makes nothing again says who does."""
    try:
        yield
    except Damaged as damaged:
        raise Damaged(damaged.path, damaged.why, REMAKE) from damaged


def epoch_of(picture: Path) -> float:
    """The epoch of a sample grid, by its name; infinity where that has none."""
    number = picture.stem.rpartition("-")[2]
    return int(number) if number.isdigit() else math.inf


@lru_cache(maxsize=50_000)
def _read_result(path: Path, _: tuple[int, ...]) -> dict[str, Any]:
    """A result that is what was written."""
    result = read_record(path)
    try:
        content = digest_of({"outputs": result["outputs"], "values": result["values"]})
        whole = content == result["content"]
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise Damaged(path, CHANGED)
    return result


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
        except (Damaged, TypeError, KeyError) as error:
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
