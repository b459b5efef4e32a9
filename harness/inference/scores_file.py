"""Anyone's scores: a CSV, with a row for each value or a column for each arm, becomes a table, or
one sentence.

Nothing is dropped in silence: a row is a cell (or a person's part of one), a missing cell, a blank
line or a comment that is counted, or the error that ends the reading.
"""

from __future__ import annotations

import csv
import io
import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base.denied import why
from harness.base.errors import ConfigError, DataError
from harness.base.text import counted
from harness.inference.layout import Layout
from harness.inference.people import SUMMARY, Record, ask_whose, averaged, one_each, owned
from harness.inference.score_columns import (
    FURTHER,
    MISSING,
    NAMED_BY_WORD,
    PERCENT,
    Columns,
    Header,
    Row,
    find_columns,
    number,
    rule,
)
from harness.inference.table import Cell, Table

DELIMITERS = ",;\t"
SEPARATOR = "sep="
"""What a spreadsheet's first row may begin with, before the separator."""
COMMENT = "#"
SPREAD = "\N{PLUS-MINUS SIGN}"
ONE_RUN = 1
"""The replicate of a file that names none."""
LARGEST = 1e9
"""No measure of a segmentation lies beyond."""
MOST_CELLS = 4_000_000
"""Patients times replicates beyond which the ids cannot be what they are taken for."""


@dataclass(frozen=True)
class ScoresFile:
    """What a file holds.

    Attributes:
        table: its cells, with the layout that its columns give; NaN where the value is empty.
        notes: what was read in another way than the reader of the result might think.
    """

    table: Table
    notes: tuple[str, ...]


def read_scores_file(
    path: Path,
    columns: Columns = NAMED_BY_WORD,
    called: str = "SCORES",
    once: str | None = None,
) -> ScoresFile:
    """Read a CSV of scores: comma, semicolon or tab, UTF-8 with or without a byte order mark.

    Args:
        columns: what the file calls its columns.
        called: what the command line calls it.
        once: the arm that was not trained, whose rows may leave the replicate empty.

    Raises:
        ConfigError: there is no such file, it cannot be read, or it must be said what its columns
            are.
        DataError: it is no CSV of scores; the sentence names the row.
    """
    text = _text(path, called)
    delimiter = _delimiter(text)
    top, below, notes = _shape(path, list(_rows(text, delimiter, path)), delimiter)
    header = find_columns(path, top, below, columns)
    records, more = _records(path, below, header, once)
    notes = [*header.notes, *notes, *more]
    if header.extra:
        what = "a column that is" if len(header.extra) == 1 else "columns that are"
        notes.insert(0, f"{what} not read: {', '.join(header.extra)}")
    clustered = "cluster" in header.places
    if not header.people:
        ask_whose(path, list(dict.fromkeys(record.patient for record in records)), clustered)
    if clustered:
        records = owned(path, records, top[1][header.places["cluster"]])
    layout = Layout(
        one_each(path, records, "centre"),
        one_each(path, records, "fold"),
        one_each(path, records, "cohort"),
    )
    cells, said = averaged(records) if clustered else ([Cell(*r[1:5]) for r in records], [])
    _check_size(path, cells)
    return ScoresFile(Table(cells, layout=layout), (*notes, *said))


