"""Cutting one patient's pairs, and counting what the crop loses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.pairs.framing import (
    Framing,
    channel_of,
    channels_of,
    frames,
    mask_frames,
    mirror_of,
    paste,
    structure_slices,
)
from harness.data.pairs.placement import Placement
from harness.data.pairs.store import PairRow, crop_text
from harness.data.scan import Scan
from harness.work.prepare.legacy import masks_of


@dataclass
class Pairs:
    """Pairs cut so far, and structure voxels lost to crops by role."""

    ct: list[NDArray[np.float32]] = field(default_factory=list)
    masks: list[NDArray[np.uint8]] = field(default_factory=list)
    rows: list[PairRow] = field(default_factory=list)
    structure: Counter[str] = field(default_factory=Counter)
    lost_frame: Counter[str] = field(default_factory=Counter)
    lost_mask: Counter[str] = field(default_factory=Counter)
    lost_slices: Counter[str] = field(default_factory=Counter)

    def add(self, more: Pairs) -> None:
        """Those of another patient, numbered on."""
        first = len(self.rows)
        self.ct += more.ct
        self.masks += more.masks
        self.rows += [replace(row, pair=first + row.pair) for row in more.rows]
        for name in ("structure", "lost_frame", "lost_mask", "lost_slices"):
            getattr(self, name).update(getattr(more, name))


def cut(
    scan: Scan,
    digest: str,
    role: str,
    placed: Mapping[str, Placement],
    config: Mapping[str, Any],
) -> Pairs:
    """The pairs of one training or validation patient; test patients get none."""
    pairs = Pairs()
    if role == "test":
        return pairs
    framing = Framing.of(config)
    mirror = mirror_of(config)
    channels = channels_of(config["structures"], mirror)
    for structure, mask in masks_of(scan.masks, config.get("legacy", {})).items():
        channel, mirrored = channel_of(structure, mirror)
        placement = placed[structure]
        ct = frames(scan.hu, scan.affine, placement, framing, mirrored)
        masks = mask_frames(mask, scan.affine, placement, framing, mirrored)
        _count_losses(scan, structure, placement, framing, mirrored, role, config, pairs)
        trains = structure_slices(mask, placement.slices, config["background_slice_fraction"])
        placed_range = np.arange(placement.slices[0], placement.slices[1] + 1)
        wanted = np.union1d(placed_range, trains) if role == "train" else placed_range
        for index in wanted:
            stacked = np.zeros((len(channels), *masks.shape[1:]), np.uint8)
            stacked[channels.index(channel)] = masks[index]
            pairs.ct.append(ct[index][None])
            pairs.masks.append(stacked)
            pairs.rows.append(
                PairRow(
                    pair=len(pairs.rows),
                    patient=scan.patient,
                    patient_digest=digest,
                    role=role,
                    structure=structure,
                    side=structure.rsplit("_", 1)[-1] if "_" in structure else "",
                    slice=int(index),
                    z_mm=round(float(index * scan.spacing_mm[0]), 3),
                    mirrored=mirrored,
                    structure_px=int(masks[index].sum()),
                    selected=bool(np.isin(index, trains)),
                    crop=crop_text(placement),
                )
            )
    return pairs


def _count_losses(
    scan: Scan,
    structure: str,
    placement: Placement,
    framing: Framing,
    mirrored: bool,
    role: str,
    config: Mapping[str, Any],
    pairs: Pairs,
) -> None:
    """Structure voxels of the source grid that no frame, mask crop or slice range holds."""
    mask = scan.masks[structure]
    frame = framing.frame_px
    reach = np.ones((len(mask), frame, frame), np.float32)
    inside = paste(reach, mask.shape, scan.affine, placement, framing, mirrored) > 0.5
    margin = (frame - config["crop"]["mask_px"]) // 2
    reach[:, :margin] = reach[:, frame - margin :] = 0
    reach[:, :, :margin] = reach[:, :, frame - margin :] = 0
    in_crop = paste(reach, mask.shape, scan.affine, placement, framing, mirrored) > 0.5
    first, last = placement.slices
    pairs.structure[role] += int(mask.sum())
    pairs.lost_frame[role] += int((mask & ~inside).sum())
    pairs.lost_mask[role] += int((mask & ~in_crop).sum())
    pairs.lost_slices[role] += int(mask[:first].sum() + mask[last + 1 :].sum())
