"""MetaImage files, .mha and .mhd with .raw or .zraw.

Read here and not by ITK, which gives voxels of its own where a packed stream is damaged or cut off
(SimpleITK 2.5), and takes a place of its own where a header gives none. Fields as MetaIO documents
them.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from harness.base.errors import DataError
from harness.data.bounds import check_voxels
from harness.data.voxel_files import (
    LONGEST_LINE,
    NO_GEOMETRY,
    Read,
    Vector,
    beside,
    must_be,
)

_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2",
    "MET_INT": "i4", "MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS


def read_metaimage(path: Path) -> Read:
    """A volume. `AnatomicalOrientation` says nothing that the directions do not, and is left.

    Raises:
        DataError: no geometry, voxels that do not fit, lie elsewhere or are not as many as said.
    """
    with open(path, "rb") as file:
        fields = _fields(file)
        affine, name = _affine(fields), fields["ElementDataFile"]
        if name.upper() == "LOCAL":
            return _voxels(fields, file), affine, _layers(fields)
    if path.name.lower().endswith(".mha") or name.startswith("LIST") or "%" in name:
        raise DataError(
            "the voxels of a MetaImage must be in its file (.mha) or in one beside it (.mhd), but "
            "one names others; save it again"
        )
    with open(beside(path, name), "rb") as file:
        return _voxels(fields, file), affine, _layers(fields)


def _fields(file: BinaryIO) -> dict[str, str]:
    """The header, which ends with the name of its data; leaves `file` at its end."""
    fields: dict[str, str] = {}
    while "ElementDataFile" not in fields and (line := file.readline(LONGEST_LINE)):
        key, _, value = line.decode("utf-8", "surrogateescape").partition("=")
        fields[key.strip()] = value.strip()
    return fields


def _numbers(fields: Mapping[str, str], *names: str) -> Vector:
    """The field that goes by one of these names.

    Raises:
        DataError: there is none: readers make up another place each.
    """
    text = next((fields[name] for name in names if name in fields), None)
    if text is None:
        raise DataError(NO_GEOMETRY)
    return np.array(text.split(), np.float64)


def _affine(fields: Mapping[str, str]) -> Vector:
    """A row of the matrix is the direction of one axis.

    Raises:
        DataError: no geometry, or another unit than mm, which most readers pass over.
    """
    unit = fields.get("DistanceUnits", "").lower()
    if unit not in ("", "?", "mm"):
        raise DataError("a volume must be measured in mm, but one is not; export it again")
    directions = _numbers(fields, "TransformMatrix", "Rotation", "Orientation")
    dimension = int(fields["NDims"])
    steps = directions.reshape(dimension, dimension).T * _numbers(fields, "ElementSpacing")
    affine = np.eye(4)
    affine[:3, :3] = steps[:3, :3]
    affine[:3, 3] = _numbers(fields, "Offset", "Position", "Origin")[:3]
    return affine


def _layers(fields: Mapping[str, str]) -> int | None:
    return 3 if int(fields["NDims"]) == 4 else None


def _voxels(fields: Mapping[str, str], file: BinaryIO) -> Any:
    def true(name: str) -> bool:
        return fields.get(name, "")[:1] in ("T", "t", "1")

    channels = int(fields.get("ElementNumberOfChannels", 1))
    if channels != 1:
        raise DataError(
            f"a volume must have one number a voxel, but one has {channels}; export it in grey"
        )
    if "BinaryData" in fields and not true("BinaryData"):
        raise DataError("the voxels of a MetaImage must be binary, but one has text; save it again")
    big = true("BinaryDataByteOrderMSB") or true("ElementByteOrderMSB")
    dtype = np.dtype((">" if big else "<") + _TYPES[fields["ElementType"]])
    shape = [int(size) for size in fields["DimSize"].split()]
    check_voxels(shape, 2 * dtype.itemsize)
    count, skipped = math.prod(shape) * dtype.itemsize, int(fields.get("HeaderSize", 0))
    if skipped > 0:
        file.seek(skipped)
    elif skipped < 0:  # voxels are at the end
        file.seek(-count, 2)
    if true("CompressedData"):
        stream = zlib.decompressobj(_ZLIB_OR_GZIP)
        data = stream.decompress(file.read(), count + 1)
        must_be(count, len(data) if stream.eof or len(data) > count else -1)
    else:
        data = file.read(count + 1)
        must_be(count, len(data))
    return np.frombuffer(data, dtype).reshape(shape[::-1]).T
