"""A work folder of another format is named in one sentence and left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories.cli import run_cli
from factories.openkbp import write_experiment, write_openkbp

from harness.base.console import Console
from harness.base.files import read_json, write_json
from harness.commands.session import Session
from harness.config.load import load_experiment


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_openkbp(tmp_path_factory.mktemp("openkbp"))


@pytest.fixture
def experiment(tmp_path: Path, patients: Path) -> Path:
    return write_experiment(tmp_path / "tiny.yaml", patients)


def add_jobs(work: Path) -> None:
    (work / "jobs" / "prepare" / "0123").mkdir(parents=True)


def test_a_fresh_folder_gets_the_number_once(tmp_path: Path, experiment: Path) -> None:
    session = Session(load_experiment(experiment), tmp_path / "work", Console(quiet=True))
    with session.open(track=False):
        assert read_json(tmp_path / "work" / "format.json") == {"format": 2}
    add_jobs(tmp_path / "work")
    with session.open(track=False):
        assert read_json(tmp_path / "work" / "format.json") == {"format": 2}


@pytest.mark.parametrize("command", ["prepare", "sweep", "report", "ui", "export", "inspect"])
@pytest.mark.parametrize("number", [None, 3])
def test_every_command_leaves_another_format_alone(
    command: str,
    number: int | None,
    tmp_path: Path,
    experiment: Path,
) -> None:
    work = tmp_path / "work"
    add_jobs(work)
    if number is not None:
        write_json(work / "format.json", {"format": number})
    before = sorted(work.rglob("*"))
    words = {
        "export": ["nnunet", str(experiment), "-o", str(tmp_path / "out")],
        "inspect": [str(tmp_path)],
    }.get(command, [str(experiment)])
    answer = run_cli(command, *words, "--workdir", work)
    assert answer.code == 2
    assert (
        f"'{work}' was made by format {number or 1} of harness; this version begins anew in "
        "another folder: give --workdir another one"
    ) in " ".join(answer.err.split())
    assert sorted(work.rglob("*")) == before
