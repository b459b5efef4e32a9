"""Pairs on disk: one format for real and synthetic stores.

ct.npy      float32 (N, 1, F, F) in [-1, 1]
masks.npy   uint8 (N, C, F, F), 0 or 1, on the whole frame
index.csv   one row per pair
meta.json   version, channels, geometry, patients with roles, lineage of synthetic pairs
crop/<structure>.npy   real stores: what the crop looks for, float32 cells of 6 mm
scans/<patient>/   real stores: validation and test scans on their source grid
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.files import csv_text, read_json, write_array, write_json, write_text
from harness.data.pairs.placement import Placement

VERSION = 1


@dataclass(frozen=True)
class PairRow:
    """One pair.

    Attributes:
        patient, patient_digest, role: empty for synthetic pairs.
        structure, side: e.g. "parotid_left", "left".
        slice, z_mm: source slice and its position; -1 and 0 for synthetic pairs.
        mirrored: the frame was flipped along columns.
        structure_px: structure pixels in the frame.
        selected: the GAN stages learn from the pair (structure slices and the nearest
            structure-free ones); the segmenter's real slots draw from all.
        crop: JSON of the frame's centre (row, column in source voxels).
    """

    pair: int
    patient: str
    patient_digest: str
    role: str
    structure: str
    side: str
    slice: int
    z_mm: float
    mirrored: bool
    structure_px: int
    selected: bool
    crop: str

    @classmethod
    def synthetic(cls, pair: int, structure_px: int) -> PairRow:
        return cls(pair, "", "", "", "", "", -1, 0.0, False, structure_px, True, "{}")


_READ: dict[object, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "bool": lambda cell: cell.casefold() == "true",
    "str": str,
}
_COLUMNS = {field.name: _READ[field.type] for field in fields(PairRow)}
"""How a cell of each column of the index is read: by its type."""


@dataclass(frozen=True)
class LoadedScan:
    """A scan on its source grid, with its masks and the placement of each structure."""

    hu: NDArray[np.int16]
    masks: Mapping[str, NDArray[np.bool_]]
    affine: NDArray[np.float64]
    placements: Mapping[str, Placement]


@dataclass(frozen=True)
class ScanRecord:
    """A kept scan that is not loaded yet."""

    patient: str
    digest: str
    role: str
    folder: Path

    def load(self) -> LoadedScan:
        """Read voxels and masks."""
        about = read_json(self.folder / "scan.json")
        masks = np.load(self.folder / "masks.npy", allow_pickle=False)
        return LoadedScan(
            np.load(self.folder / "hu.npy", allow_pickle=False),
            {name: masks[i] > 0 for i, name in enumerate(about["structures"])},
            np.asarray(about["affine"], np.float64),
            {
                name: Placement(tuple(entry["centre"]), tuple(entry["slices"]))
                for name, entry in about["placements"].items()
            },
        )


class Store:
    """Pairs of one store, memory-mapped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meta: dict[str, Any] = read_json(folder / "meta.json")
        if self.meta["version"] > VERSION:
            raise DataError(
                f"a store must have format version {VERSION} or older, but got "
                f"{self.meta['version']}; update harness"
            )

    @classmethod
    def open(cls, folder: Path) -> Store:
        """The store in `folder`.

        Raises:
            DataError: there is none, or it is of a newer format.
        """
        if not (folder / "meta.json").exists():
            raise DataError("a store must hold meta.json, but the folder given has none")
        return cls(folder)

    @property
    def channels(self) -> list[str]:
        return list(self.meta["channels"])

    @cached_property
    def ct(self) -> NDArray[np.float32]:
        return np.load(self.folder / "ct.npy", mmap_mode="r", allow_pickle=False)

    @cached_property
    def masks(self) -> NDArray[np.uint8]:
        return np.load(self.folder / "masks.npy", mmap_mode="r", allow_pickle=False)

    @cached_property
    def rows(self) -> tuple[PairRow, ...]:
        with open(self.folder / "index.csv", newline="", encoding="utf-8") as file:
            return tuple(
                PairRow(**{name: _COLUMNS[name](cell) for name, cell in entry.items()})
                for entry in csv.DictReader(file)
            )

    def select(
        self,
        role: str | None = None,
        selected: bool | None = None,
        with_structure: bool | None = None,
    ) -> NDArray[np.intp]:
        """Positions of the rows that fit, in order; None leaves a condition out."""
        return np.array(
            [
                index
                for index, row in enumerate(self.rows)
                if (role is None or row.role == role)
                and (selected is None or row.selected == selected)
                and (with_structure is None or (row.structure_px > 0) == with_structure)
            ],
            dtype=np.intp,
        )

    @property
    def _centre(self) -> slice:
        margin = (self.meta["frame_px"] - self.meta["mask_px"]) // 2
        return slice(margin, self.meta["frame_px"] - margin)

    def mask_crops(self, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Masks (n, C, mask_px, mask_px) about the frames' centres."""
        return np.asarray(self.masks[rows][..., self._centre, self._centre])

    def ct_crops(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """CT (n, 1, mask_px, mask_px) about the frames' centres."""
        return np.asarray(self.ct[rows][..., self._centre, self._centre])

    def padded_masks(self, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Masks (n, C, F, F), empty outside the mask crop: what Stage II is given."""
        padded = np.zeros((len(rows), *self.masks.shape[1:]), np.uint8)
        padded[..., self._centre, self._centre] = self.mask_crops(rows)
        return padded

    def scans(self, role: str) -> list[ScanRecord]:
        """Kept scans of a role, in content order."""
        return [
            ScanRecord(p["patient"], p["digest"], p["role"], self.folder / "scans" / p["digest"])
            for p in self.meta["patients"]
            if p["role"] == role and p["role"] != "train"
        ]


def write_store(
    folder: Path,
    ct: NDArray[np.float32],
    masks: NDArray[np.uint8],
    rows: Sequence[PairRow],
    meta: Mapping[str, Any],
) -> None:
    """Write a store's arrays, index and meta data; `meta.json` comes last."""
    if not len(ct) == len(masks) == len(rows):
        raise DataError(
            f"a store needs as many images as masks and rows, but got {len(ct)}, {len(masks)} "
            f"and {len(rows)}"
        )
    write_array(folder / "ct.npy", ct)
    write_array(folder / "masks.npy", masks)
    write_text(folder / "index.csv", csv_text(list(_COLUMNS), map(astuple, rows)))
    write_json(folder / "meta.json", {**meta, "version": VERSION})


def write_scan(folder: Path, scan: LoadedScan) -> None:
    """Keep a scan with its masks on the source grid."""
    names = sorted(scan.masks)
    volumes = [scan.masks[name] for name in names]
    write_array(folder / "hu.npy", scan.hu)
    write_array(folder / "masks.npy", np.stack(volumes).astype(np.uint8))
    about = {
        "structures": names,
        "affine": scan.affine.tolist(),
        "placements": {name: asdict(placed) for name, placed in scan.placements.items()},
    }
    write_json(folder / "scan.json", about)


def crop_text(placed: Placement) -> str:
    """A row's `crop` column."""
    return json.dumps({"centre": [round(v, 3) for v in placed.centre]})
