"""DICOM series of a folder as volumes that lie alike: HU of CT, stored values of MR."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from harness.base.errors import DataError
from harness.base.text import counted, first_of
from harness.commands.score.folder_files import Found, plain
from harness.commands.score.image_files import Stack, in_order
from harness.data.dicom.series import LEAST_HU, Series, all_series, read_hu
from harness.data.dicom.walk import IMAGES, Header, walk

SHOWN = 3
LEAST, MOST = -32768, 32767
"""Where `read_hu` cuts values off."""
_NUMBERS = re.compile(r"\bfiles? (\d+(?:, \d+)*)")


@dataclass(frozen=True)
class Volume:
    """One series.

    Attributes:
        name: folder of its files, and which series of it where there are several.
        patient: digest of the patient's identity; never shown.
    """

    name: str
    patient: str
    stack: Stack


def read_series(
    files: Sequence[Found], folder: Path, side: str
) -> tuple[list[Volume], str, list[str]]:
    """All series of DICOM files, "DICOM CT" or "DICOM MR", and notes.

    Raises:
        DataError: a file or series cannot be read, there is none, or CT is beside MR.
    """
    with TemporaryDirectory() as place:
        # One folder of links, so that files have one numbering wherever links of the set lead.
        for number, file in enumerate(files):
            os.symlink(os.path.realpath(file.path), Path(place, f"{number:09d}"))
        headers = walk(Path(place), None)
        _check_readable(headers, files)
        images = [header for header in headers if header.kind in IMAGES.values()]
        kinds = Counter(header.kind for header in images)
        left = _left_out(headers)
        if len(kinds) != 1:
            held = [f"{count} of {kind.upper()}" for kind, count in sorted(kinds.items())]
            raise DataError(
                "a set of DICOM files must hold images of CT, or images of MR, but got "
                f"{' and '.join(held) or '; '.join(left)} in '{folder}'; keep one kind in a folder"
            )
        kind = next(iter(kinds))
        volumes, repeats, said = [], 0, list[str]()
        for slices, series, reason in all_series(images):
            if reason.endswith("left out"):  # a scout, a report
                left.append(f"{counted(len(slices), 'DICOM file')}: {_renamed(reason, files)}")
                continue
            volumes.append(_volume(slices, series, reason, files))
            if series:
                repeats += series.repeats
                said += [f"{side}: {volumes[-1].name or 'series'}: {n}" for n in series.notes]
    if repeats:
        left.append(f"{counted(repeats, 'DICOM file')}: a copy of another")
    notes = [*said, *(f"{side}: left out {text}" for text in left)]
    return _told_apart(volumes), f"DICOM {kind.upper()}", notes


def _check_readable(headers: Sequence[Header], files: Sequence[Found]) -> None:
    """A file that is no image has at least a UID of its own."""
    for header in headers:
        known = header.kind or header.sop or header.series or header.study or header.patient
        if not known:
            raise DataError(
                f"every DICOM file must be readable, but got '{_path(header.number, files)}' "
                f"({header.reason}); repair it or take it out"
            )


def _left_out(headers: Sequence[Header]) -> list[str]:
    reasons = Counter(
        header.reason or "it is a structure set"
        for header in headers
        if header.kind not in IMAGES.values()
    )
    return [f"{counted(n, 'DICOM file')}: {reason}" for reason, n in reasons.most_common()]


def _volume(
    slices: Sequence[Header], series: Series | None, reason: str, files: Sequence[Found]
) -> Volume:
    """A series in order; raises DataError, naming its files, where it makes no volume."""
    try:
        if series is None:
            raise DataError(reason)
        # Nothing of MR is below what there may be, and its padding is below any window.
        values = read_hu(series, LEAST_HU if slices[0].kind == "ct" else LEAST)
        if values.max() == MOST:
            raise DataError(f"its values must be below {MOST}, but some are not")
        stack = in_order(values, series.grid.affine)
    except DataError as error:
        names = [f"'{_path(header.number, files)}'" for header in slices]
        raise DataError(
            f"every DICOM series must make a volume, but got {first_of(names, SHOWN)} "
            f"({_renamed(str(error), files)}); "
            "repair the series or take it out"
        ) from error
    folders = [files[header.number - 1].name.rpartition("/")[0] for header in slices]
    common = PurePosixPath(os.path.commonpath([f"/{parent}" for parent in folders]))
    return Volume(str(common)[1:], slices[0].patient, stack)


def _path(number: int, files: Sequence[Found]) -> str:
    return plain(str(files[number - 1].path))


def _renamed(text: str, files: Sequence[Found]) -> str:
    """A message with names for the numbers of files."""
    return _NUMBERS.sub(lambda match: _named(match[1], files), text)


def _named(numbers: str, files: Sequence[Found]) -> str:
    return ", ".join(f"'{files[int(number) - 1].name}'" for number in numbers.split(", "))


def _told_apart(volumes: Sequence[Volume]) -> list[Volume]:
    """Series of one folder get a number, and those of the set's own folder a name."""
    names = Counter(volume.name for volume in volumes)
    met: Counter[str] = Counter()
    told = []
    for volume in volumes:
        met[volume.name] += 1
        number = f" series {met[volume.name]}" if names[volume.name] > 1 else ""
        told.append(replace(volume, name=(volume.name + number).strip() or "series"))
    return told
