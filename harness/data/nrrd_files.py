"""NRRD files: header, voxels, and the segments that 3D Slicer names in it.

A header is UTF-8 (Slicer's names of segments are), which pynrrd leaves to its caller. Voxels may
lie in a file of their own (`.nhdr`), and are read no further than the header says.
"""

from __future__ import annotations

import bz2
import gzip
import io
import math
import re
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.data.bounds import check_voxels
from harness.data.voxel_files import (
    LONGEST_LINE,
    NO_GEOMETRY,
    Read,
    Vector,
    beside,
    composed,
    must_be,
    unreadable,
)

DETACHED = ".nhdr"
_NEEDED = ("type", "dimension", "sizes", "encoding", "endian")
_TEXT = ("ASCII", "ascii", "text", "txt")
_UNPACKED: Mapping[str, Any] = {
    "raw": nullcontext, "gzip": gzip.open, "gz": gzip.open, "bzip2": bz2.open, "bz2": bz2.open
}  # fmt: skip
_FIELD = re.compile(r"Segment(\d+)_(?:ID|Name|Layer|LabelValue)")


@dataclass(frozen=True)
class Segment:
    """A named part of a segmentation: where `value` is, in `layer`; None: where anything is."""

    name: str
    layer: int
    value: int | None


def read_nrrd(path: Path) -> Read:
    """A volume or several layers.

    Raises:
        DataError: no geometry, another space, voxels that do not fit, lie elsewhere or are more
            than said.
    """
    with open(path, "rb") as file:
        header = _header(file)
        affine, layers = _affine(header)
        name = header.pop("data file", header.pop("datafile", None))
        if name is None:
            return _voxels(header, file), affine, layers
        if not path.name.lower().endswith(DETACHED):
            raise DataError(
                "the voxels of an NRRD volume must be in its file, but one has a list; where they "
                f"lie beside it, call it {DETACHED}"
            )
    with open(beside(path, name), "rb") as file:
        return _voxels(header, file), affine, layers


def read_segments(path: Path) -> tuple[Segment, ...]:
    """Segments that the header of a segmentation names, by their numbers; () if it names none.

    Slicer up to 4.10 gave each a layer of its own and said neither layer nor value.

    Raises:
        DataError: the header cannot be read, or does not place each segment.
    """
    try:
        with open(path, "rb") as file:
            header = _header(file)
        sizes, (_, axis) = header["sizes"], _affine(header)
        return _segments(header, 1 if axis is None else int(sizes[axis]))
    except DataError:
        raise
    except Exception as error:
        raise unreadable("a segmentation must have a readable header", error) from error


def _segments(header: Mapping[str, Any], layers: int) -> tuple[Segment, ...]:
    numbers = sorted({int(match[1]) for match in map(_FIELD.fullmatch, header) if match})

    def told(key: str) -> list[str]:
        return [header.get(f"Segment{n}_{key}", "") for n in numbers]

    layer, value = told("Layer"), told("LabelValue")
    if not any(layer + value) and numbers == list(range(layers)):
        placed: list[tuple[int, int | None]] = [(n, None) for n in numbers]
    elif not all(value) or not (all(layer) or (layers == 1 and not any(layer))):
        raise DataError(
            "each segment of a segmentation must say its layer and label value, or have one layer "
            f"to itself and say neither, but of {len(numbers)} in {layers} layers "
            f"{sum(map(bool, value))} say a value and {sum(map(bool, layer))} a layer; save it "
            "again in 3D Slicer"
        )
    else:
        placed = [(int(at or 0), int(v)) for at, v in zip(layer, value, strict=True)]
    if len(set(placed)) < len(placed) or any(at not in range(layers) or v == 0 for at, v in placed):
        raise DataError(
            "each segment of a segmentation must have a value other than 0 of its own in one of "
            f"its {layers} layers, but one has not; save it again in 3D Slicer"
        )
    names = [composed(n or i) for n, i in zip(told("Name"), told("ID"), strict=True)]
    return tuple(Segment(name, *at) for name, at in zip(names, placed, strict=True))


def _header(file: BinaryIO) -> dict[str, Any]:
    """Fields of a header; leaves `file` at its end."""
    import nrrd

    lines = iter(lambda: file.readline(LONGEST_LINE), b"")
    return nrrd.read_header(line.decode("utf-8", "backslashreplace") for line in lines)


def _voxels(header: Mapping[str, Any], file: BinaryIO) -> NDArray[Any]:
    """Voxels from the place of `file`; a packed stream is not unpacked beyond them.

    Raises:
        DataError: they do not fit, or are not as many as the header says.
    """
    import nrrd

    skipped = header.get("byte skip", header.get("byteskip", 0))
    if header.get("line skip", header.get("lineskip", 0)) or skipped < -1:
        raise DataError(
            "the voxels of an NRRD volume must follow its header, but one skips lines; save it "
            "again"
        )
    bare = {key: header[key] for key in _NEEDED if key in header}
    if bare["encoding"] not in _TEXT:
        bare["encoding"] = "raw"
    # No voxels are read for their type: pynrrd alone knows its many names.
    empty = {"endian": "little", **bare, "encoding": "raw", "sizes": header["sizes"] * 0}
    size = nrrd.read_data(empty, io.BytesIO()).itemsize
    check_voxels(header["sizes"], 2 * size)
    if bare["encoding"] in _TEXT:
        return nrrd.read_data(bare, file)
    count = math.prod(map(int, header["sizes"])) * size
    with _UNPACKED[header["encoding"]](file) as stream:
        stream.seek(*((-count, 2) if skipped < 0 else (skipped, 1)))
        voxels = stream.read(count)
        must_be(count, len(voxels) + len(stream.read(1)))
    return nrrd.read_data(bare, io.BytesIO(voxels))


def _affine(header: Mapping[str, Any]) -> tuple[Vector, int | None]:
    """The affine, and the one axis without a direction if there is one."""
    if "space directions" not in header or "space origin" not in header:
        raise DataError(NO_GEOMETRY)
    directions = np.asarray(header["space directions"], np.float64)
    bare = np.flatnonzero(np.isnan(directions).any(axis=1))
    if directions.shape[1:] != (3,) or len(directions) - len(bare) != 3 or len(bare) > 1:
        raise DataError(NO_GEOMETRY)
    units = {str(unit).strip('"').lower() for unit in header.get("space units", ())} - {"", "???"}
    if units - {"mm"}:
        raise DataError("a volume must be measured in mm, but one is not; export it again")
    signs = _space_signs(str(header.get("space", "")).lower())
    affine = np.eye(4)
    affine[:3, :3] = np.delete(directions, bare, axis=0).T * signs[:, None]
    affine[:3, 3] = np.asarray(header["space origin"], np.float64) * signs
    return affine, int(bare[0]) if len(bare) else None


def _space_signs(space: str) -> Vector:
    """Signs that turn a named anatomical space into LPS."""
    known = {
        "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
        "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
        "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
    }  # fmt: skip
    if space not in known:
        # Not quoted: what somebody wrote into a header may be a name.
        raise DataError(
            f"the space of an NRRD volume must be one of {', '.join(sorted(known))}, but one has "
            f"{'another' if space else 'none'}; export it again in LPS"
        )
    return np.array(known[space], np.float64)
