"""Anyone's scores: a CSV with `patient, replicate, arm, value` becomes a table, or one sentence.

Nothing is dropped in silence: a row is a cell, a missing cell, a blank line that is counted, or the
error that ends the reading.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base.errors import ConfigError, DataError
from harness.base.text import counted, nearest
from harness.inference.table import Cell, Table

COLUMNS = ("patient", "replicate", "arm", "value")
RUN = "run"
"""Another word for `replicate` in a header."""
DELIMITERS = ",;\t"
MISSING = ("", "nan", "na", "n/a", "#n/a", "null", "none")
"""A value that was not measured, whatever its capitals."""
LARGEST = 1e9
"""No measure of a segmentation lies beyond."""
MOST_CELLS = 4_000_000
"""Patients times replicates beyond which the ids cannot be what they are taken for."""

Row = tuple[int, list[str]]
"""Number as a spreadsheet counts (the header is row 1), fields without surrounding spaces."""


@dataclass(frozen=True)
class ScoresFile:
    """What a file holds.

    Attributes:
        table: its cells; NaN where the value is empty.
        notes: what was read in another way than the reader of the result might think.
    """

    table: Table
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Header:
    """Where the columns are."""

    places: dict[str, int]
    width: int
    delimiter: str
    extra: tuple[str, ...]


def read_scores_file(path: Path, called: str = "SCORES") -> ScoresFile:
    """Read a CSV of scores: comma, semicolon or tab, UTF-8 with or without a byte order mark.

    Args:
        called: what the command line calls it.

    Raises:
        ConfigError: there is no such file, or it cannot be read.
        DataError: it is no CSV of scores; the sentence names the row.
    """
    text = _text(path, called)
    first = text.lstrip().partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    rows = _rows(text, delimiter, path)
    top = next((row for row in rows if any(row[1])), None)
    if top is None:
        raise DataError(_rule(path, "nothing in it; is it the right file?"))
    header = _header(path, top, delimiter)
    cells, blank, commas = _cells(path, rows, header)
    _check_size(path, cells)
    notes = []
    if header.extra:
        what = "a column that is" if len(header.extra) == 1 else "columns that are"
        notes.append(f"{what} not read: {', '.join(header.extra)}")
    if blank:
        notes.append(f"{counted(blank, 'blank row')} between or after the values")
    if commas:
        notes.append(f"{counted(commas, 'value has', 'values have')} a decimal comma, read as such")
    return ScoresFile(Table(cells), tuple(notes))


def _rule(path: Path, got: str) -> str:
    return (
        f"scores must be a CSV with the columns {', '.join(COLUMNS)}; but got '{path}' with {got}"
    )


def _text(path: Path, called: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{called} must be a CSV file that can be read, but got '{path}' ({error.strerror}); "
            "name another one"
        ) from error
    if b"\0" in content:
        raise DataError(
            _rule(path, "binary content; save the sheet as 'CSV UTF-8' and name that file")
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise DataError(
            _rule(path, f"a byte in row {row} that is no UTF-8 text; save it as 'CSV UTF-8'")
        ) from error


def _rows(text: str, delimiter: str, path: Path) -> Iterator[Row]:
    """All rows. Strict: an open quote must not swallow the rest of the file as one field."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    try:
        for fields in reader:
            number += 1
            yield number, [field.strip() for field in fields]
    except csv.Error as error:
        got = f"row {number + 1} that is no CSV ({error}); mend its quotes"
        raise DataError(_rule(path, got)) from error


def _header(path: Path, top: Row, delimiter: str) -> _Header:
    row, fields = top
    names = [field.casefold() for field in fields]
    if RUN in names and "replicate" in names:
        raise DataError(
            _rule(path, "both 'replicate' and 'run' (another word for it); remove or rename one")
        )
    names = ["replicate" if name == RUN else name for name in names]
    for name in COLUMNS:
        if names.count(name) > 1:
            raise DataError(_rule(path, f"{names.count(name)} columns '{name}'; keep one of them"))
    lacking = [name for name in COLUMNS if name not in names]
    if lacking:
        others = [name for name in names if name and name not in COLUMNS]
        near = nearest(lacking[0], others)
        hint = f"; is '{near}' the column '{lacking[0]}'?" if near else ""
        got = ", ".join(f"'{name}'" for name in fields if name)
        shown = got if len(got) <= 120 else got[:119] + "…"
        raise DataError(
            _rule(path, f"{shown} in row {row}: no '{', '.join(lacking)}'{hint or '; add it'}")
        )
    while not names[-1]:  # nameless last columns are what a spreadsheet leaves behind
        names.pop()
    extra = [field or "(no name)" for field, name in zip(fields, names, strict=False)
             if name not in COLUMNS]  # fmt: skip
    places = {name: names.index(name) for name in COLUMNS}
    return _Header(places, len(names), delimiter, tuple(extra))


