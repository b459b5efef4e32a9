"""The synthetic pairs: how many masks were kept and rejected, and what the pairs look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.base.text import percent
from harness.report.data import ReportData
from harness.report.pairs import COLUMNS, real_pairs, synthetic_pairs
from harness.report.picture_budget import Picture, PictureBudget
from harness.report.results import values_of

# Rows of pictures; further replicates are counted in the table.
MOST_ROWS = 6


@dataclass(frozen=True)
class SynthesisLine:
    """One replicate's count of masks."""

    name: str
    tried: int
    pairs: int
    rejected: Mapping[str, int]
    share: str
    note: str


@dataclass(frozen=True)
class Synthesis:
    """The section; empty before a synthesis finished."""

    lines: list[SynthesisLine] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)


def make_synthesis(data: ReportData, budget: PictureBudget) -> Synthesis:
    """Counts per replicate, and a row of pairs of each below a row of real ones."""
    lines: list[SynthesisLine] = []
    pictures: list[Picture] = []
    for replicate in data.comparison.replicates if data.comparison else ():
        if replicate.synthesis is None:
            continue
        folder = data.work.job(replicate.synthesis)
        values = values_of(folder.result())
        if not values:
            continue
        lines.append(_line(f"{replicate.seed}", values))
        drawn = len(lines) <= MOST_ROWS
        sheet = synthetic_pairs(folder.verified() / "store", COLUMNS) if drawn else None
        if sheet is not None:
            words = f"Synthetic, replicate {replicate.seed}"
            pictures.append(budget.image(sheet, words, words, most=40_000))
    reasons = sorted({reason for line in lines for reason in line.rejected})
    if pictures and (real := real_pairs(data.store, COLUMNS)) is not None:
        words = "Real, training patients"
        pictures.insert(0, budget.image(real, words, words, most=40_000))
    return Synthesis(lines, reasons, pictures)


def _line(name: str, values: Mapping[str, Any]) -> SynthesisLine:
    rejected = values.get("rejected") or {}
    tried, pairs = values.get("tried", 0), values.get("pairs", 0)
    notes = []
    if values.get("kept_implausible"):
        notes.append("no mask was plausible: implausible ones were used")
    elif values.get("too_few"):
        notes.append("fewer than wanted")
    share = percent(sum(rejected.values()) / tried if tried else None)
    return SynthesisLine(name, tried, pairs, rejected, share, "; ".join(notes))
