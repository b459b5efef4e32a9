"""Job kinds that a person can follow: texts that copy and count, registered as an extension is."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.base.errors import DataError, Stopped
from harness.base.files import write_text
from harness.jobs.context import Context
from harness.jobs.folder import WorkFolder
from harness.jobs.kinds import KINDS, Kind
from harness.jobs.spec import Input, Request, Spec

for _name, _training in (("test-text", False), ("test-count", True), ("test-break", False)):
    if _name not in list(KINDS):
        KINDS.add(_name, Kind(f"factories.jobs:{_name[5:]}_job", 1, training=_training))


def text_job(context: Context) -> None:
    """Writes its own text behind that of its inputs, and how often it was run."""
    parts = [(context.input(name) / "text").read_text() for name in sorted(context.spec.inputs)]
    path = context.folder.path / "store" / "text"
    write_text(path, "".join([*parts, context.spec.config["text"]]))
    write_text(context.folder.path / "text", path.read_text())
    _count_run(context)
    files = [p for p in path.parent.rglob("*") if p.is_file()]
    context.finish(files, {"length": len(path.read_text())})


def count_job(context: Context) -> None:
    """A training: adds one an epoch, from the state that it finds."""
    _count_run(context)
    state = context.folder.state
    at = int(state.read_text()) if state.exists() else 0
    for epoch in range(at + 1, context.request.epochs[-1] + 1):
        write_text(state, str(epoch))
        if context.stop():
            raise Stopped(f"stopped after {epoch}")
        if epoch in context.request.epochs:
            path = context.folder.at(epoch) / "text"
            write_text(path, "x" * epoch)
            context.finish([path], {"epoch": epoch}, epoch)


def break_job(context: Context) -> None:
    """Breaks as its config says."""
    how = context.spec.config["how"]
    if how == "sentence":
        raise DataError("patients must be patient, but got haste; wait")
    if how == "bug":
        raise ZeroDivisionError("an accident")
    if how == "quota":
        _count_run(context)
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
    if how == "torch-memory":
        torch.empty(2**50)  # more than any machine can address
    if how == "numpy-memory":
        np.empty(2**60, np.uint8)
    if how == "nothing":
        return
    if how == "once" and not (context.work.root / "mended").exists():
        raise DataError("it must be mended, but is not; mend it")
    context.finish([], {})


def _count_run(context: Context) -> None:
    with open(runs_file(context.work, context.spec), "a") as file:
        file.write("run\n")


def runs_file(work: WorkFolder, spec: Spec) -> Path:
    return work.root / f"runs-{spec.digest}"


def runs(work: WorkFolder, spec: Spec) -> int:
    """How often a job's code was run."""
    path = runs_file(work, spec)
    return len(path.read_text().splitlines()) if path.exists() else 0


def text(words: str, **inputs: Input) -> Spec:
    return Spec("test-text", {"text": words}, inputs=inputs)


def count(name: str = "", **inputs: Input) -> Spec:
    return Spec("test-count", {"name": name}, inputs=inputs)


def breaks(how: str, **config: Any) -> Spec:
    return Spec("test-break", {"how": how, **config})


def request(spec: Spec, *epochs: int, **more: Any) -> Request:
    return Request(spec, epochs, **more)


def rewrite(work: WorkFolder, spec: Spec, words: str) -> None:
    """Give a finished text job another content under the same digest."""
    job = work.job(spec)
    result = job.result()
    assert result is not None
    for path in (job.path / "text", job.path / "store" / "text"):
        write_text(path, words)
    job.finish([job.path / "store" / "text"], result["values"], result["inputs"], {}, {})
