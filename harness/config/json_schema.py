"""The JSON schema of an experiment file, by which editors complete and check it."""

from __future__ import annotations

from typing import Any

from harness.config.experiment import Experiment


def json_schema() -> dict[str, Any]:
    """With the built-in networks' settings. Only `name` must be there: what a section leaves out
    keeps its default, also where the model by itself would ask for it."""
    schema = Experiment.model_json_schema()
    for section in schema["$defs"].values():
        section.pop("required", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
