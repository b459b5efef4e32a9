"""Job kind `prepare`: from patients to a store of pairs.

The crop rule is learnt on training patients; training pairs are chosen by their labels, validation
pairs are every slice of the placed range (with a mark on those that training would choose), and
test patients leave their scans only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.files import read_json, write_array
from harness.config.data import CropConfig, DataConfig
from harness.data.body import Landmarks
from harness.data.crop import CropRule, Placement, fit_crop
from harness.data.pairs import (
    Framing,
    channel_of,
    channels_of,
    frames,
    gland_slices,
    mask_frames,
    paste,
)
from harness.data.scan import Excluded, Reference, Scan, Source
from harness.data.store import LoadedScan, Row, crop_text, write_scan, write_store
from harness.work.context import Context
from harness.work.sources import make_source


@dataclass
class _Pairs:
    """Pairs cut so far, and gland voxels lost to crops by role."""

    ct: list[NDArray[np.float32]] = field(default_factory=list)
    masks: list[NDArray[np.uint8]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    gland: Counter[str] = field(default_factory=Counter)
    lost_frame: Counter[str] = field(default_factory=Counter)
    lost_mask: Counter[str] = field(default_factory=Counter)
    lost_slices: Counter[str] = field(default_factory=Counter)


def run(context: Context) -> None:
    """Fit the crop, cut every patient once, write the store."""
    config = context.spec.config
    roles: Mapping[str, str] = config["patients"]
    looks = {d: context.request.runtime["looks"][d] for d in roles}
    known = {d: read_json(Path(path)) for d, path in looks.items()}
    marks = {
        d: Landmarks.read(known[d]["landmarks"], Path(path).with_suffix(".npy"))
        for d, path in looks.items()
    }
    training = [marks[d] for d, role in roles.items() if role == "train"]
    rule = fit_crop(training, config["structures"], CropConfig.model_validate(config["crop"]))
    folder = context.folder.path / "store"
    source = _source(context)
    references = {reference.patient: reference for reference in source.patients()}
    pairs, patients = _Pairs(), []
    for digest, role in roles.items():
        scan = _read(source, references, known[digest]["patient"], digest)
        placed = {name: rule.place(marks[digest], name) for name in scan.masks}
        _cut(scan, digest, role, placed, config, pairs)
        if role != "train":
            kept = LoadedScan(np.rint(scan.hu).astype(np.int16), scan.masks, scan.affine, placed)
            write_scan(folder / "scans" / digest, kept)
        patients.append({"patient": scan.patient, "digest": digest, "role": role})
    _write(folder, pairs, patients, rule, config)
    files = [path for path in folder.rglob("*") if path.is_file()]
    context.finish(files, _values(pairs, patients, rule))


def _source(context: Context) -> Source:
    runtime = context.request.runtime
    return make_source(DataConfig.model_validate(runtime["data"]), Path(runtime["root"]))


def _read(source: Source, references: Mapping[str, Reference], patient: str, digest: str) -> Scan:
    """A patient's scan, refused if its content is not what was planned with."""
    scan = source.read(references[patient]) if patient in references else None
    if scan is None or isinstance(scan, Excluded) or scan.content_digest() != digest:
        raise DataError(
            f"patient {patient} must still be what it was when it was looked at, but its files "
            "changed; repeat the command"
        )
    return scan


