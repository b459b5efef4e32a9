"""The audits on the page: each number beside its baseline, each verdict word for word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.report import in_memory
from page_reader import Page

from harness.base.text import short
from harness.commands import audit
from harness.report.data import ReportData
from harness.report.page import write_report
from harness.training.pictures import write_png

NAMES = ("kid", "kid_by_patient", "fid", "precision", "recall", "density", "coverage")
PAIRED = ("mae_hu", "mae_hu_structure", "ssim", "ssim_structure", "ms_ssim_4", "psnr_db")


def score(value: float | None, note: str | None = None, ends: bool = True) -> dict[str, Any]:
    interval = None if value is None or not ends else [value - 0.25, value + 0.25]
    return {"value": value, "interval": interval, "n": 31, "units": "images", "note": note}


def values(base: float) -> dict[str, Any]:
    """An audit's values; every number can be told from every other one."""
    baseline = {"mean": 0.5, "p05": 0.375, "p95": 0.625, "n": 31, "patients": 9, "note": None}
    names = {"name": "lite0", "weights": "ab" * 32, "preprocessing": "grey x 3"}
    block = {
        "extractor": names,
        "scores": {name: score(base + k) for k, name in enumerate(NAMES)},
        "real_baselines": dict.fromkeys(NAMES, baseline),
    }
    part = {
        "scores": [block],
        "collapse": {"sentence": f"Healthy: as varied as {base} <b>."},
        "memorisation": {"sentence": f"No memorisation seen: {base} & chance."},
    }
    return {
        "n": 31,
        "validation": 40,
        "masks": {"distances": {"area_px_in_sd": score(base + 0.125)}, "implausible": score(0.0)},
        "labels": {"synthetic": score(0.75), "real": score(0.875), "gain": score(0.5)},
        "paired": {name: score(base + 100 + k) for k, name in enumerate(PAIRED)},
        "mask": part,
        "ct": part,
    }


@pytest.fixture(scope="module")
def plain() -> Iterator[ReportData]:
    """Without sweeps, whose figures take seconds."""
    with in_memory() as made:
        yield made.data(sweeps=())


@pytest.fixture(scope="module")
def shown(plain: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Page:
    home = tmp_path_factory.mktemp("audits")
    folders = {}
    for seed in (1000, 1001):
        folders[seed] = home / str(seed)
        picture = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
        write_png(folders[seed] / "samples" / "closest-mask-000000.png", picture)
    audits = {1001: values(20.0), 1000: values(10.0)}
    data = replace(plain, audits=audits, audit_folders=folders)
    return Page(write_report(data, home / "report").read_text("utf-8"))


def test_every_verdict_is_there_word_for_word(shown: Page) -> None:
    for base in (10.0, 20.0):
        assert f"Healthy: as varied as {base} <b>." in shown.text
        assert f"No memorisation seen: {base} & chance." in shown.text
    both = "the pairs that synthesis kept, their masks cleaned and found plausible; a stage's own"
    assert both in shown.text, "why a stage may be called collapsed, and its pairs healthy"
    assert both in audit.lines({1000: values(10.0) | {"labels": {}}})[0]


def test_every_score_stands_with_its_interval_beside_its_baseline(shown: Page) -> None:
    baseline = "0.5(0.375 to 0.625; n = 31)"
    assert shown.rows.count(["real-real baseline"] + [baseline] * len(NAMES)) == 2  # masks, CT
    first = [f"{short(10.0 + k)}({short(9.75 + k)} to {short(10.25 + k)})" for k in range(7)]
    assert ["replicate 1000", *first] in shown.rows
    for base in (10.0, 20.0):
        for k in range(len(NAMES)):
            value, low, high = (short(base + k + shift) for shift in (0.0, -0.25, 0.25))
            assert f"{value} ({low} to {high})" in shown.text
        for k in range(len(PAIRED)):
            assert f"{short(base + 100.0 + k)} (" in shown.text


def test_who_looked_is_named(shown: Page) -> None:
    assert "features of lite0 (weights abababababab, n = 31 a side, grey x 3)" in shown.text


def test_a_score_that_is_no_number_has_its_reason(plain: ReportData, tmp_path: Path) -> None:
    broken = values(10.0)
    broken["ct"]["scores"][0]["scores"]["kid"] = score(None, "features are not finite")
    broken["labels"] = {"note": "no judge"}
    data = replace(plain, audits={1000: broken}, audit_folders={1000: tmp_path})
    text = Page(write_report(data, tmp_path / "report").read_text("utf-8")).text
    assert "not a number: features are not finite" in text
    assert "Fit of the labels" not in text


def test_without_audits_there_is_no_section(plain: ReportData, tmp_path: Path) -> None:
    page = write_report(plain, tmp_path / "report")
    assert 'id="audits"' not in page.read_text("utf-8")
