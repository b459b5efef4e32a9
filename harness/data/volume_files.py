"""Volumes as files: NIfTI and NRRD, in the geometry of a scan.

A volume is (slices, rows, columns) with an affine to LPS mm everywhere in the program. Files have
the fastest axis first, and NIfTI counts millimetres in RAS. A `.seg.nrrd` of 3D Slicer may hold
several layers; its header says which value of which layer is which segment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError

SUFFIXES = {"nifti": ".nii.gz", "nrrd": ".nrrd"}
"""What is written; see `READABLE` for what is read."""
READABLE = (".seg.nrrd", ".nrrd", ".nii.gz", ".nii")
SEGMENTATION = ".seg.nrrd"
STRAIGHT = 1e-6
"""Largest cosine between axes that NIfTI's quaternion, which knows no shear, may also describe."""
_LABEL_VALUE = re.compile(r"Segment(\d+)_LabelValue")
_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Segment:
    """A named part of a segmentation: where `value` is, in `layer`."""

    name: str
    layer: int
    value: int


def suffix_of(name: str) -> str:
    """The part of a file name that says it is a volume, capitals ignored; "" if it is none."""
    return next((end for end in READABLE if name.lower().endswith(end)), "")


def write_volume(path: Path, volume: NDArray[Any], affine: Vector) -> None:
    """Write a volume by the suffix of `path` (.nii, .nii.gz, .nrrd); makes the folder.

    Args:
        volume: (slices, rows, columns); bool becomes uint8.
        affine: 4 x 4, (slice, row, column, 1) -> LPS mm.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = volume.astype(np.uint8) if volume.dtype == np.bool_ else volume
    turned = affine[:, [2, 1, 0, 3]]
    if path.name.endswith(".nrrd"):
        import nrrd

        header = {
            "space": "left-posterior-superior",
            "space directions": turned[:3, :3].T,
            "space origin": turned[:3, 3],
            "kinds": ["domain", "domain", "domain"],
            "encoding": "gzip",
        }
        # The file's first axis is the fastest one: C order is written as it lies in memory.
        nrrd.write(str(path), stored, header, compression_level=1, index_order="C")
        return
    import nibabel

    image = nibabel.Nifti1Image(stored.transpose(2, 1, 0), _RAS @ turned)
    image.header.set_xyzt_units("mm")
    directions = turned[:3, :3] / np.linalg.norm(turned[:3, :3], axis=0)
    if np.abs(directions.T @ directions - np.eye(3)).max() < STRAIGHT:
        image.set_qform(_RAS @ turned, code=1)
    image.set_sform(_RAS @ turned, code=1)
    nibabel.save(image, str(path))


def read_volume(path: Path) -> tuple[NDArray[Any], Vector]:
    """A volume and its affine, as `write_volume` takes them; scaled values where the file scales.

    Raises:
        DataError: as of `read_layers`, or several numbers for each voxel.
    """
    layers, affine = read_layers(path)
    if len(layers) != 1:
        raise DataError(f"a volume must have one number a voxel, but one has {len(layers)}")
    return layers[0], affine


def read_layers(path: Path) -> tuple[NDArray[Any], Vector]:
    """All layers of a file, (layers, slices, rows, columns), and their affine.

    Raises:
        DataError: no volume, no geometry, or cannot be read; the message names no path.
    """
    try:
        values, affine = _read_nrrd(path) if path.name.lower().endswith(".nrrd") else _nifti(path)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"a volume must be a readable NIfTI or NRRD file, but one is not "
            f"({type(error).__name__}); export it again"
        ) from error
    if 0 in values.shape:
        raise DataError("a volume must have voxels, but one has none")
    if values.dtype.kind not in "iufb":
        raise DataError(f"a volume must have one number a voxel, but one has {values.dtype}")
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise DataError("a volume must give a position and three directions, but one does not")
    return np.ascontiguousarray(values.transpose(0, 3, 2, 1)), affine[:, [2, 1, 0, 3]]


def read_segments(path: Path) -> tuple[Segment, ...]:
    """Segments that the header of a `.seg.nrrd` names, by their numbers; () if it names none.

    Raises:
        DataError: the header cannot be read.
    """
    import nrrd

    try:
        with open(path, "rb") as file:
            header = nrrd.read_header(file)
        numbers = [match[1] for match in map(_LABEL_VALUE.fullmatch, header) if match]
        return tuple(
            Segment(
                str(header.get(f"Segment{number}_Name", "")).strip(),
                int(header.get(f"Segment{number}_Layer", 0)),
                int(header[f"Segment{number}_LabelValue"]),
            )
            for number in sorted(numbers, key=int)
        )
    except Exception as error:
        raise DataError(
            f"a segmentation must say in its header what its segments are, but one does not "
            f"({type(error).__name__}); export it again"
        ) from error


def _layers_first(values: NDArray[Any], layers: int | None) -> NDArray[Any]:
    """(layers, columns, rows, slices) from an array with the axis `layers`, or with none."""
    spatial = values.ndim - (layers is not None)
    if spatial != 3:
        shape = " x ".join(map(str, values.shape))
        raise DataError(f"a volume must have three axes, but one has {shape or 'none'}")
    return values[None] if layers is None else np.moveaxis(values, layers, 0)


def _nifti(path: Path) -> tuple[NDArray[Any], Vector]:
    """Voxels, (layers, columns, rows, slices), and (column, row, slice, 1) -> LPS mm."""
    import nibabel

    image: Any = nibabel.load(str(path), mmap=False)
    header = image.header
    if not (int(header["qform_code"]) or int(header["sform_code"])):
        raise DataError("a volume must give a position and three directions, but one does not")
    unit = header.get_xyzt_units()[0]
    if unit not in ("mm", "unknown"):
        raise DataError(f"a volume must be measured in mm, but one is in {unit}")
    values = np.asarray(image.dataobj)
    while values.ndim > 4 and values.shape[-1] == 1:
        values = values[..., 0]
    layers = _layers_first(values, 3 if values.ndim == 4 else None)
    return layers, np.asarray(_RAS @ image.affine, np.float64)


def _read_nrrd(path: Path) -> tuple[NDArray[Any], Vector]:
    """As `_nifti`."""
    import nrrd

    with open(path, "rb") as file:
        header = nrrd.read_header(file)
        if "data file" in header or "datafile" in header:
            raise DataError("the voxels of an NRRD volume must be in its file, but one has a list")
        affine, layers = _nrrd_affine(header)
        values = nrrd.read_data(header, file, str(path))
    return _layers_first(values, layers), affine


def _nrrd_affine(header: Mapping[str, Any]) -> tuple[Vector, int | None]:
    """The affine, and the one axis without a direction if there is one."""
    if "space directions" not in header or "space origin" not in header:
        raise DataError("a volume must give a position and three directions, but one does not")
    directions = np.asarray(header["space directions"], np.float64)
    bare = np.flatnonzero(np.isnan(directions).any(axis=1))
    if directions.shape[1:] != (3,) or len(directions) - len(bare) != 3 or len(bare) > 1:
        raise DataError("a volume must give a position and three directions, but one does not")
    units = {str(unit).strip('"').lower() for unit in header.get("space units", ())} - {"", "???"}
    if units - {"mm"}:
        raise DataError("a volume must be measured in mm, but one is not")
    signs = _space_signs(str(header.get("space", "left-posterior-superior")).lower())
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
            "another; export it again in LPS"
        )
    return np.array(known[space], np.float64)
