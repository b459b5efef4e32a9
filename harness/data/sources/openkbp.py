"""The OpenKBP repository: sparse CSV volumes of 128 x 128 x 128 voxels, roles by folder.

A patient is a folder `pt_N` with `ct.csv` (flat C-order index, value = HU + 1024; a missing index
is outside the body), one CSV of indices per contoured structure and `voxel_dimensions.csv` (mm).
Stored axes are front to back, right to left, head to foot. That order was read off the data: the
mandible lies at lower indices than the cord along axis 0, `LeftParotid` at higher indices than
`RightParotid` along axis 1, brainstem and skull at lower indices than shoulders along axis 2.
Dose files and everything else are ignored.

Source of the format: Babier et al., OpenKBP, Medical Physics 48 (2021).
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.files import digest_of
from harness.config.data import DataConfig
from harness.data.scan import Excluded, Reference, Scan, contoured, published

EDGE = 128
HU_OFFSET = 1024
HEADER = b",data"
NOTED_LOST = 0.05  # share of a structure's voxels without a CT value
MOST_LOST = 0.5  # real ones stay below 0.3
FOLDERS = {"train-pats": "train", "validation-pats": "validation", "test-pats": "test"}
STRUCTURES = {
    "parotid_left": "LeftParotid",
    "parotid_right": "RightParotid",
    "mandible": "Mandible",
    "brainstem": "Brainstem",
    "spinal_cord": "SpinalCord",
    "larynx": "Larynx",
    "esophagus": "Esophagus",
}
_T = TypeVar("_T", bound=np.generic)
Spacing = tuple[float, float, float]
Volume = NDArray[np.int16]
Mask = NDArray[np.bool_]
_PATIENT = re.compile(r"pt_(\d+)")


class OpenKbp:
    """Patients of an OpenKBP folder.

    Args:
        root: the repository's folder, or its `provided-data`.
        structures: names to read, keys of `STRUCTURES`.

    Raises:
        DataError: the folder is not there or holds no patients, or a structure is unknown.
    """

    def __init__(self, root: Path, structures: Sequence[str]) -> None:
        unknown = [name for name in structures if name not in STRUCTURES]
        if unknown:
            raise DataError(
                f"structures of OpenKBP must be among {', '.join(STRUCTURES)}, but got "
                f"{', '.join(unknown)}; change data.structures"
            )
        self._structures = tuple(structures)
        self._folders = _role_folders(root)

    def patients(self) -> list[Reference]:
        """All patients, by role, then by number."""
        references = []
        for role, folder in self._folders.items():
            numbered = [
                (int(match[1]), entry)
                for entry in folder.iterdir()
                if (match := _PATIENT.fullmatch(entry.name)) and entry.is_dir()
            ]
            for _, entry in sorted(numbered):
                references.append(Reference(entry.name, entry, self._signature(entry), role))
        if not references:
            raise DataError(
                "an OpenKBP folder must hold patient folders (pt_1, pt_2 ...), but got none; check "
                "data.root"
            )
        return references

    def read(self, reference: Reference) -> Scan | Excluded:
        """One patient; int16 HU, -1024 outside the body. Structures without a file are noted."""
        try:
            spacing, hu, masks, notes = self._open(reference)
        except DataError as error:
            return Excluded(reference.patient, str(error))
        if not masks:  # whether nobody drew them or there are none, no file says
            return Excluded(reference.patient, "none of the wanted structures is contoured")
        lost = {name: float((hu[mask] <= -HU_OFFSET).mean()) for name, mask in masks.items()}
        bare = [name for name, share in lost.items() if share > MOST_LOST]
        if bare:
            return Excluded(reference.patient, f"ct.csv has no voxels for {' and '.join(bare)}")
        notes += [
            f"{100 * share:.0f} % of {name} lies where the CT has no value"
            for name, share in lost.items()
            if share > NOTED_LOST
        ]
        return Scan(reference.patient, hu, masks, _affine(spacing), reference.role, tuple(notes))

    def read_bare(self, reference: Reference) -> Scan:
        """One patient's CT; none of the structures may have a file with voxels.

        Raises:
            DataError: one has, or the CT cannot be read.
        """
        spacing, hu, masks, _ = self._open(reference)
        if masks:
            raise contoured([*masks])
        return Scan(reference.patient, hu, {}, _affine(spacing), reference.role)

    def _open(self, reference: Reference) -> tuple[Spacing, Volume, dict[str, Mask], list[str]]:
        """Voxel size, CT, masks of the structures that are contoured, notes.

        Raises:
            DataError: one of them cannot be read.
        """
        folder = Path(reference.location)
        try:
            spacing = _spacing(folder / "voxel_dimensions.csv")
            hu = _ct(folder / "ct.csv")
            return spacing, hu, *self._masks(folder)
        except (OSError, ValueError) as error:
            raise DataError(_reason(error)) from error

    def _masks(self, folder: Path) -> tuple[dict[str, Mask], list[str]]:
        masks, notes = {}, []
        for name in self._structures:
            path = folder / f"{STRUCTURES[name]}.csv"
            index = _table(path, columns=1)[:, 0] if path.is_file() else np.empty(0)
            if not index.size:
                notes.append(f"{name} is not contoured")
                continue
            flat = np.zeros(EDGE**3, np.bool_)
            flat[_inside(index, path.name)] = True
            masks[name] = _canonical(flat)
        return masks, notes

    def _signature(self, folder: Path) -> str:
        """Changes when a file that `read` would open does."""
        wanted = ["ct", "voxel_dimensions", *(STRUCTURES[name] for name in self._structures)]
        files = [folder / f"{name}.csv" for name in wanted]
        stats = {path.name: path.stat() for path in files if path.is_file()}
        return digest_of({name: [s.st_size, s.st_mtime_ns] for name, s in stats.items()})


def _role_folders(root: Path) -> Mapping[str, Path]:
    for base in (root / "provided-data", root):
        folders = {role: base / name for name, role in FOLDERS.items() if (base / name).is_dir()}
        if folders:
            return folders
    state = "a folder without them" if root.is_dir() else "no folder of that name"
    raise DataError(
        "data.root must be a clone of the OpenKBP repository (with provided-data/train-pats ...), "
        f"but got {state}; check data.root"
    )


def _numbers(path: Path, **options: Any) -> NDArray[np.float64]:
    """`numpy.loadtxt` of a file that may be empty."""
    with open(path, encoding="utf-8") as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "loadtxt: input contained no data")
        return np.loadtxt(file, delimiter=",", **options)


def _table(path: Path, columns: int) -> NDArray[np.float64]:
    """The first columns of a CSV file with a header line, (lines, columns)."""
    with open(path, "rb") as file:
        if file.readline().strip() != HEADER:
            raise ValueError(f"{path.name} does not begin with the line '{HEADER.decode()}'")
        file.seek(-1, os.SEEK_END)
        if file.read() != b"\n":
            raise ValueError(f"{path.name} is cut off in its last line")
    try:
        table = _numbers(path, skiprows=1, usecols=range(columns), ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path.name} is not a table of numbers") from error
    return table.reshape(-1, columns)


def _affine(spacing: Spacing) -> NDArray[np.float64]:
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *spacing, 1.0
    return affine


def _inside(index: NDArray[np.float64], name: str) -> NDArray[np.intp]:
    if not ((index >= 0) & (index < EDGE**3) & (index == np.floor(index))).all():
        raise ValueError(f"{name} has voxel indices outside 0..{EDGE**3 - 1}")
    return index.astype(np.intp)


def _ct(path: Path) -> NDArray[np.int16]:
    table = _table(path, columns=2)
    if not table.size:
        raise ValueError(f"{path.name} holds no voxels")
    hu = table[:, 1] - HU_OFFSET
    if not (np.isfinite(table).all() and np.abs(hu).max() <= np.iinfo(np.int16).max):
        raise ValueError(f"{path.name} has values that are no CT numbers")
    flat = np.full(EDGE**3, -HU_OFFSET, np.int16)
    flat[_inside(table[:, 0], path.name)] = np.rint(hu).astype(np.int16)
    return _canonical(flat)


def _canonical(flat: NDArray[_T]) -> NDArray[_T]:
    """Flat C order (front-back, right-left, head-foot) -> (foot-head, front-back, right-left)."""
    volume = flat.reshape(EDGE, EDGE, EDGE).transpose(2, 0, 1)[::-1]
    return np.ascontiguousarray(volume)


def _spacing(path: Path) -> tuple[float, float, float]:
    """Voxel size along slices, rows, columns."""
    try:
        size = _numbers(path, ndmin=1).ravel()
    except ValueError as error:
        raise ValueError(f"{path.name} is not a list of numbers") from error
    if size.shape != (3,) or not np.isfinite(size).all() or (size <= 0).any():
        raise ValueError(f"{path.name} must hold three positive numbers")
    return float(size[2]), float(size[0]), float(size[1])


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        name = Path(error.filename or "a file").name
        missing = isinstance(error, FileNotFoundError)
        return f"{name} is missing" if missing else f"{name} cannot be read"
    return str(error)


@published
def make(config: DataConfig, folder: Path) -> OpenKbp:
    """The source of `data.source: openkbp`; it keeps no private files."""
    if config.folder is None:
        raise DataError("data.root must name the OpenKBP folder, but got nothing; set data.root")
    return OpenKbp(config.folder, config.structures)
