"""One finished experiment for the tests of its page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories.report import Material, in_memory
from page_checks import Smaller

from harness.inference.decision import decide
from harness.report.data import ReportData
from harness.report.page import write_report


@pytest.fixture(scope="session")
def material() -> Iterator[Material]:
    with in_memory() as made:
        yield made


@pytest.fixture(scope="session")
def everything(material: Material) -> ReportData:
    """A finished experiment with 12 test patients and 5 replicates, one of which failed."""
    return material.data(failed=1)


@pytest.fixture(scope="session")
def page(everything: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(everything, tmp_path_factory.mktemp("everything"))


@pytest.fixture
def smaller(material: Material, everything: ReportData) -> Smaller:
    """The same comparison with fewer patients and replicates, and without sweeps.

    Unless `stages` is true, the replicates are those of arms that need no generator: less to draw.
    """

    def make(patients: int, count: int, stages: bool = False, **changes: Any) -> ReportData:
        assert everything.comparison is not None
        replicates = everything.comparison.replicates[:count]
        if not stages:
            bare: dict[str, Any] = {"stages": {}, "scores": {}, "stores": {}}
            replicates = [replace(replicate, **bare) for replicate in replicates]
        seeds = {replicate.seed for replicate in replicates}
        tests = {key: s for key, s in everything.comparison.tests.items() if key[1] in seeds}
        plan = replace(everything.comparison, replicates=replicates, tests=tests)
        plan.extended = changes.pop("extended", False)
        table = material.table([f"pt_{200 + n}" for n in range(patients)], plan)
        values: dict[str, Any] = {
            "comparison": plan,
            "table": table,
            "effects": decide(table, everything.experiment.decision, plan.extended),
            "sweeps": (),
            "verdicts": (),
            "chosen": None,
        }
        return replace(everything, **{**values, **changes})

    return make
