"""Which column of a CSV of scores is what: by its word, or as it is named."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.base.errors import ConfigError, DataError
from harness.base.text import first_of, meant, nearest

NEEDED = ("patient", "replicate", "arm", "value")
FURTHER = ("cluster", "centre", "fold", "cohort")
SYNONYMS = {"replicate": "run", "centre": "center"}
"""Other words in a header."""
MISSING = ("", "nan", "na", "n/a", "#n/a", "null", "none", "-", "\N{EN DASH}", "\N{EM DASH}")
"""A value that was not measured, whatever its capitals."""
PERCENT = "%"

Row = tuple[int, list[str]]
"""Number as a spreadsheet counts (its first row is 1), fields without surrounding spaces."""


@dataclass(frozen=True)
class Columns:
    """Names of columns, whatever their capitals; None: the word itself, where the file has it.

    Attributes:
        patient, replicate, arm, value: without a replicate column all rows are of one run.
        cluster: parts of patients (lesions, sides), or people of whom the patients are parts;
            `patient` says that patients are people.
        centre, fold, cohort: as in `Layout`.
        arms: the columns that are arms, where each arm has one.
    """

    patient: str | None = None
    replicate: str | None = None
    arm: str | None = None
    value: str | None = None
    cluster: str | None = None
    centre: str | None = None
    fold: str | None = None
    cohort: str | None = None
    arms: tuple[str, ...] = ()


NAMED_BY_WORD = Columns()


@dataclass(frozen=True)
class Header:
    """Where the columns are.

    Attributes:
        places: of each word that the file has.
        arms: of each arm's values; empty where arm and value are columns.
        people: somebody said that patients are people.
        extra: names of columns that are not read.
        notes: what was taken for something without being named.
    """

    places: Mapping[str, int]
    arms: Mapping[str, int]
    people: bool
    extra: tuple[str, ...]
    notes: tuple[str, ...]


def rule(path: Path, got: str) -> str:
    """The sentence of a file that is no table of scores."""
    return f"scores must be a CSV with the columns {', '.join(NEEDED)}; but got '{path}' with {got}"


def number(text: str) -> float:
    """A number with a decimal point or comma; one in per cent stays in per cent.

    Raises:
        ValueError: it is none.
    """
    # A comma within the field separates nothing: it is quoted, or the columns end otherwise.
    return float("?" if "_" in text else text.removesuffix(PERCENT).replace(",", "."))


def find_columns(path: Path, top: Row, below: Sequence[Row], columns: Columns) -> Header:
    """What each column of the header `top` is, without nameless last ones; `below`: its rows.

    Raises:
        ConfigError: a column that was named is not there, or is named twice.
        DataError: a column lacks, or which ones are arms cannot be told.
    """
    shown = top[1]
    words = [word.casefold() for word in shown]
    people = (columns.cluster or "").casefold() == "patient" not in words
    if people:  # the patient column has another name
        columns = replace(columns, cluster=None)
    wide = bool(columns.arms)
    if wide and (columns.arm or columns.value):
        raise ConfigError(
            "an arm has a column of its own (--arms) or its name in one (--arm, --value), but got "
            "both; leave one out"
        )
    places = {
        word: at
        for word in (*NEEDED[: 2 if wide else 4], *FURTHER)
        if (at := _place(path, shown, word, getattr(columns, word))) is not None
    }
    if places.get("cluster", -1) == places.get("patient"):
        people = True
    if people:
        places.pop("cluster", None)
    wide = wide or not {"arm", "value"} & {*places}
    _check_lacking(path, top, places, wide)
    arms = _arms(path, shown, places, below, columns.arms) if wide else {}
    used = [*places.values(), *arms.values()]
    twice = next((shown[at] for at in used if used.count(at) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"each column must be one thing, but got '{twice}' named for two; name another one"
        )
    notes = [
        f"the column '{shown[places[word]]}' says the {word} of each row"
        for word in FURTHER
        if word in places and getattr(columns, word) is None
    ]
    if wide and not columns.arms:
        notes.append(f"each column of numbers is an arm: {first_of(list(arms), 8)}")
    if "replicate" not in places:
        notes.append("no column of replicates: all values are those of one run")
    extra = tuple(name or "(no name)" for at, name in enumerate(shown) if at not in used)
    return Header(places, arms, people, extra, tuple(notes))


def _place(path: Path, shown: Sequence[str], word: str, given: str | None) -> int | None:
    """Of the column that is `word`; None where the file has none and nobody named one."""
    wanted = (given.strip().casefold(),) if given is not None else (word, SYNONYMS.get(word))
    found = [place for place, name in enumerate(shown) if name.casefold() in wanted]
    if not found and given is not None:
        raise ConfigError(
            f"--{word} must name a column of '{path}', but got '{given}'"
            f"{meant(given, filter(None, shown), f'; it has {_listed(shown)}')}"
        )
    if len(found) > 1:
        one, other = (shown[place].casefold() for place in found[:2])
        got = f"{len(found)} columns '{one}'; keep one of them"
        if one != other:
            got = f"both '{one}' and '{other}' (another word for it); remove or rename one"
        raise DataError(rule(path, got))
    return found[0] if found else None


def _check_lacking(path: Path, top: Row, places: Mapping[str, int], wide: bool) -> None:
    row, shown = top
    others = [name for at, name in enumerate(shown) if name and at not in places.values()]
    for word in NEEDED[: 2 if wide else 4]:
        near = nearest(word, others)
        if word in places or (word == "replicate" and not near):  # one run
            continue
        hint = f"is '{near}' the column '{word}'? Then say --{word} '{near}'"
        raise DataError(
            rule(
                path,
                f"{_listed(shown)} in row {row}: no '{word}'; "
                f"{hint if near else f'add it, or name it with --{word} COLUMN'}",
            )
        )


def _listed(shown: Sequence[str]) -> str:
    got = ", ".join(f"'{name}'" for name in shown if name)
    return got if len(got) <= 120 else got[:119] + "…"


def _arms(
    path: Path,
    shown: Sequence[str],
    places: Mapping[str, int],
    below: Sequence[Row],
    named: Sequence[str],
) -> dict[str, int]:
    """The columns that were named, else all others, where these hold numbers of one kind."""
    if named:
        wanted = [_place(path, shown, "arms", arm) for arm in named]
        return {shown[at]: at for at in wanted if at is not None}
    kinds = {
        at: kind
        for at, name in enumerate(shown)
        if at not in places.values()
        and not re.fullmatch(r"|unnamed: \d+", name.casefold())  # an index
        and (kind := _kind([of[at] for _, of in below]))
    }
    names = {shown[at].casefold() for at in kinds}
    got = [f"'{shown[at]}' ({kind})" for at, kind in kinds.items()]
    if not len(kinds) == len(names) > 1 or len({*kinds.values()}) > 1 or "text" in kinds.values():
        raise DataError(
            "a table without the columns arm and value must have a column for each arm, and no "
            f"others, but got {first_of(got, 6) or 'none'} in '{path}'; name the arms' columns "
            "with --arms A,B, or where a row is a value the columns of arms and values with --arm "
            "and --value"
        )
    return {shown[at]: at for at in kinds}


def _kind(texts: Sequence[str]) -> str:
    """What a column holds, in words; "" if it is empty."""
    found: list[float] = []
    there = [text for text in texts if text.casefold() not in MISSING]
    for text in there:
        try:
            found += [value] if math.isfinite(value := number(text)) else []
        except ValueError:  # a slip among numbers is named where it is read
            continue
    if not found:
        return "text" if there else ""
    if all(v.is_integer() for v in found):
        return "whole numbers"
    return "numbers in 0 to 1" if all(0 <= v <= 1 for v in found) else "numbers beyond 0 to 1"