def _cells(path: Path, rows: Iterator[Row], header: _Header) -> tuple[list[Cell], int, int]:
    """The cells, how many blank rows and how many decimal commas there were."""
    cells: list[Cell] = []
    seen: dict[tuple[str, str, str], int] = {}
    blank = commas = 0
    for row, fields in rows:
        if not any(fields):
            blank += 1
            continue
        patient, replicate, arm, text = _fields(path, row, fields, header)
        if (patient, replicate, arm) in seen:
            raise DataError(
                f"each patient, replicate and arm must have one row, but got rows "
                f"{seen[patient, replicate, arm]} and {row} of '{path}' for patient '{patient}', "
                f"replicate '{replicate}', arm '{arm}'; remove one"
            )
        seen[patient, replicate, arm] = row
        commas += "," in text
        cells.append(Cell(patient, _identity(replicate), arm, _value(path, row, text)))
    if not cells:
        raise DataError(_rule(path, "a header and no row below it; add one row per score"))
    return cells, blank, commas


def _fields(path: Path, row: int, fields: Sequence[str], header: _Header) -> list[str]:
    """Patient, replicate, arm and value of a row."""
    while len(fields) > header.width and not fields[-1]:
        fields = fields[:-1]
    if len(fields) != header.width:
        raise DataError(
            f"each row must have {header.width} fields as the header has, but got {len(fields)} in "
            f"row {row} of '{path}'; {_mend(len(fields) - header.width, header.delimiter)}"
        )
    found = [fields[header.places[name]] for name in COLUMNS]
    for name, text in zip(COLUMNS[:3], found[:3], strict=True):
        if not text:
            raise DataError(
                f"each row must name its {name}, but got nothing in row {row} of '{path}'; fill it "
                "in or remove the row"
            )
    return found


def _mend(surplus: int, delimiter: str) -> str:
    """What to do about a row that is too long (or, below 0, too short)."""
    if surplus < 0:
        return "complete it"
    if surplus == 1 and delimiter == ",":
        return (
            "one too many is usually a decimal comma: write a decimal point, or separate the "
            "columns by semicolons"
        )
    return "remove what is too many, or quote a field that holds the separator"


def _identity(replicate: str) -> int | str:
    """A plain whole number as a number; any other id as its text."""
    plain = replicate.isascii() and replicate.isdigit() and len(replicate) < 19
    return int(replicate) if plain and str(int(replicate)) == replicate else replicate


def _value(path: Path, row: int, text: str) -> float:
    if text.casefold() in MISSING:
        return math.nan
    try:
        # A comma within the field separates nothing: it is quoted, or the columns end otherwise.
        value = float("?" if "_" in text else text.replace(",", "."))
    except ValueError:
        raise DataError(
            f"a value must be a number (or empty where there is none), but got '{text}' in row "
            f"{row} of '{path}'; correct it"
        ) from None
    if math.isinf(value):
        raise DataError(
            f"a value must be finite, but got '{text}' in row {row} of '{path}'; leave it empty "
            "where the measure is not defined"
        )
    if abs(value) > LARGEST:
        raise DataError(
            f"a value must lie within 1e9 of 0, but got '{text}' in row {row} of '{path}'; "
            "no measure of a segmentation is that large: correct it"
        )
    return value


def _check_size(path: Path, cells: Sequence[Cell]) -> None:
    patients = len({cell.patient for cell in cells})
    replicates = len({cell.replicate for cell in cells})
    if patients * replicates > MOST_CELLS:
        raise DataError(
            f"scores must be patients x replicates, at most {MOST_CELLS} of them, but got "
            f"{counted(patients, 'patient')} and {counted(replicates, 'replicate')} in '{path}'; "
            "a replicate is one seed's training, shared by patients and arms"
        )
