"""Writes pages of smaller experiments, and holds every page to the same rules."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from page_reader import Page

from harness.report.data import ReportData
from harness.report.page import write_report

LIMIT = 2_000_000

Smaller = Callable[..., ReportData]


def nothing(everything: ReportData, **changes: Any) -> ReportData:
    """Before any command: the experiment and an empty work folder."""
    empty: dict[str, Any] = {
        "patients": [],
        "store": None,
        "store_values": {},
        "sweeps": (),
        "verdicts": (),
        "chosen": None,
        "comparison": None,
        "table": None,
        "effects": (),
        "ledger": {},
    }
    return replace(everything, **{**empty, **changes})


def written(data: ReportData, folder: Path) -> tuple[Page, dict[str, Any]]:
    path = write_report(data, folder)
    return Page(path.read_text(encoding="utf-8")), json.loads((folder / "report.json").read_text())


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check(page: Page) -> None:
    """What holds in every state."""
    assert len(page.html.encode()) < LIMIT
    assert not {"script", "iframe", "object", "embed", "link", "form"} & set(page.tags)
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("src", "href"):
            assert value.startswith(("data:image/", "#")), (tag, value[:80])
    style = re.findall(r"<style>(.*?)</style>", page.html, re.DOTALL)
    assert not any("url(" in text or "@import" in text for text in style)
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(set(ids)) == len(ids)
    targets = [v[1:] for _, name, v in page.attributes if name == "href" and v.startswith("#")]
    assert set(targets) <= set(ids)
    for picture in page.pictures:
        assert picture.alt
        if picture.kind == "image/svg+xml":
            assert picture.words()
        else:
            assert picture.pixels().size
    assert "nan" not in re.findall(r"[a-z]+", page.text.lower())
    assert "None" not in page.text
