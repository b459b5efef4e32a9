"""Anyone's CSV: what is read, and one sentence with a row for everything that is wrong."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from harness.base.errors import ConfigError, DataError, HarnessError
from harness.inference.scores_file import read_scores_file

HEAD = "patient,replicate,arm,value\n"


def read(tmp_path: Path, content: str | bytes):  # type: ignore[no-untyped-def]
    path = tmp_path / "scores.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_scores_file(path)


def cells(tmp_path: Path, content: str | bytes) -> list[tuple[object, ...]]:
    table = read(tmp_path, content).table
    return [(c.patient, c.replicate, c.arm, c.value) for c in table.cells]


def test_a_plain_file(tmp_path: Path) -> None:
    assert cells(tmp_path, HEAD + "p1,0,A,0.5\np1,0,B,7e-1\n") == [
        ("p1", 0, "A", 0.5),
        ("p1", 0, "B", 0.7),
    ]
    assert read(tmp_path, HEAD + "p1,0,A,0.5\n").notes == ()


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + HEAD.encode() + b"p1,0,A,0.5\n",
        b"patient;replicate;arm;value\r\np1;0;A;0.5\r\n",
        b"patient;run;arm;value\rp1;0;A;0.5",
        b" Patient , RUN,Arm,VALUE\np1, 0 ,A, 0.5\n",
        b'"arm","value","patient","replicate"\n"A","0.5","p1","0"\n',
        b"\n" + HEAD.encode() + b"p1,0,A,0.5\n",
        b"patient\treplicate\tarm\tvalue\t\np1\t0\tA\t0.5\t\n",
    ],
)
def test_what_spreadsheets_make_of_it(tmp_path: Path, content: bytes) -> None:
    assert cells(tmp_path, content) == [("p1", 0, "A", 0.5)]


def test_extra_columns_and_blank_rows_are_noted(tmp_path: Path) -> None:
    found = read(tmp_path, "patient,site,replicate,arm,value\n\np1,X,0,A,0.5\n,,,,\np1,X,1,A,0.4\n")
    assert [c.value for c in found.table.cells] == [0.5, 0.4]
    assert found.notes == (
        "a column that is not read: site",
        "2 blank rows between or after the values",
    )


@pytest.mark.parametrize(
    "content",
    [
        "patient;run;arm;value\np1;0;A;0,75\n",
        "patient\trun\tarm\tvalue\np1\t0\tA\t0,75\n",
        HEAD + 'p1,0,A,"0,75"\n',
    ],
)
def test_decimal_commas_are_noted(tmp_path: Path, content: str) -> None:
    found = read(tmp_path, content)
    assert found.table.cells[0].value == 0.75
    assert found.notes == ("1 value has a decimal comma, read as such",)
    more = content + content.splitlines()[1].replace("0", "1", 1) + "\n"
    assert read(tmp_path, more).notes == ("2 values have a decimal comma, read as such",)


def test_nameless_last_columns_hold_nothing(tmp_path: Path) -> None:
    """Else a decimal comma would put half of the value where nobody reads it."""
    head = "patient,replicate,arm,value,,\n"
    found = read(tmp_path, head + "p,0,A,0.5,,\np,1,A,0.5\n")
    assert (len(found.table.cells), found.notes) == (2, ())
    with pytest.raises(DataError, match="one too many is usually a decimal comma"):
        read(tmp_path, head + "p,0,A,0,75,\n")


def test_replicates_may_have_any_name(tmp_path: Path) -> None:
    rows = "".join(f"p1,{name},A,0.5\n" for name in ("10", "9", "seed-3", "007"))
    assert read(tmp_path, HEAD + rows).table.replicates == ("007", 9, 10, "seed-3")


@pytest.mark.parametrize("text", ["", " ", "NaN", "nan", "NA", "#N/A", "null", "None", "-nan"])
def test_no_value_is_a_missing_cell_and_no_lost_row(tmp_path: Path, text: str) -> None:
    (cell,) = read(tmp_path, HEAD + f"p1,0,A,{text}\n").table.cells
    assert math.isnan(cell.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "with nothing in it"),
        (" \n\n", "with nothing in it"),
        (HEAD, "a header and no row below it"),
        (b"PK\x03\x04\x00\x00", "binary content"),
        (HEAD.encode("utf-16"), "binary content"),
        (HEAD.encode() + b"M\xfcller,0,A,0.5\n", "a byte in row 2 that is no UTF-8"),
        ("patient,replicate,arm\np,0,A\n", "in row 1: no 'value'"),
        ("patient,replicat,arm,value\np,0,A,1\n", "is 'replicat' the column 'replicate'?"),
        ("patient,replicate,run,arm,value\np,0,0,A,1\n", "both 'replicate' and 'run'"),
        ("patient,replicate,arm,value,value\np,0,A,1,1\n", "2 columns 'value'"),
        (HEAD + "p,0,A,0.5\np,1,A,good\n", "but got 'good' in row 3"),
        (HEAD + "p,0,A,0.5\n\np,1,A,1_0\n", "but got '1_0' in row 4"),
        (HEAD + 'p,0,A,"1,000,5"\n', "but got '1,000,5' in row 2"),
        (HEAD + 'p,0,A,"1,000.5"\n', "but got '1,000.5' in row 2"),
        (HEAD + "p,0,A,1e12\n", "must lie within 1e9 of 0, but got '1e12' in row 2"),
        (HEAD + "p,0,A,-1000000001\n", "no measure of a segmentation is that large"),
        (HEAD + "p,0,A,inf\n", "must be finite, but got 'inf' in row 2"),
        (HEAD + "p,0,A,-1e999\n", "must be finite, but got '-1e999' in row 2"),
        (HEAD + "p,0,A,1\np,1,A,1\np,0,A,1\n", "but got rows 2 and 4"),
        (HEAD + "p,0,A\n", "but got 3 in row 2"),
        (HEAD + "p,0,A\n", "; complete it"),
        (HEAD + "p,0,A,1,2\n", "but got 5 in row 2"),
        (HEAD + "p,0,A,0,75\n", "one too many is usually a decimal comma: write a decimal point"),
        (HEAD + "p,0,A,0,7,5,\n", "but got 6 in row 2"),
        (HEAD + "p,0,A,0,7,5\n", "remove what is too many, or quote a field that holds the sep"),
        ("patient;run;arm;value\np;0;A;0;75\n", "remove what is too many"),
        (HEAD + ",0,A,1\n", "must name its patient, but got nothing in row 2"),
        (HEAD + "p,,A,1\n", "must name its replicate, but got nothing in row 2"),
        (HEAD + "p,0, ,1\n", "must name its arm, but got nothing in row 2"),
        (HEAD + 'p,0,A,1\n"p,1,A,1\np,2,A,1\n', "row 3 that is no CSV"),
    ],
)
def test_what_is_wrong_in_one_sentence(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    assert said in str(caught.value)
    assert "but got" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere.csv", ""])
def test_no_such_file_or_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="SCORES must be a CSV file that can be read, but got"):
        read_scores_file(tmp_path / name)


def test_a_billion_is_still_read(tmp_path: Path) -> None:
    assert cells(tmp_path, HEAD + "p,0,A,-1e9\n") == [("p", 0, "A", -1e9)]


def test_two_columns_that_are_not_read(tmp_path: Path) -> None:
    found = read(tmp_path, "patient,site,run,arm,value,,age\np,X,0,A,0.5,,7\n")
    assert found.notes == ("columns that are not read: site, (no name), age",)


def test_ids_that_are_no_replicates_end_before_the_memory_does(tmp_path: Path) -> None:
    rows = "".join(f"p{n},{n},A,0.5\n" for n in range(2001))
    with pytest.raises(HarnessError, match="2001 patients and 2001 replicates"):
        read(tmp_path, HEAD + rows)
