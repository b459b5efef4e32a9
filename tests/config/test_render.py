"""The documented print-out loads back; what is stored says nothing about this machine."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.config.experiment import Experiment
from harness.config.load import parse_experiment
from harness.config.render import render, sanitised
from harness.config.section import Section

EXPERIMENTS = [
    [],
    ["data.source=openkbp", "data.root=~/open-kbp", "data.roles.by=source"],
    ["sweep.mask=null", "sweep.image.space={width: {low: 8, high: 64, log: true, integer: true}}"],
    ["compute.threads=2", "mask.optimiser.learning_rate=1e-300", "data.limit.train=20"],
    [
        "arms=[traditional, traditional+gan]",
        "decision.secondary=[]",
        "segmentation.channels=[4, 8]",
    ],
    ["sweep.image.space={l1_weight: {values: [1, 2.0, 1e22]}, dropout: {values: [true]}}"],
    ["data.patterns={'a: b': ['#x', '- y', \"it's\"], 'no': []}", "data.structures=['a: b']"],
]


@pytest.mark.parametrize("overrides", EXPERIMENTS)
def test_the_print_out_loads_back_equal(overrides: list[str]) -> None:
    experiment = parse_experiment("name: x", "a", overrides)
    text = render(experiment)
    back = parse_experiment(text, "b")
    assert back == experiment
    # Equal is not enough: 1 == 1.0 == true, yet their specs differ.
    assert back.model_dump_json() == experiment.model_dump_json()
    assert render(back) == text
    assert all(len(line) <= 100 for line in text.splitlines() if "# " in line)


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.floats(min_value=1e-308, max_value=1e308),
    st.sampled_from(["1e-4", "no", "null", "~", "010", "2026-11-24", "0x1F", "=", "<<", ".5"]),
)
def test_any_text_and_number_survives(question: str, root: str, number: float, name: str) -> None:
    experiment = Experiment.model_validate(
        {
            "name": name if name[0].isalnum() else "x",
            "question": question,
            "data": {
                "source": "dicom",
                "root": root,
                "structures": [name],
                "patterns": {name: [name]},
            },
            "image": {"l1_weight": number},
        }
    )
    assert parse_experiment(render(experiment), "b") == experiment


def descriptions(section: type[Section]) -> list[str]:
    found: list[str] = []
    for field in section.model_fields.values():
        found.append(field.description or "")
        if isinstance(field.default, Section):
            found += descriptions(type(field.default))
    return found


def test_every_setting_is_documented_where_it_stands() -> None:
    comments = [
        line.partition("# ")[2]
        for line in render(Experiment(name="x")).splitlines()
        if "# " in line
    ]
    said = " ".join(comments)
    expected = descriptions(Experiment)
    assert all(expected)
    for description in expected:
        assert description in said


def test_rules_ranges_and_changed_defaults_stand_beside_the_value() -> None:
    text = render(parse_experiment("name: x", "a", ["mask.batch_size=64"]))
    lines = textwrap.dedent(text).splitlines()
    assert "  batch_size: 64  # images an update (default 12); a whole number >= 1" in lines
    assert "  noise: normal  # `uniform` is on [-1, 1]; one of: normal, uniform" in lines
    assert "  real_label: 1.0  # 0.9 smooths the label of real images; a number in [0, 1]" in lines


def test_other_yaml_readers_agree_on_the_structure() -> None:
    experiment = Experiment(name="x")
    theirs: dict[str, Any] = yaml.safe_load(render(experiment))
    assert theirs == json.loads(experiment.model_dump_json(exclude={"sweep"})) | {
        "sweep": theirs["sweep"]
    }


def stored(*overrides: str) -> dict[str, Any]:
    return sanitised(parse_experiment("name: x", "a", overrides))


def test_nothing_of_this_machine_is_stored() -> None:
    text = json.dumps(
        stored(
            "data.source=dicom",
            "data.root=/home/doe/patients",
            "metrics.inception_weights=/home/doe/weights-inception.pth",
            "metrics.torchscript=/home/doe/radimagenet.pt",
            "decision.subgroups_file=/home/doe/centres.csv",
            "tracking.uri=sqlite:////home/doe/mlflow.db",
        )
    )
    assert "doe" not in text
    assert "<data.root>" in text
    assert "weights-inception.pth" in text
    assert "radimagenet.pt" in text
    assert "centres.csv" in text


@pytest.mark.parametrize(
    ("uri", "public"),
    [
        ("http://me@host:5000/x", "http://host:5000/x"),
        (
            "postgresql+psycopg://me@db:5432/runs?sslmode=require",
            "postgresql+psycopg://db:5432/runs",
        ),
        ("https://host", "https://host"),
        ("sqlite:////home/me/secret/mlflow.db?timeout=3", "sqlite:///mlflow.db"),
        ("file:///home/me/secret/mlruns", "file:///mlruns"),
        ("/home/me/secret/mlruns", "mlruns"),
        ("C:\\secret\\mlruns", "mlruns"),
        ("databricks", "databricks"),
    ],
)
def test_credentials_and_folders_leave_the_tracking_uri(uri: str, public: str) -> None:
    assert stored(f"tracking.uri='{uri}'")["tracking"]["uri"] == public


def test_expressions_that_name_rois_are_stored_only_where_names_are_shown() -> None:
    given = ("data.patterns.parotid_left=[OHR_LI Meier]", "privacy.roi_names=true")
    hidden, shown = stored(given[0])["data"]["patterns"], stored(*given)["data"]["patterns"]
    assert hidden["parotid_left"] == ["<data.patterns>"]
    assert shown["parotid_left"] == ["OHR_LI Meier"]
    assert (
        hidden["parotid_right"]
        == shown["parotid_right"]
        == stored()["data"]["patterns"]["parotid_right"]
    )  # the built-in ones, which are anybody's


def test_what_is_stored_is_an_experiment_again() -> None:
    plain = stored("data.source=dicom", "data.root=/home/doe", "mask.width=8")
    again = Experiment.model_validate(plain)
    assert again.mask.width == 8
    assert again.data.root == "<data.root>"
    assert stored()["data"]["root"] is None
