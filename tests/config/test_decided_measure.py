"""The measure that decides: what it leaves to be set, and what it fills in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from factories.tiny import tiny_experiment

from harness.base.errors import ConfigError
from harness.config.decision import DecisionConfig
from harness.config.experiment import Experiment, to_dict
from harness.config.load import load_experiment


def loaded(tmp_path: Path, text: str, *overrides: str) -> DecisionConfig:
    path = tmp_path / "experiment.yaml"
    path.write_text(f"name: e\n{text}")
    return load_experiment(path, overrides).decision


@pytest.mark.parametrize(
    ("measure", "margin", "patient"),
    [("dice", 0.01, 0.019), ("surface_dice", 0.02, 0.027), ("hd95_mm", 1.0, 1.7)],
)
def test_margin_and_spread_left_unset_are_the_measures(
    tmp_path: Path, measure: str, margin: float, patient: float
) -> None:
    """In the file, and on a command line whose file has no such section."""
    for decision in (
        loaded(tmp_path, f"decision: {{measure: {measure}}}\n"),
        loaded(tmp_path, "", f"decision.measure={measure}"),
        loaded(tmp_path, "decision: {budget_seeds: 3}\n", f"decision.measure={measure}"),
        DecisionConfig.model_validate({"measure": measure}),
    ):
        assert (decision.margin, decision.assumed.patient) == (margin, patient)


def test_what_is_set_stays_and_the_rest_is_the_measures(tmp_path: Path) -> None:
    text = "decision: {measure: hd95_mm, margin: 2.5, assumed: {replicate: 0.1}}\n"
    for decision in (
        loaded(tmp_path, text),
        loaded(tmp_path, "decision: {measure: hd95_mm, margin: 2.5}\n",
               "decision.assumed.replicate=0.1"),
    ):  # fmt: skip
        assert decision.margin == 2.5
        assert to_dict(decision.assumed) == {"patient": 1.7, "replicate": 0.1, "residual": 1.7}


def test_an_experiment_reads_back_as_it_was_written() -> None:
    for measure in ("dice", "hd95_mm"):
        experiment = tiny_experiment(decision={"measure": measure, "secondary": []})
        assert Experiment.model_validate(to_dict(experiment)) == experiment


def test_an_unknown_measure_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, "decision: {measure: hd95}\n")
    said: Any = str(raised.value)
    assert "decision.measure must be one of: dice, surface_dice, hd95_mm, but got 'hd95'" in said
    assert "factory" not in said
    assert "margin" not in said
