"""Where the numbers come from: code, versions, machine, digests, cost, the whole config."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from harness.base.text import counted, duration
from harness.report.data import ReportData
from harness.report.results import Extractor, extractors


@dataclass(frozen=True)
class Provenance:
    """The section."""

    extractors: list[Extractor]
    ledger: list[tuple[str, int, str]]
    total: str
    config: str
    digests: list[tuple[str, str]]


def make_provenance(data: ReportData) -> Provenance:
    """Everything that a reader needs to repeat or doubt the page."""
    ledger = [
        (kind, int(entry.get("jobs", 0)), duration(entry.get("seconds", 0.0)))
        for kind, entry in sorted(data.ledger.items())
    ]
    jobs = sum(count for _, count, _ in ledger)
    seconds = sum(entry.get("seconds", 0.0) for entry in data.ledger.values())
    return Provenance(
        extractors=extractors(data),
        ledger=ledger,
        total=f"{counted(jobs, 'job')}, {duration(seconds)} of computing" if ledger else "",
        config=yaml.safe_dump(dict(data.config), sort_keys=False, allow_unicode=True),
        digests=_digests(data),
    )


def _digests(data: ReportData) -> list[tuple[str, str]]:
    """Digests of the jobs that the answer rests on."""
    if data.comparison is None:
        return []
    opening, tests = data.comparison.opening, sorted(data.comparison.tests.items())
    digests = [("test evaluation (opening)", opening.digest)] if opening is not None else []
    return digests + [(f"test of {arm}, replicate {n}", spec.digest) for (arm, n), spec in tests]
