"""Results as data frames: the page's tables, with the columns that docs/python.md lists."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest

import harness
from harness.base.errors import DataError
from harness.commands.results import Results, frames
from harness.metrics.segmentation.calibration import CALIBRATION
from harness.metrics.segmentation.structure_scores import MEASURES
from harness.report.data import ReportData

TEXT = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")


def listed() -> dict[str, list[str]]:
    rows = re.findall(r"^\| `(\w+)` \| ([a-z0-9_, ]+) \|$", TEXT, re.MULTILINE)
    return {name: columns.split(", ") for name, columns in rows}


def test_every_frame_has_the_documented_columns(everything: ReportData) -> None:
    found, columns = frames(everything), listed()
    assert [field.name for field in fields(Results)] == list(columns)
    for name, wanted in columns.items():
        frame = getattr(found, name)
        if len(frame):
            settings = [c for c in frame.columns if "." in c or "/" in c or c == "batch_size"]
            shown = [c for c in frame.columns if c not in settings]
            # These test scores hold Dice alone.
            measured = (*MEASURES, *CALIBRATION)
            assert shown == [c for c in wanted if c in shown or c not in measured], name


def test_means_are_those_of_the_table(everything: ReportData) -> None:
    found = frames(everything)
    assert everything.table is not None
    assert found.scores["value"].tolist() == [cell.value for cell in everything.table.cells]
    for arm, value in zip(found.arms["arm"], found.arms["value"], strict=True):
        assert value == pytest.approx(everything.table.values(arm).mean())
    assert len(found.replicates) == len(found.arms) * len(everything.table.replicates)
    assert isinstance(found.trials, pd.DataFrame)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="where there is no folder; name yours"):
        harness.results(tmp_path / "none", tmp_path / "a.yaml")
