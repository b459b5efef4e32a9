"""`harness config` and `harness init`: files that load."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories.cli import run_cli

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


def test_init_writes_a_file_that_loads_and_says_what_comes_next(here: Path) -> None:
    (here / "my scans").mkdir()
    answer = run_cli("init", "my scans", "-o", "my experiment.yaml", "--name", "clinic")
    assert (answer.code, answer.out) == (0, "")
    assert answer.then == ["harness", "prepare", "my experiment.yaml"]
    loaded = load_experiment(here / "my experiment.yaml")
    assert (loaded.name, loaded.data.source, loaded.data.root) == ("clinic", "dicom", "my scans")
    text = (here / "my experiment.yaml").read_text()
    assert run_cli("init", "my scans", "-o", "my experiment.yaml").code == 2
    assert (here / "my experiment.yaml").read_text() == text
    machine = run_cli("init", "my scans", "-o", "other.yaml", "--json")
    assert machine.json == {"experiment": "other.yaml"}
