"""A comparison to export from, in its states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from exporting import Work
from factories.openkbp import write_experiment, write_openkbp

from harness.base.errors import RuleError
from harness.commands.export.nnunet import ExportRequest, export_nnunet


@pytest.fixture(scope="session")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    counts = {"train": 3, "validation": 1, "test": 1}
    return write_openkbp(tmp_path_factory.mktemp("secret-place"), counts)


@pytest.fixture(scope="session")
def work(patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Nothing is prepared yet."""
    folder = tmp_path_factory.mktemp("export")
    return Work(write_experiment(folder / "tiny.yaml", patients), folder / "work")


@pytest.fixture(scope="session")
def real(work: Work, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The training patients alone, before anybody typed `prepare`."""
    raw = tmp_path_factory.mktemp("raw")
    found = export_nnunet(work.session(), ExportRequest(raw, folds=3))
    return raw / "Dataset501_tiny", found


@pytest.fixture(scope="session")
def before(
    work: Work, real: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[Path]]:
    """What asking for test patients gives while trainings are under way."""
    work.train(passes=3)
    raw = tmp_path_factory.mktemp("raw")
    with pytest.raises(RuleError) as caught:
        export_nnunet(work.session(), ExportRequest(raw, folds=2, test=True))
    return str(caught.value), list(raw.iterdir())


@pytest.fixture(scope="session")
def compared(work: Work, before: tuple[str, list[Path]]) -> Work:
    """A finished comparison, its test opened."""
    work.train()
    return work


@pytest.fixture(scope="session")
def mixed(compared: Work, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An arm with synthetic pairs, of the second replicate."""
    raw = tmp_path_factory.mktemp("raw")
    request = ExportRequest(raw, "traditional+gan", 1001, dataset_id=7, folds=3)
    return raw / "Dataset007_tiny-traditional-gan-1001", export_nnunet(compared.session(), request)
