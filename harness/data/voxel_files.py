"""What readers of volume files share: voxels beside their header, neither fewer nor more than it
says."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.denied import why
from harness.base.errors import DataError

NO_GEOMETRY = (
    "a volume must give a position and three directions, but one does not; export it again"
)
LONGEST_LINE = 1 << 20
"""Bytes of a header's line; a file without lines is not read whole in search of its end."""
Vector = NDArray[np.float64]
Read = tuple[NDArray[Any], Vector | None, int | None]
"""Voxels, fastest axis first; (column, row, slice, 1) -> LPS mm, None where nothing says it; the
axis of layers, if any."""


def beside(header: Path, name: str) -> Path:
    """The file of voxels that a header names.

    Raises:
        DataError: it lies in another folder, or is not there.
    """
    rule = "the voxels of a header must lie in one file beside it"
    data = Path(os.path.abspath(header.parent / name))
    if data.parent != Path(os.path.abspath(header.parent)):
        raise DataError(f"{rule}, but it names another folder; move them, and correct the header")
    if not data.is_file():
        raise DataError(f"{rule}, but there is none of the name that it gives; add the file")
    return data


def unreadable(rule: str, error: Exception) -> DataError:
    """The sentence about a file that breaks a rule since it cannot be opened, or read."""
    if isinstance(error, OSError) and error.strerror:  # says no path
        return DataError(
            f"{rule}, but one cannot be opened ({why(error, named=False)}); check the file, its "
            "permissions or its link"
        )
    return DataError(f"{rule}, but one is not ({type(error).__name__}); export it again")


def must_be(expected: int, found: int) -> None:
    """Refuse voxels that are not as many as their header says; both in bytes, `found` no further
    than one beyond."""
    if found != expected:
        raise DataError(
            "a volume must have as many voxels as its header says, but one has "
            f"{'more' if found > expected else 'fewer'}; export it again"
        )


def composed(name: str) -> str:
    """One spelling of each letter: some systems write an umlaut as two characters."""
    return unicodedata.normalize("NFC", name)
