"""Job kind `prepare`: from patients to a store of pairs.

The crop rule is learnt on training patients. Training and validation pairs are every slice of the
placed range, with a mark on those that the GAN stages learn from (chosen by their labels); training
patients also give their structure slices outside the range. Test patients leave their scans only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.base.errors import DataError
from harness.base.files import read_record, write_array
from harness.config.data import CropConfig, DataConfig
from harness.data.pairs.framing import channels_of, mirror_of
from harness.data.pairs.landmarks import Landmarks
from harness.data.pairs.placement import CropRule, fit_crop
from harness.data.pairs.store import LoadedScan, write_scan, write_store
from harness.data.scan import Excluded, Reference, Scan, Source
from harness.jobs.context import Context
from harness.work.prepare.cut import Pairs, cut
from harness.work.prepare.kept_scan import kept_scan
from harness.work.prepare.parallel import read_each
from harness.work.prepare.sources import make_source, read_patient


def prepare_pairs(context: Context) -> None:
    """Fit the crop, cut every patient once, write the store."""
    config = context.spec.config
    roles: Mapping[str, str] = config["patients"]
    patient_index = {d: context.request.runtime["patient_index"][d] for d in roles}
    known = {d: read_record(Path(path)) for d, path in patient_index.items()}
    marks = {
        d: Landmarks.read(known[d]["landmarks"], Path(path).with_suffix(".npy"))
        for d, path in patient_index.items()
    }
    training = [marks[d] for d, role in roles.items() if role == "train"]
    rule = fit_crop(training, config["structures"], CropConfig.model_validate(config["crop"]))
    folder = context.folder.path / "store"
    runtime = context.request.runtime
    data = DataConfig.model_validate(runtime["data"])
    source = make_source(data, Path(runtime["root"]))
    references = {reference.patient: reference for reference in source.patients()}
    tasks = [
        _Task(
            references.get(known[digest]["patient"]),
            Path(patient_index[digest]),
            known[digest],
            digest,
            role,
            rule,
            marks[digest],
            data,
            config,
            folder,
        )
        for digest, role in roles.items()
    ]
    readers = int(runtime.get("readers", 1))
    pairs = Pairs()
    for patient in read_each(_cut, tasks, source, readers):
        pairs.add(patient)
    patients = [{"patient": t.known["patient"], "digest": t.digest, "role": t.role} for t in tasks]
    _write(folder, pairs, patients, rule, config)
    files = [path for path in folder.rglob("*") if path.is_file()]
    context.finish(files, _values(pairs, patients, rule))


@dataclass(frozen=True)
class _Task:
    """One patient to cut."""

    reference: Reference | None
    entry: Path
    known: Mapping[str, Any]
    digest: str
    role: str
    rule: CropRule
    marks: Landmarks
    data: DataConfig
    config: Mapping[str, Any]
    folder: Path


def _cut(source: Source, task: _Task) -> Pairs:
    """Take the scan as it was indexed, write what scoring needs of it, cut the pairs.

    Raises:
        DataError: the content is not what was planned with.
    """
    scan: Scan | Excluded | None = kept_scan(task.entry, task.known)
    if scan is None and task.reference is not None:
        scan = read_patient(source, task.reference, task.data)
    if scan is None or isinstance(scan, Excluded) or scan.content_digest() != task.digest:
        raise DataError(
            f"patient {task.known['patient']} must still be what it was when it was first read, "
            "but its files changed; repeat the command"
        )
    placed = {name: task.rule.place(task.marks, name) for name in scan.masks}
    if task.role != "train":
        kept = LoadedScan(np.rint(scan.hu).astype(np.int16), scan.masks, scan.affine, placed)
        write_scan(task.folder / "scans" / task.digest, kept)
    return cut(scan, task.digest, task.role, placed, task.config)


def _write(
    folder: Path,
    pairs: Pairs,
    patients: list[dict[str, str]],
    rule: CropRule,
    config: Mapping[str, Any],
) -> None:
    meta = {
        "kind": "real",
        "channels": channels_of(config["structures"], mirror_of(config)),
        "mirror": mirror_of(config),
        "frame_px": config["crop"]["frame_px"],
        "mask_px": config["crop"]["mask_px"],
        "spacing_mm": config["spacing_mm"],
        "window_hu": list(config["window_hu"]),
        "legacy_scaling": config["legacy_scaling"],
        "crop": rule.to_dict(),
        "patients": patients,
        "lineage": {},
        **({"legacy": dict(config["legacy"])} if "legacy" in config else {}),
    }
    for name, structure in rule.structures.items():
        write_array(folder / "crop" / f"{name}.npy", structure.template.astype(np.float32))
    write_store(folder, np.stack(pairs.ct), np.stack(pairs.masks), pairs.rows, meta)


def _values(pairs: Pairs, patients: list[dict[str, str]], rule: CropRule) -> dict[str, Any]:
    per_role: dict[str, Counter[str]] = defaultdict(Counter)
    for row in pairs.rows:
        per_role[row.role]["pairs"] += 1
        per_role[row.role]["with the structure"] += row.structure_px > 0
        per_role[row.role]["selected"] += row.selected
    lost = {}
    for what, counts in (
        ("outside the frame", pairs.lost_frame),
        ("outside the mask crop", pairs.lost_mask),
        ("outside the slice range", pairs.lost_slices),
    ):
        for role, total in sorted(pairs.structure.items()):
            lost[f"structure voxels {what}, {role}"] = counts[role] / total if total else 0.0
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
