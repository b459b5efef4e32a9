"""Whose image it is: from a table, or from the file's name."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath

from harness.base.errors import ConfigError, DataError
from harness.base.text import first_of
from harness.commands.score.folder_files import plain
from harness.commands.score.image_set import ImageSet

COLUMNS = ("image", "patient")
SHOWN = 3


def with_patients(given: ImageSet, rule: str) -> ImageSet:
    """The set with the patients that `--patients` names.

    Args:
        given: any set of files; a store knows its patients and is not asked.
        rule: a CSV file with the columns `image` (relative path or file name; `stack.npy#3` for
            one image of a stack) and `patient`, or a regular expression with one group, searched
            in each relative path.

    Raises:
        ConfigError: no such file, or no such expression.
        DataError: an image without a patient, or a table that says two things about one.
    """
    if rule.lower().endswith(".csv") or Path(rule).is_file():
        return replace(given, patients=_from_table(given, Path(rule)))
    return replace(given, patients=_from_names(given, rule))


def _from_names(given: ImageSet, rule: str) -> tuple[str, ...]:
    try:
        pattern = re.compile(plain(rule))
    except re.error as error:
        raise ConfigError(
            "--patients must be a CSV file or a regular expression, but got "
            f"'{rule}' ({error}); correct it, e.g. '^([^_]+)_'"
        ) from error
    if pattern.groups != 1:
        raise ConfigError(
            "--patients as an expression needs one group, which is the patient, but got "
            f"{pattern.groups} in '{rule}'; write e.g. '^([^_]+)_'"
        )
    found = []
    for file in given.files:
        match = pattern.search(file)
        if match is None or not match[1]:
            raise DataError(
                f"--patients must find the patient of every image, but got none from '{file}' in "
                f"'{given.folder}' with '{rule}'; correct the expression"
            )
        found.append(match[1])
    return tuple(found)


def _from_table(given: ImageSet, path: Path) -> tuple[str, ...]:
    table = _read_table(path)
    # A file name alone must not stand for two files of different folders.
    alone = Counter(PurePosixPath(file).name for file in set(given.files))
    found = [
        _look_up(table, file, place, alone[PurePosixPath(file).name] == 1)
        for file, place in zip(given.files, given.places, strict=True)
    ]
    missing = [name for name, owner in zip(given.names, found, strict=True) if owner is None]
    if missing:
        quoted = [f"'{name}'" for name in missing]
        raise DataError(
            f"--patients must name the patient of every image, but got none in '{path}' for "
            f"{first_of(quoted, SHOWN)} of '{given.folder}'; add them"
        )
    return tuple(str(owner) for owner in found)


def _look_up(table: dict[str, str], file: str, place: int, alone: bool) -> str | None:
    """By relative path, else by a file name that is `alone`; an image before its stack."""
    for name in (file, PurePosixPath(file).name) if alone else (file,):
        for key in (f"{name}#{place}", name):
            if key in table:
                return table[key]
    return None


def _read_table(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text in UTF-8"
        raise ConfigError(
            f"--patients must be a CSV file that can be read, but got '{path}' ({reason}); "
            "check the path"
        ) from error
    reader = csv.DictReader(text.splitlines())
    if not set(COLUMNS) <= set(reader.fieldnames or ()):
        found = ", ".join(reader.fieldnames or ()) or "none"
        raise DataError(
            f"--patients needs a CSV file with the columns image and patient, but got {found} in "
            f"'{path}'; name them so"
        )
    table: dict[str, str] = {}
    for row in reader:
        image = plain(row["image"] or "").strip().replace("\\", "/").removeprefix("./")
        patient = plain(row["patient"] or "").strip()
        if not image or not patient:
            raise DataError(
                f"--patients needs an image and a patient in every row, but got row "
                f"{reader.line_num} of '{path}' without; fill it in"
            )
        if table.setdefault(image, patient) != patient:
            raise DataError(
                f"an image must have one patient, but got '{table[image]}' and '{patient}' for "
                f"'{image}' in '{path}'; keep one row"
            )
    return table
