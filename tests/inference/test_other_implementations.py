"""Our variances beside those of others: iMRMC's U-statistic, and lme4's REML."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from harness.inference.crossed_t import Inference, crossed_weighted_t

HERE = Path(__file__).parent / "lme4"
"""`golden.R` made golden.csv from tables.csv, with R 4.2 and lme4 1.1."""


def tables() -> dict[str, np.ndarray]:
    cells: dict[str, dict[tuple[int, int], float]] = defaultdict(dict)
    with open(HERE / "tables.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            place = int(row["patient"][1:]), int(row["replicate"][1:])
            cells[row["table"]][place] = float(row["d"])
    found = {}
    for name, of in cells.items():
        shape = [1 + max(place[axis] for place in of) for axis in (0, 1)]
        found[name] = np.full(shape, math.nan)
        for place, value in of.items():
            found[name][place] = value
    return found


TABLES = tables()
WHOLE = [name for name in TABLES if "holes" not in name]
HOLED = [name for name in TABLES if "holes" in name]


def golden(name: str) -> dict[str, float]:
    with open(HERE / "golden.csv", newline="", encoding="utf-8") as file:
        (row,) = [row for row in csv.DictReader(file) if row["table"] == name]
    return {key: float(value) for key, value in row.items() if key != "table"}


def known(name: str) -> Inference:
    found = crossed_weighted_t(TABLES[name])
    assert found.standard_error is not None
    assert found.components is not None
    return found


@pytest.mark.parametrize("name", WHOLE)
def test_a_complete_table_is_that_of_lme4(name: str) -> None:
    """Where no part is estimated as zero, REML of a balanced table is the mean squares'."""
    found, theirs = known(name), golden(name)
    assert min(theirs["patient"], theirs["replicate"]) > 0
    assert found.mean == pytest.approx(theirs["mean"], rel=1e-9)
    assert found.standard_error == pytest.approx(theirs["standard_error"], rel=1e-5)
    assert found.components is not None
    for part in ("patient", "replicate", "residual"):
        assert getattr(found.components, part) == pytest.approx(theirs[part], rel=1e-5)


@pytest.mark.parametrize("name", HOLED)
def test_a_table_with_holes_is_near_that_of_lme4(name: str) -> None:
    """REML weighs incomplete patients less, so the two differ; simulated, by half an SE at most."""
    found, theirs = known(name), golden(name)
    assert found.holes > 0
    assert abs(found.mean - theirs["mean"]) < 0.25 * theirs["standard_error"]
    assert found.standard_error is not None
    assert found.standard_error / theirs["standard_error"] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("name", WHOLE)
def test_the_variance_is_imrmcs_u_statistic(name: str) -> None:
    """Gallas (2006), *One-shot estimate of MRMC variance*: products of cells that share patient and
    replicate, one of them or neither, each averaged over its pairs."""
    d = TABLES[name]
    patients, replicates = d.shape
    alike = np.eye(patients, dtype=bool)[:, None, :, None] & np.ones((1, replicates, 1, 1), bool)
    same_p = np.broadcast_to(alike, (patients, replicates, patients, replicates))
    same_r = np.broadcast_to(np.eye(replicates, dtype=bool)[None, :, None, :], same_p.shape)
    products = d[:, :, None, None] * d[None, None, :, :]
    moments = [
        products[at].mean()
        for at in (same_p & same_r, same_p & ~same_r, ~same_p & same_r, ~same_p & ~same_r)
    ]
    share = 1 / d.size
    weights = [
        share,
        share * (replicates - 1),
        share * (patients - 1),
        share * (patients - 1) * (replicates - 1) - 1,
    ]
    variance = float(np.dot(weights, moments))
    found = known(name)
    assert found.standard_error is not None
    assert found.standard_error**2 == pytest.approx(variance, rel=1e-10, abs=1e-16)
