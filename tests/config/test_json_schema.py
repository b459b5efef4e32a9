"""Editors accept what the program accepts, and mark what it refuses; jsonschema is the editor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from harness.config.choices import SOURCES
from harness.config.json_schema import json_schema
from harness.config.load import parse_experiment
from harness.config.render import render

EXPERIMENTS = sorted((Path(__file__).parents[2] / "experiments").rglob("*.yaml"))
EDITOR = Draft202012Validator(json_schema())


def marked(tree: Any) -> list[str]:
    return [error.json_path for error in EDITOR.iter_errors(tree)]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_every_experiment_here_is_right(path: Path) -> None:
    assert marked(yaml.safe_load(path.read_text())) == []


def test_what_is_printed_is_right() -> None:
    Draft202012Validator.check_schema(json_schema())
    text = render(parse_experiment("name: x", "a"))
    assert marked(yaml.safe_load(text)) == []


def test_sections_in_part_are_right() -> None:
    tree = {"name": "x", "sweep": {"mask": {"trials": 2}, "image": None}}
    parse_experiment(json.dumps(tree), "a")
    assert marked(tree) == []


@pytest.mark.parametrize(
    ("tree", "where"),
    [
        ({}, "$"),
        ({"name": "x", "msak": {}}, "$"),
        ({"name": "x", "mask": {"widht": 8}}, "$.mask"),
        ({"name": "x", "data": {"source": "openkpb"}}, "$.data.source"),
        ({"name": "x", "data": {"spacing_mm": 0}}, "$.data.spacing_mm"),
    ],
)
def test_mistakes_are_marked_where_they_are(tree: dict[str, Any], where: str) -> None:
    assert marked(tree) == [where]


def test_sources_are_offered_by_name() -> None:
    source = json_schema()["$defs"]["DataConfig"]["properties"]["source"]
    assert source["enum"] == SOURCES.names()
