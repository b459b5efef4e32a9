"""Source `openkbp`: the OpenKBP repository as a user clones it.

Layout: `provided-data/{train,validation,test}-pats/pt_N/` with `ct.csv` (flat C-order index into
128 x 128 x 128 and value HU + 1024; a missing index is outside), one CSV of indices per contoured
structure, and `voxel_dimensions.csv` in mm. Axis 0 runs front to back, axis 1 from the patient's
right to left, axis 2 from head to foot. Dose and other files are not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.config.data import DataConfig
from harness.data.scan import SOURCES, Excluded, Reference, Scan

SHAPE = (128, 128, 128)
AIR_HU = -1024
FOLDERS = {"train-pats": "train", "validation-pats": "validation", "test-pats": "test"}
FILES = {
    "parotid_left": "LeftParotid",
    "parotid_right": "RightParotid",
    "mandible": "Mandible",
    "brainstem": "Brainstem",
    "spinal_cord": "SpinalCord",
    "larynx": "Larynx",
    "esophagus": "Esophagus",
}


class OpenKbp:
    """Patients of an OpenKBP folder."""

    def __init__(self, config: DataConfig, folder: Path) -> None:
        self._structures = config.structures
        unknown = [name for name in self._structures if name not in FILES]
        if unknown:
            raise DataError(
                f"data.structures of OpenKBP must be among {', '.join(FILES)}; "
                f"but got '{unknown[0]}'"
            )
        assert config.folder is not None
        root = config.folder
        self._root = root / "provided-data" if (root / "provided-data").is_dir() else root
        if not any((self._root / name).is_dir() for name in FOLDERS):
            raise DataError(
                "data.root must be a clone of the OpenKBP repository (with "
                "provided-data/train-pats), but the folder given has no such folders; "
                "set it with -s data.root=FOLDER"
            )

    def patients(self) -> Sequence[Reference]:
        """All patients, by role and number."""
        found = []
        for name, role in FOLDERS.items():
            folders = [p for p in (self._root / name).glob("pt_*") if p.is_dir()]
            for folder in sorted(folders, key=lambda p: (len(p.name), p.name)):
                found.append(Reference(folder.name, folder, _signature(folder), role))
        return found

    def read(self, reference: Reference) -> Scan | Excluded:
        """One patient in canonical order."""
        folder: Path = reference.location
        try:
            return self._read(reference, folder)
        except (OSError, ValueError) as error:
            kind = type(error).__name__
            return Excluded(reference.patient, f"its files cannot be read as OpenKBP ({kind})")

    def _read(self, reference: Reference, folder: Path) -> Scan | Excluded:
        lacking = [n for n in ("ct.csv", "voxel_dimensions.csv") if not (folder / n).exists()]
        if lacking:
            return Excluded(reference.patient, f"{lacking[0]} is missing")
        spacing = np.loadtxt(folder / "voxel_dimensions.csv").reshape(-1)
        if spacing.shape != (3,) or not (spacing > 0).all():
            return Excluded(reference.patient, "voxel_dimensions.csv must hold three lengths in mm")
        index, value = _sparse(folder / "ct.csv")
        if not len(index) or index.min() < 0 or index.max() >= np.prod(SHAPE):
            return Excluded(reference.patient, "ct.csv must hold indices into 128 x 128 x 128")
        hu = np.full(SHAPE, AIR_HU, np.int16)
        hu.reshape(-1)[index] = np.rint(value + AIR_HU).astype(np.int16)
        masks, notes = {}, []
        for name in self._structures:
            path = folder / f"{FILES[name]}.csv"
            if not path.exists():
                notes.append(f"{name} is not contoured")
                continue
            inside, _ = _sparse(path)
            mask = np.zeros(SHAPE, bool)
            mask.reshape(-1)[inside] = True
            masks[name] = _canonical(mask)
        if not masks:
            wanted = ", ".join(self._structures)
            return Excluded(reference.patient, f"none of {wanted} is contoured")
        rows, columns, slices = (float(v) for v in spacing)
        affine = np.array(
            [[0, 0, columns, 0], [0, rows, 0, 0], [slices, 0, 0, 0], [0, 0, 0, 1]], np.float64
        )
        return Scan(
            reference.patient, _canonical(hu), masks, affine, reference.role, tuple(notes)
        )


def _canonical(volume: NDArray[np.generic]) -> NDArray[np.generic]:
    """(front-back, right-left, head-foot) to (foot-head, front-back, right-left)."""
    return np.ascontiguousarray(volume.transpose(2, 0, 1)[::-1])


def _sparse(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Index and data columns of an OpenKBP CSV; data is NaN where a file has none."""
    import pandas as pd

    table = pd.read_csv(path, index_col=0)
    value = table.iloc[:, 0].to_numpy(np.float64) if table.shape[1] else np.zeros(len(table))
    return table.index.to_numpy(np.int64), value


def _signature(folder: Path) -> str:
    """Sizes and modification times of the patient's files."""
    stats = [(p.name, p.stat()) for p in sorted(folder.glob("*.csv"))]
    return ";".join(f"{name}:{s.st_size}:{s.st_mtime_ns}" for name, s in stats)


SOURCES.add("openkbp", OpenKbp)