def _cut(
    scan: Scan,
    digest: str,
    role: str,
    placed: Mapping[str, Placement],
    config: Mapping[str, Any],
    pairs: _Pairs,
) -> None:
    """Add the pairs of one training or validation patient; test patients get none."""
    if role == "test":
        return
    framing = Framing.of(config)
    channels = channels_of(config["structures"], config["mirror"])
    for structure, mask in scan.masks.items():
        channel, mirrored = channel_of(structure, config["mirror"])
        place = placed[structure]
        ct = frames(scan.hu, scan.affine, place, framing, mirrored)
        made = mask_frames(mask, scan.affine, place, framing, mirrored)
        _count_losses(scan, structure, place, framing, mirrored, role, config, pairs)
        trains = gland_slices(mask, place.slices, config["gland_free_share"])
        wanted = trains if role == "train" else np.arange(place.slices[0], place.slices[1] + 1)
        for index in wanted:
            stacked = np.zeros((len(channels), *made.shape[1:]), np.uint8)
            stacked[channels.index(channel)] = made[index]
            pairs.ct.append(ct[index][None])
            pairs.masks.append(stacked)
            pairs.rows.append(
                Row(
                    pair=len(pairs.rows),
                    patient=scan.patient,
                    patient_digest=digest,
                    role=role,
                    structure=structure,
                    side=structure.rsplit("_", 1)[-1] if "_" in structure else "",
                    slice=int(index),
                    z_mm=round(float(index * scan.spacing_mm[0]), 3),
                    mirrored=mirrored,
                    gland_px=int(made[index].sum()),
                    selected=bool(np.isin(index, trains)),
                    crop=crop_text(place),
                )
            )


def _count_losses(
    scan: Scan,
    structure: str,
    place: Placement,
    framing: Framing,
    mirrored: bool,
    role: str,
    config: Mapping[str, Any],
    pairs: _Pairs,
) -> None:
    """Gland voxels of the source grid that no frame, mask crop or slice range holds."""
    mask = scan.masks[structure]
    frame = framing.frame_px
    reach = np.ones((len(mask), frame, frame), np.float32)
    inside = paste(reach, mask.shape, scan.affine, place, framing, mirrored) > 0.5
    margin = (frame - config["crop"]["mask_px"]) // 2
    reach[:, :margin] = reach[:, frame - margin :] = 0
    reach[:, :, :margin] = reach[:, :, frame - margin :] = 0
    in_crop = paste(reach, mask.shape, scan.affine, place, framing, mirrored) > 0.5
    first, last = place.slices
    pairs.gland[role] += int(mask.sum())
    pairs.lost_frame[role] += int((mask & ~inside).sum())
    pairs.lost_mask[role] += int((mask & ~in_crop).sum())
    pairs.lost_slices[role] += int(mask[:first].sum() + mask[last + 1 :].sum())


def _write(
    folder: Path,
    pairs: _Pairs,
    patients: list[dict[str, str]],
    rule: CropRule,
    config: Mapping[str, Any],
) -> None:
    meta = {
        "kind": "real",
        "channels": channels_of(config["structures"], config["mirror"]),
        "mirror": config["mirror"],
        "frame_px": config["crop"]["frame_px"],
        "mask_px": config["crop"]["mask_px"],
        "spacing_mm": config["spacing_mm"],
        "window_hu": list(config["window_hu"]),
        "legacy_scaling": config["legacy_scaling"],
        "crop": rule.plain(),
        "patients": patients,
        "lineage": {},
    }
    for name, structure in rule.structures.items():
        write_array(folder / "crop" / f"{name}.npy", structure.template.astype(np.float32))
    write_store(folder, np.stack(pairs.ct), np.stack(pairs.masks), pairs.rows, meta)


def _values(pairs: _Pairs, patients: list[dict[str, str]], rule: CropRule) -> dict[str, Any]:
    per_role: dict[str, Counter[str]] = defaultdict(Counter)
    for row in pairs.rows:
        per_role[row.role]["pairs"] += 1
        per_role[row.role]["with gland"] += row.gland_px > 0
        per_role[row.role]["selected"] += row.selected
    lost = {}
    for what, counts in (
        ("outside the frame", pairs.lost_frame),
        ("outside the mask crop", pairs.lost_mask),
        ("outside the slice range", pairs.lost_slices),
    ):
        for role, total in sorted(pairs.gland.items()):
            lost[f"gland voxels {what}, {role}"] = counts[role] / total if total else 0.0
    return {
        "patients": dict(Counter(p["role"] for p in patients)),
        "pairs": {role: dict(counts) for role, counts in per_role.items()},
        "lost": lost,
        "crop_error_mm": {
            name: {
                "along the body": round(structure.level_error_mm, 1),
                "in the plane": round(structure.place_error_mm, 1),
            }
            for name, structure in rule.structures.items()
        },
    }
