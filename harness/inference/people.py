"""Whose the rows of a table of scores are: parts of people are no patients of their own."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness.base.errors import ConfigError, DataError
from harness.base.text import counted
from harness.inference.table import Cell

PART = re.compile(
    r"(?:(?:[-_. ]*(?<![a-z])(?:lesion|les|nodule|tumou?r|node|met|metastasis|roi|slice|scan|image|"
    r"img|ses|session|visit|timepoint|tp|side|eye|part|structure|gland|fraction|lobe|polyp|patch|"
    r"left|right)[-_. ]*\d*)+|[-_. ][lr]|(?<=\d)[a-hlr])$",
    re.IGNORECASE,
)
"""What a name ends with where it is that of a person's part."""
FILE_TYPE = re.compile(r"(?:\.(?:nii|gz|nrrd|mha|npy|npz|png|dcm|json))+$", re.IGNORECASE)
SUMMARY = re.compile(
    r"(?:[a-z]+[-_ ])?(?:mean|average|avg|mittelwert|moyenne)(?![a-z])|"
    r"(?:median|std|stdev|sd|total|overall|ensemble)\b|(?:min|max)$",
    re.IGNORECASE,
)
"""Names of rows about all patients, or all replicates."""
MOST_PEOPLE = 0.8
"""Of the names: fewer people than that, and the names are those of parts."""


class Record(NamedTuple):
    """A value, and what its row says beside.

    Attributes:
        further: cluster, centre, fold, cohort: those that the file has.
    """

    row: int
    patient: str
    replicate: int | str
    arm: str
    value: float
    further: Mapping[str, str]


def ask_whose(path: Path, patients: Sequence[str], clustered: bool = False) -> None:
    """Names like p1_lesion1 and p1_lesion2 are asked about, and so is a row of means.

    Args:
        clustered: a column says whose they are; a row of means is left to ask about.

    Raises:
        ConfigError: the question, with both answers.
    """
    summary = next(filter(SUMMARY.match, patients), None)
    if summary is not None:
        raise ConfigError(
            f"a patient must be a person, but got '{summary}' in '{path}'; remove its rows"
            + ("" if clustered else ", or say with --cluster patient that it is one")
        )
    if clustered:
        return
    people: dict[str, list[str]] = {}
    for name in patients:
        people.setdefault(PART.sub("", FILE_TYPE.sub("", name)) or name, []).append(name)
    if 1 < len(people) < MOST_PEOPLE * len(patients):
        one, other = max(people.values(), key=len)[:2]
        raise ConfigError(
            f"a patient must be a person, but got names like those of parts in '{path}': '{one}' "
            f"and '{other}' ({counted(len(patients), 'name')} of perhaps "
            f"{counted(len(people), 'person', 'people')}); say whose they are in a column "
            "'cluster' (or --cluster COLUMN), or with --cluster patient that each is a person"
        )


def owned(path: Path, records: Sequence[Record], column: str) -> list[Record]:
    """Each record with its person as patient, and the person's part as cluster.

    The person is the patient where each cluster is one patient's, or numbered anew in each; the
    cluster where each patient is one cluster's.

    Args:
        column: what the file calls its clusters.

    Raises:
        DataError: it is neither.
    """
    clusters: dict[str, set[str]] = {}
    owners: dict[str, dict[str, int]] = {}  # with the first row
    for record in records:
        cluster = record.further["cluster"]
        clusters.setdefault(record.patient, set()).add(cluster)
        owners.setdefault(cluster, {}).setdefault(record.patient, record.row)
    most = max(map(len, clusters.values()))
    if len(owners) == 1 < len(clusters):
        raise DataError(
            f"'{column}' must tell parts or people apart, but got only '{next(iter(owners))}' in "
            f"'{path}'; name another column, or say with --cluster patient that patients are people"
        )
    shared = next((name for name, whose in owners.items() if len(whose) > 1), None)
    if shared is None or 1 < len(owners) <= most:
        return list(records)
    if most > 1:
        (one, first), (other, second) = list(owners[shared].items())[:2]
        raise DataError(
            f"each '{column}' must be one patient's, or each patient of one '{column}', but got "
            f"'{shared}' for patients '{one}' (row {first}) and '{other}' (row {second}) of "
            f"'{path}'; correct one, or number them anew in each patient"
        )
    return [r._replace(patient=r.further["cluster"], further={**r.further, "cluster": r.patient})
            for r in records]  # fmt: skip


def averaged(records: Sequence[Record]) -> tuple[list[Cell], list[str]]:
    """A cell for each person, replicate and arm: the mean of the person's parts, NaN where one of
    them lacks; and what is to be said about it."""
    parts: dict[str, set[str]] = {}
    values: dict[tuple[str, int | str, str], dict[str, float]] = {}
    for r in records:
        parts.setdefault(r.patient, set()).add(r.further["cluster"])
        values.setdefault((r.patient, r.replicate, r.arm), {})[r.further["cluster"]] = r.value
    cells, lacking = [], 0
    for key, of in values.items():
        known = sum(map(math.isfinite, of.values()))
        lacking += 0 < known < len(parts[key[0]])
        mean = sum(of.values()) / len(of) if known == len(parts[key[0]]) else math.nan
        cells.append(Cell(*key, mean))
    people = counted(len(parts), "person", "people")
    notes = [f"values of {sum(map(len, parts.values()))} parts are averaged within {people}"]
    if lacking:
        notes.append(
            f"{counted(lacking, 'mean lacks', 'means lack')} a part without a value: a missing cell"
        )
    return cells, notes


def one_each(path: Path, records: Sequence[Record], word: str) -> dict[Any, str]:
    """The centre or fold of each patient, the cohort of each replicate; empty without a column.

    Raises:
        DataError: one has two.
    """
    whose = "replicate" if word == "cohort" else "patient"
    found: dict[Any, Record] = {}
    for record in records:
        if word not in record.further:
            continue
        first = found.setdefault(getattr(record, whose), record)
        if first.further[word] != record.further[word]:
            repeats = "; all repeats have one partition" if word == "fold" else ""
            raise DataError(
                f"each {whose} must have one {word}, but got '{first.further[word]}' in row "
                f"{first.row} and '{record.further[word]}' in row {record.row} of '{path}' for "
                f"{whose} '{getattr(record, whose)}'; correct one{repeats}"
            )
    return {owner: record.further[word] for owner, record in found.items()}
