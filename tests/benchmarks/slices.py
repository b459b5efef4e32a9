"""Structure slices of OpenKBP patients, cut as a store's pairs are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.config.data import CropConfig, DataConfig
from harness.data.pairs.framing import Framing, channel_of, frames, structure_slices
from harness.data.pairs.landmarks import Landmarks, landmarks
from harness.data.pairs.placement import CropRule, fit_crop
from harness.data.scan import Scan
from harness.data.sources.openkbp import OpenKbp


@dataclass(frozen=True)
class Slices:
    """CT crops about structures.

    Attributes:
        images: float32 n x 128 x 128 in [0, 1], 1 mm pixels.
        patients: n names.
        places: where in its structure each slice lies, 0 (feet) to 1 (head).
    """

    images: NDArray[np.float32]
    patients: NDArray[np.str_]
    places: NDArray[np.float64]


def read_slices(folder: Path, most: int, seen: float = 0.8) -> Slices:
    """All structure slices of at most `most` training and validation patients, no test patient.

    Args:
        folder: a clone of the OpenKBP repository.
        most: patients; a fifth of them validation patients.
    """
    config = DataConfig(source="openkbp", root=str(folder))
    source = OpenKbp(folder, config.structures)
    wanted = {"train": round(seen * most), "validation": most - round(seen * most)}
    scans: list[Scan] = []
    for reference in source.patients():
        if wanted.get(reference.role or "", 0) > 0:
            scan = source.read(reference)
            if isinstance(scan, Scan):
                scans.append(scan)
                wanted[reference.role or ""] -= 1
    marks = [landmarks(scan) for scan in scans]
    training = [m for m, scan in zip(marks, scans, strict=True) if scan.role == "train"]
    rule = fit_crop(training, config.structures, CropConfig())
    parts = [_cut(scan, m, rule, config) for scan, m in zip(scans, marks, strict=True)]
    images, places = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    names = np.repeat([scan.patient for scan in scans], [len(part[1]) for part in parts])
    return Slices(images.astype(np.float32), names, places)


def _cut(
    scan: Scan, marks: Landmarks, rule: CropRule, config: DataConfig
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """One patient's structure slices and their places."""
    low, high = config.window_hu
    framing = Framing(config.crop.frame_px, config.spacing_mm, (low, high))
    images, places = [np.zeros((0, framing.frame_px, framing.frame_px))], [np.zeros(0)]
    for name, mask in scan.masks.items():
        place = rule.place(marks, name)
        rows = structure_slices(mask, place.slices, 0.0)
        cut = frames(scan.hu, scan.affine, place, framing, channel_of(name, config.mirror)[1])
        images.append((cut[rows] + 1) / 2)
        places.append(np.linspace(0, 1, len(rows)))
    return np.concatenate(images), np.concatenate(places)