def _text(path: Path, called: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{called} must be a CSV file that can be read, but got '{path}' ({why(error)}); "
            "name another one"
        ) from error
    if b"\0" in content:
        raise DataError(
            rule(path, "binary content; save the sheet as 'CSV UTF-8' and name that file")
        )
    try:
        # Names that look alike are alike, whatever their accents are made of.
        return unicodedata.normalize("NFC", content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise DataError(
            rule(path, f"a byte in row {row} that is no UTF-8 text; save it as 'CSV UTF-8'")
        ) from error


def _rows(text: str, delimiter: str, path: Path) -> Iterator[Row]:
    """All rows. Strict: an open quote must not swallow the rest of the file as one field."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    count = 0
    try:
        for fields in reader:
            count += 1
            yield count, [field.strip() for field in fields]
    except csv.Error as error:
        got = f"row {count + 1} that is no CSV ({error}); mend its quotes"
        raise DataError(rule(path, got)) from error


def _delimiter(text: str) -> str:
    """As the first row says (`sep=;`), else what the first row that is no comment has most of."""
    lines = text.splitlines()
    if lines and lines[0].strip('"').casefold().startswith(SEPARATOR):
        said = lines[0].strip('"')[len(SEPARATOR) :]
        return said if len(said) == 1 else ","
    first = next((line for line in lines if line.strip() and not line.startswith(COMMENT)), "")
    return max(DELIMITERS, key=first.count)


def _shape(path: Path, rows: Sequence[Row], delimiter: str) -> tuple[Row, list[Row], list[str]]:
    """The header, the rows of values, and how many others there were."""
    said = bool(rows) and rows[0][1][:1] and rows[0][1][0].casefold().startswith(SEPARATOR)
    rows = rows[1:] if said else rows
    above = next((at for at, (_, of) in enumerate(rows)
                  if any(of) and not of[0].startswith(COMMENT)), None)  # fmt: skip
    if above is None:
        raise DataError(rule(path, "nothing in it; is it the right file?"))
    row, names = rows[above]
    while not names[-1]:  # nameless last columns are what a spreadsheet leaves behind
        names = names[:-1]
    below = [(at, _trimmed(of, len(names))) for at, of in rows[above + 1 :] if any(of)]
    kept = [(at, of) for at, of in below if not _is_comment(of, len(names))]
    if not kept:
        raise DataError(rule(path, "a header and no row below it; add one row per score"))
    for at, of in kept:
        if len(of) != len(names):
            mend = _mend(len(of) - len(names), delimiter, names)
            raise DataError(
                f"each row must have {counted(len(names), 'field')} as the header has, but got "
                f"{len(of)} in row {at} of '{path}'; {mend}"
            )
    blank = len(rows) - above - 1 - len(below)
    comments = len(below) - len(kept) + sum(any(of) for _, of in rows[:above])
    notes = [f"{counted(blank, 'blank row')} between or after the values"] if blank else []
    if comments:
        notes.append(f"{counted(comments, 'comment')} (rows that begin with {COMMENT}) not read")
    return (row, names), kept, notes


def _trimmed(fields: list[str], width: int) -> list[str]:
    """Without empty fields beyond the header's."""
    while len(fields) > width and not fields[-1]:
        fields = fields[:-1]
    return fields


def _is_comment(fields: Sequence[str], width: int) -> bool:
    """A row of the header's width may be that of a patient called #7."""
    return fields[0].startswith(COMMENT) and (len(fields) != width or not any(fields[1:]))


def _records(
    path: Path, rows: Sequence[Row], header: Header, once: str | None
) -> tuple[list[Record], list[str]]:
    """A record for each value, and what is to be said of how values are written."""
    records: list[Record] = []
    seen: dict[tuple[str, ...], int] = {}
    row_of: dict[bool, int] = {}  # the first with a value in per cent, and without
    commas = 0
    arms = {of[header.places["arm"]] for _, of in rows} if "arm" in header.places else set()
    blank = {once} & arms or (arms if once else ())  # an arm that lacks is refused by its name
    for row, fields in rows:
        says = {word: fields[at] for word, at in header.places.items() if word != "value"}
        for word, said in says.items():
            if not said and (word != "replicate" or says.get("arm") not in blank):
                raise DataError(
                    f"each row must name its {word}, but got nothing in row {row} of '{path}'; "
                    "fill it in or remove the row"
                )
        values = {arm: fields[at] for arm, at in header.arms.items()}
        for arm, text in (values or {says.get("arm", ""): fields[header.places["value"]]}).items():
            patient, replicate = says["patient"], says.get("replicate", str(ONE_RUN))
            if SUMMARY.match(replicate):
                raise DataError(
                    f"a replicate must be one training, but got '{replicate}' in row {row} of "
                    f"'{path}'; remove the rows of what was made of several"
                )
            key = patient, says.get("cluster", ""), replicate, arm
            if key in seen:
                raise DataError(_twice(path, seen[key], row, key, header))
            seen[key] = row
            commas += "," in text
            value = _value(path, row, text)
            if math.isfinite(value):
                row_of.setdefault(text.endswith(PERCENT), row)
            further = {word: says[word] for word in FURTHER if word in says}
            records.append(Record(row, patient, _identity(replicate), arm, value, further))
    if len(row_of) > 1:
        raise DataError(
            f"values must all be in per cent or none, but got one with {PERCENT} in row "
            f"{row_of[True]} and one without in row {row_of[False]} of '{path}'; write them alike"
        )
    notes = ["values are in per cent, and so is the margin"] if True in row_of else []
    if commas:
        notes.append(f"{counted(commas, 'value has', 'values have')} a decimal comma, read as such")
    return records, notes


def _twice(path: Path, first: int, row: int, key: tuple[str, ...], header: Header) -> str:
    patient, cluster, replicate, arm = key
    part = f", {cluster}" if cluster else ""
    which = " or ".join(
        f"--{word}" for word in ("replicate", "cluster") if word not in header.places
    )
    other = f", or name the column that tells them apart with {which}" if which else ""
    if "cluster" in which:
        other += " (a cluster is a lesion or side; of several measures keep the rows of one)"
    return (
        f"each patient, replicate and arm must have one row, but got rows {first} and {row} of "
        f"'{path}' for patient '{patient}'{part}, replicate '{replicate}', arm '{arm}'; remove one"
        f"{other}"
    )


def _mend(surplus: int, delimiter: str, names: Sequence[str]) -> str:
    """What to do about a row that is too long (or, below 0, too short)."""
    if "" in names[1:]:
        return "columns lack a name: write a header of two rows as one, with a name for each column"
    if len(names) == 1:
        return f"begin a title above the header with {COMMENT}"
    if surplus < 0:
        return f"complete it, or begin it with {COMMENT} if it is a note"
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
        value = number(text)
    except ValueError:
        mend = "correct it"
        if SPREAD in text:
            mend = (
                "a mean with its spread is no patient's: remove it, patients' own values are needed"
            )
        raise DataError(
            f"a value must be a number (or empty where there is none), but got '{text}' in row "
            f"{row} of '{path}'; {mend}"
        ) from None
    if math.isinf(value):
        raise DataError(
            f"a value must be finite, but got '{text}' in row {row} of '{path}'; of a failed "
            "segmentation write the worst value that there can be (a distance: the diagonal of the "
            "scan), and leave it empty only where there was nothing to segment"
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
