"""Where the frame of a pair is centred, and which slices it runs over.

Learnt on training patients, applied to every scan as a function of its CT alone. The surroundings
of a structure, averaged over the training patients on a coarse grid, are the template; its place
in a scan is where the scan is most like it (normalised cross-correlation in 3D). A left structure's
template also holds mirrored right ones, and the other way round. How well this does on training
patients is measured leaving one out; the slice range is wide enough for every one of them, and a
cell wider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.config.data import CropConfig
from harness.data.pairs.landmarks import CELL_MM, Landmarks

REACH_MM = (36.0, 72.0, 72.0)
"""How far a template reaches from the structure's centre: along slices, rows and columns."""

OTHER_SIDE = {"left": "right", "right": "left"}
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Placement:
    """Where a structure's frames lie in one scan.

    Attributes:
        centre: row and column of the frame's centre, in source voxels.
        slices: first and last slice of the range, both included.
    """

    centre: tuple[float, float]
    slices: tuple[int, int]


@dataclass(frozen=True)
class StructureRule:
    """How one structure is found.

    Attributes:
        template: mean surroundings of the structure, in cells of the coarse volume.
        range_mm: first and last slice from the place found, mm towards the head.
        level_error_mm, place_error_mm: median distance from the true centre on training patients,
            leaving each one out; along slices, and in the plane.
        patients: training patients that it was learnt on.
    """

    template: Array
    range_mm: tuple[float, float]
    level_error_mm: float
    place_error_mm: float
    patients: int


@dataclass(frozen=True)
class CropRule:
    """The rules of all structures, and the fixed centre of `placement: fixed`."""

    placement: str
    fixed: tuple[int, int]
    structures: Mapping[str, StructureRule]

    def place(self, scan: Landmarks, structure: str) -> Placement:
        """Placement in a scan, from its coarse CT alone."""
        rule = self.structures[structure]
        level, row, column = scan.to_voxels(find(scan.coarse, rule.template))
        count = scan.shape[0]
        first, last = (level + offset / scan.spacing_mm[0] for offset in rule.range_mm)
        ends = np.clip([np.floor(first), np.ceil(last)], 0, count - 1)
        row, column = self.fixed if self.placement == "fixed" else (row, column)
        return Placement((float(row), float(column)), (int(ends[0]), int(ends[1])))

    @classmethod
    def read(cls, meta: Mapping[str, Any], folder: Path) -> CropRule:
        """The rule of a store: `to_dict` from its meta data, templates (.npy) from `folder`."""
        structures = {}
        for name, about in meta["structures"].items():
            template = np.load(folder / f"{name}.npy", allow_pickle=False)
            low, high = about["range_mm"]
            structures[name] = StructureRule(template, **{**about, "range_mm": (low, high)})
        row, column = meta["fixed"]
        return cls(meta["placement"], (row, column), structures)

    def to_dict(self) -> dict[str, Any]:
        """All but the templates, as plain data."""
        kept = asdict(self)
        for rule in kept["structures"].values():
            del rule["template"]
        return kept


def fit_crop(
    training: Sequence[Landmarks], structures: Sequence[str], config: CropConfig
) -> CropRule:
    """Learn the rule from training patients' landmarks, labels included.

    Raises:
        DataError: a structure is contoured in no training patient.
    """
    rules = {name: _fit_structure(training, name) for name in structures}
    return CropRule(config.placement, (config.fixed_row, config.fixed_column), rules)


def find(coarse: NDArray[np.uint8], template: Array) -> Array:
    """Where a coarse volume is most like a template: its centre there, in fractional cells.

    Outside the volume is air. Correlation is normalised, so brightness and contrast do not count.
    """
    from skimage.feature import match_template

    short = [max(0, t - c) for t, c in zip(template.shape, coarse.shape, strict=True)]
    # float64: running sums of float32 leave noise that flat air divides by.
    whole = np.pad(coarse.astype(np.float64), [(0, lacking) for lacking in short])
    score = match_template(whole, template, pad_input=True, mode="constant", constant_values=0)
    score = score[tuple(slice(length) for length in coarse.shape)]
    best = np.unravel_index(int(np.argmax(score)), score.shape)
    return np.array([cell + _peak(score, best, axis) for axis, cell in enumerate(best)])


def _peak(score: Array, best: Sequence[Any], axis: int) -> float:
    """Offset of the vertex of the parabola through the best cell and its neighbours on an axis."""
    if not 0 < best[axis] < score.shape[axis] - 1:
        return 0.0
    low, middle, high = (
        score[tuple(cell + step * (other == axis) for other, cell in enumerate(best))]
        for step in (-1, 0, 1)
    )
    bend = low - 2 * middle + high
    return float(0.5 * (low - high) / bend) if bend < 0 else 0.0


def _fit_structure(training: Sequence[Landmarks], name: str) -> StructureRule:
    examples = [_examples(scan, name) for scan in training]
    usable = [index for index, scan in enumerate(training) if name in scan.structures]
    if not usable:
        raise DataError(
            f"a crop for '{name}' must be learnt on training patients, but none of "
            f"{len(training)} has it contoured; check data.structures and data.roles"
        )
    offsets, misses = [], []
    for index in usable:
        others = [example for other, example in enumerate(examples) if other != index]
        template = _mean(others) if any(map(len, others)) else _mean(examples)
        scan, structure = training[index], training[index].structures[name]
        centre = scan.to_voxels(find(scan.coarse, template))
        misses.append((centre - structure["centroid"]) * scan.spacing_mm)
        offsets.append([float(end - centre[0]) * scan.spacing_mm[0] for end in structure["slices"]])
    level, row, column = np.array(misses).T
    return StructureRule(
        _mean(examples),
        (min(o[0] for o in offsets) - CELL_MM, max(o[1] for o in offsets) + CELL_MM),
        float(np.median(np.abs(level))),
        float(np.median(np.hypot(row, column))),
        len(usable),
    )


def _mean(examples: Sequence[Sequence[Array]]) -> Array:
    return np.asarray(np.mean([patch for patches in examples for patch in patches], axis=0))


def _examples(scan: Landmarks, name: str) -> list[Array]:
    """Surroundings of the structure, and mirrored ones of its partner on the other side."""
    stem, _, side = name.rpartition("_")
    partner = f"{stem}_{OTHER_SIDE[side]}" if stem and side in OTHER_SIDE else ""
    patches = [_patch(scan, scan.structures[name])] if name in scan.structures else []
    if partner in scan.structures:
        patches.append(_patch(scan, scan.structures[partner])[..., ::-1])
    return patches


def _patch(scan: Landmarks, structure: Mapping[str, Any]) -> Array:
    """The coarse CT about a structure's centre; air outside the scan."""
    half = [round(reach / CELL_MM) for reach in REACH_MM]
    centre = [round(float(cell)) for cell in scan.to_cells(np.array(structure["centroid"]))]
    padded = np.pad(scan.coarse.astype(np.float64), [(size + 1, size + 1) for size in half])
    return padded[
        tuple(slice(cell + 1, cell + 2 * size + 2) for cell, size in zip(centre, half, strict=True))
    ]
