"""`harness config` and `harness init`: files that load."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories.cli import run_cli
from factories.patients import write_patients

from harness.config.experiment import Experiment
from harness.config.load import load_experiment, parse_experiment

QUICKSTART = Path(__file__).parents[2] / "experiments" / "quickstart.yaml"


@pytest.mark.parametrize("changes", [[], ["-s", "mask.width=8", "-s", "arms=[none, duplicate]",
                                          "-s", "decision={baseline: none, candidate: duplicate, "
                                          "secondary: []}"]])  # fmt: skip
def test_the_printed_config_loads_back_equal(experiment: str, changes: list[str]) -> None:
    answer = run_cli("config", experiment, *changes)
    expected = load_experiment(Path(experiment), changes[1::2])
    assert parse_experiment(answer.out, "printed.yaml") == expected
    machine = run_cli("config", experiment, *changes, "--json")
    assert Experiment.model_validate(machine.json) == expected


def test_the_quickstart_is_valid() -> None:
    assert run_cli("config", str(QUICKSTART)).code == 0


def test_the_schema_is_printed_without_an_experiment() -> None:
    printed = run_cli("config", "--schema").json
    assert (printed["required"], printed["title"]) == (["name"], "Experiment")


def test_init_writes_a_file_that_loads_and_says_what_comes_next(here: Path) -> None:
    write_patients(here / "one", [{}])
    lone = run_cli("init", "one", "-o", "lone.yaml")
    assert "prepare will refuse it: name another structure with --structures" in lone.err
    assert lone.then == []
    write_patients(here / "my scans", [{}] * 3)
    answer = run_cli("init", "my scans", "-o", "my experiment.yaml", "--name", "clinic")
    assert (answer.code, answer.out) == (0, "")
    assert answer.then == ["harness", "prepare", "my experiment.yaml"]
    loaded = load_experiment(here / "my experiment.yaml")
    root = str((here / "my scans").resolve())
    assert (loaded.name, loaded.data.source, loaded.data.root) == ("clinic", "dicom", root)
    text = (here / "my experiment.yaml").read_text()
    assert not text.startswith("# yaml-language-server")
    assert run_cli("init", "my scans", "-o", "my experiment.yaml").code == 2
    assert (here / "my experiment.yaml").read_text() == text
    machine = run_cli("init", "my scans", "-o", "other ö 2.yaml", "--json")
    assert machine.json["experiment"] == "other ö 2.yaml"
    assert load_experiment(here / "other ö 2.yaml").name == "other-2"
    assert machine.json["structures"] == ["parotid_left", "parotid_right"]


def test_init_writes_the_schema_where_asked(here: Path) -> None:
    write_patients(here / "ct", [{}])
    assert run_cli("init", "ct", "-o", "a.yaml", "--schema").code == 0
    assert json.loads((here / "a.schema.json").read_text()) == run_cli("config", "--schema").json
    first = (here / "a.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=a.schema.json"
    assert load_experiment(here / "a.yaml").name == "a"
