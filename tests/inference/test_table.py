"""Cells by patient, replicate and arm, and their way to disk and back."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest

from harness.base.errors import DataError
from harness.inference.table import Cell, Table

CELLS = [
    Cell("pt_2", 1001, "gan", 0.5),
    Cell("pt_1", 1000, "gan", 0.25),
    Cell("pt_1", 1001, "gan", 0.75),
    Cell("pt_1", 1000, "none", 0.125),
    Cell("pt_2", 1000, "none", math.nan),
]


def test_rows_are_patients_and_columns_replicates() -> None:
    table = Table(CELLS)
    assert table.patients == ("pt_1", "pt_2")
    assert table.replicates == (1000, 1001)
    assert table.arms == ("gan", "none")
    np.testing.assert_array_equal(table.values("gan"), [[0.25, 0.75], [np.nan, 0.5]])
    np.testing.assert_array_equal(table.difference("none", "gan")[0], [0.125, np.nan])


def test_an_empty_table_has_no_cells() -> None:
    assert Table([]).values("gan").shape == (0, 0)


def test_an_arm_that_is_not_there_lacks_every_cell() -> None:
    assert np.isnan(Table(CELLS).values("traditional")).all()


def test_a_repeated_cell_is_refused() -> None:
    with pytest.raises(DataError) as error:
        Table([*CELLS, Cell("pt_1", 1000, "gan", 0.3)])
    assert str(error.value) == (
        "each patient, replicate and arm must have one value, but got 1 repeated; "
        "remove the duplicates"
    )


def test_the_csv_holds_every_cell_exactly() -> None:
    odd = Cell('a,"b"\nc', 1000, "traditional+gan", 0.1 + 0.2)
    rows = list(csv.DictReader(io.StringIO(Table([*CELLS, odd]).to_csv())))
    back = [
        Cell(r["patient"], int(r["replicate"]), r["arm"], float(r["value"] or "nan")) for r in rows
    ]
    assert back[-1] == odd
    assert [(c.patient, c.replicate, c.arm) for c in back[:-1]] == [
        (c.patient, c.replicate, c.arm) for c in CELLS
    ]
    np.testing.assert_array_equal([c.value for c in back[:-1]], [c.value for c in CELLS])
