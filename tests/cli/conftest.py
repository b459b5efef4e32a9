"""An empty folder to type commands in, and the tiny experiment in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories.openkbp import write_experiment, write_openkbp

from harness.base.console import Console
from harness.commands.session import Session
from harness.commands.steps import prepare
from harness.config.load import load_experiment


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to type commands in; in memory, for hundreds of files wait for the disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        monkeypatch.chdir(name)
        yield Path(name)
        monkeypatch.undo()


@pytest.fixture(scope="session")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_openkbp(tmp_path_factory.mktemp("openkbp"))


@pytest.fixture
def experiment(here: Path, patients: Path) -> str:
    return write_experiment(here / "tiny.yaml", patients).name


@pytest.fixture(scope="session")
def prepared(patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder with the tiny experiment's pairs, for tests to copy."""
    folder = tmp_path_factory.mktemp("prepared")
    experiment = load_experiment(write_experiment(folder / "tiny.yaml", patients))
    work = folder / "harness-work"
    with Session(experiment, work, Console(quiet=True), engine="inline").open() as session:
        prepare(session)
    return work
