"""What stands beside the answer on the page and in report.json."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from page_checks import Smaller, check, written
from page_reader import Page

from harness.inference.table import Table
from harness.report.data import ReportData

KEYS = {
    "group", "name", "shows", "weights", "status", "patients", "replicates", "mean", "interval_95",
}  # fmt: skip


def with_arm(data: ReportData, arm: str, like: str, gain: float) -> ReportData:
    """As if an arm like another one, better by `gain` on average, had been trained too."""
    assert data.table is not None
    rng = np.random.default_rng(2)
    cells = [c for c in data.table.cells if c.arm == like]
    more = [replace(c, arm=arm, value=c.value + gain + rng.normal(0, 0.002)) for c in cells]
    return replace(data, table=Table([*data.table.cells, *more]))


def test_the_default_arms_have_their_noise_floor_and_factorial(
    everything: ReportData, page: Path
) -> None:
    shown = Page(page.read_text()).text.replace("\u2212", "-")
    assert shown.index("The answer and its noise floor") < shown.index("Secondary comparisons")
    assert "carry no verdict" in shown
    assert "Stage II" not in shown
    listed = json.loads((page.parent / "report.json").read_text())["contrasts"]
    names = ["duplicate - traditional", "augmentation", "synthetic pairs", "interaction"]
    assert [one["name"] for one in listed] == names
    assert all(set(one) == KEYS for one in listed)
    assert everything.table is not None
    by_arm = {arm: everything.table.values(arm).mean() for arm in everything.table.arms}
    for one in listed:
        assert f"{one['name']} {one['shows']} {one['mean']:+.4f}" in shown
        total = sum(weight * by_arm[arm] for arm, weight in one["weights"].items())
        assert one["mean"] == pytest.approx(total, abs=1e-12)
        low, high = one["interval_95"]
        assert low < one["mean"] < high


def test_each_stage_has_its_sentence_where_real_masks_were_trained(
    smaller: Smaller, tmp_path: Path
) -> None:
    data = with_arm(smaller(12, 5), "real-mask", "traditional", 0.005)
    page, summary = written(data, tmp_path)
    check(page)
    stages = [one for one in summary["contrasts"] if one["group"] == "stage"]
    assert [one["name"] for one in stages] == [
        "real-mask - traditional",
        "traditional+gan - real-mask",
    ]
    assert stages[0]["mean"] == pytest.approx(0.005, abs=0.002)
    shown = page.text.replace("\u2212", "-").replace("\xa0", " ")
    for one in stages:
        low, high = one["interval_95"]
        sentence = f"{one['shows'][1:]}; {one['name']}: {one['mean']:+.4f} test Dice"
        assert f"{sentence}, 95 % interval {low:+.4f} to {high:+.4f}." in shown


def test_two_arms_alone_have_nothing_beside_them(smaller: Smaller, tmp_path: Path) -> None:
    data = smaller(12, 5)
    assert data.table is not None
    two = Table(c for c in data.table.cells if c.arm in ("traditional", "traditional+gan"))
    page, summary = written(replace(data, table=two), tmp_path)
    assert summary["contrasts"] == []
    assert "The answer and its" not in page.text


def test_without_a_control_there_is_no_noise_floor(smaller: Smaller, tmp_path: Path) -> None:
    data = with_arm(smaller(3, 2), "real-mask", "traditional", 0.005)
    assert data.table is not None
    data = replace(data, table=Table(c for c in data.table.cells if c.arm != "duplicate"))
    page, summary = written(data, tmp_path)
    check(page)
    assert "The answer and its parts" in page.text
    assert "noise floor" not in page.text
    assert [one["interval_95"] for one in summary["contrasts"]] == [None] * 5
    assert page.text.count("test Dice, no interval.") == 2
