"""One migrated MLflow database for all tests, and job folders written as jobs write them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.jobs.journal import Journal, mark_covered
from harness.tracking.store import prepare, resolve


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = resolve(tmp_path_factory.mktemp("migrated"), None)
    prepare(store)
    assert store.database is not None
    return store.database


@pytest.fixture
def workdir(tmp_path: Path, migrated: Path) -> Path:
    """A work folder whose database is there already."""
    root = tmp_path / "work"
    (root / "mlflow").mkdir(parents=True)
    shutil.copy(migrated, root / "mlflow" / "mlflow.db")
    return root


class Job:
    """A job folder that writes its journal and samples with `harness.records`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder / "journal.jsonl")

    def log(self, step: int, **values: float) -> None:
        self.journal.log(step, {name.replace("__", "/"): value for name, value in values.items()})

    def cover(self, epoch: int) -> None:
        mark_covered(self.folder, self.journal.sync(), epoch)

    def draw(self, key: str, epoch: int) -> None:
        path = self.folder / "samples" / f"{key}-{epoch:06d}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(epoch).integers(0, 255, (70, 900), dtype=np.uint8)
        Image.fromarray(pixels).save(path)


@pytest.fixture
def job(workdir: Path) -> Iterator[Callable[[str], Job]]:
    """Makes jobs by digest, below the work folder."""
    made: list[Job] = []

    def make(digest: str, kind: str = "mask-stage") -> Job:
        made.append(Job(workdir / "jobs" / kind / digest))
        return made[-1]

    yield make
    for one in made:
        one.journal.close()


Point = tuple[str, str, int]


@pytest.fixture
def points(workdir: Path) -> Callable[[], Mapping[Point, list[float | None]]]:
    """All points of living runs by (run name, metric, step), read past MLflow; NaN is None."""

    def read() -> Mapping[Point, list[float | None]]:
        asked = (
            "SELECT r.name, m.key, m.step, m.value, m.is_nan FROM metrics m JOIN runs r "
            "ON r.run_uuid = m.run_uuid WHERE r.lifecycle_stage = 'active' ORDER BY m.timestamp"
        )
        found: dict[Point, list[float | None]] = {}
        with sqlite3.connect(workdir / "mlflow" / "mlflow.db") as connection:
            for name, key, step, value, is_nan in connection.execute(asked):
                found.setdefault((name, key, step), []).append(None if is_nan else value)
        return found

    return read
