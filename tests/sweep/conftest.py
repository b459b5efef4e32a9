"""Folders in memory: a study waits for the disk at every trial, a test need not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories.sweep import Maker, Sweep

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def module_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture
def make(folder: Path) -> Maker:
    return lambda *args, **more: Sweep(folder, *args, **more)
