"""How collections lay out their NRRD and NIfTI files: which image, which masks, whose.

    pddca     .../0522c0001/img.nrrd, .../0522c0001/structures/Parotid_L.nrrd
    han-seg   .../case_01/case_01_IMG_CT.nrrd, case_01_OAR_Parotid_L.seg.nrrd (MR is not read)
    deepmind  .../{test,validation}/{oncologist,radiographer}/SCAN/CT_IMAGE.nrrd,
              SCAN/segmentations/Parotid-Lt.nrrd
    nnunet    dataset.json, imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz
    folders   see `image_folders`

Each reads names alone (nnU-Net's dataset.json too) and finds nothing where it does not apply.
Sources: the collections' own descriptions (Raudaschl et al. 2017; Podobnik et al. 2023; Nikolov et
al. 2018; Isensee et al. 2021, "dataset format").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.base.errors import DataError
from harness.base.files import read_json
from harness.config.data import ImagesConfig
from harness.data.sources.volumes.cases import Case, File, Mask, make_case
from harness.data.sources.volumes.folders import folders

SPLITS = ("test", "validation")
OBSERVERS = ("oncologist", "radiographer")
Scan = tuple[str, ...]
"""The folders and the name that a scan's files share."""
Layout = Callable[[Path, Sequence[File], ImagesConfig], list[Case]]


def pddca(root: Path, files: Sequence[File], config: ImagesConfig) -> list[Case]:
    """A folder with `img` and, below it, `structures`."""
    images = {file.folder: file for file in files if file.stem == "img"}
    masks: dict[Scan, list[Mask]] = {}
    for file in files:
        if file.folder[-1:] == ("structures",):
            masks.setdefault(file.folder[:-1], []).append(Mask(file.stem, file))
    return _cases(images, masks) if images.keys() & masks.keys() else []


def han_seg(root: Path, files: Sequence[File], config: ImagesConfig) -> list[Case]:
    """Files of one folder that begin with the case's name."""
    images: dict[Scan, File] = {}
    masks: dict[Scan, list[Mask]] = {}
    for file in files:
        if file.stem.endswith("_IMG_CT"):
            images[(*file.folder, file.stem.removesuffix("_IMG_CT"))] = file
        elif "_OAR_" in file.stem:
            case, _, name = file.stem.partition("_OAR_")
            masks.setdefault((*file.folder, case), []).append(Mask(name, file))
    return _cases(images, masks) if images else []


def deepmind(root: Path, files: Sequence[File], config: ImagesConfig) -> list[Case]:
    """Scans of one observer; the CT may lie with either."""
    images: dict[Scan, dict[str, File]] = {}
    masks: dict[Scan, list[Mask]] = {}
    for file in files:
        observed = _observed(file)
        if observed is None:
            continue
        observer, scan, below = observed
        if file.stem == "CT_IMAGE" and not below:
            images.setdefault(scan, {})[observer] = file
        elif below == ("segmentations",) and observer == config.observer:
            masks.setdefault(scan, []).append(Mask(file.stem, file))
    chosen = {
        scan: by.get(config.observer) or next(iter(by.values())) for scan, by in images.items()
    }
    return _cases(chosen, masks)


def _observed(file: File) -> tuple[str, Scan, tuple[str, ...]] | None:
    """Observer, scan (split, name) and folders below it; None for a file elsewhere."""
    parts = file.folder
    for at in range(len(parts) - 2):
        if parts[at] in SPLITS and parts[at + 1] in OBSERVERS:
            return parts[at + 1], (parts[at], parts[at + 2]), parts[at + 3 :]
    return None


def nnunet(root: Path, files: Sequence[File], config: ImagesConfig) -> list[Case]:
    """Training cases of a raw dataset; its label maps are named by dataset.json."""
    described = root / "dataset.json"
    if not described.is_file() or not any(f.folder == ("imagesTr",) for f in files):
        return []
    labels, channel = _dataset(described)
    images: dict[Scan, File] = {}
    masks: dict[Scan, list[Mask]] = {}
    for file in files:
        name = re.fullmatch(r"(.+)_(\d{4})", file.stem)
        if file.folder == ("imagesTr",) and name and int(name[2]) == channel:
            images[(name[1],)] = file
        elif file.folder == ("labelsTr",):
            masks[(file.stem,)] = [Mask(n, file, values) for n, values in labels.items()]
    return _cases(images, masks)


def _dataset(path: Path) -> tuple[dict[str, tuple[int, ...]], int]:
    """Values of each label by name, and the number of the channel that is CT.

    Version 1 gives names by value and `modality`, version 2 values by name and `channel_names`; a
    label of several values is a region.
    """
    try:
        described = read_json(path)
        labels = dict(_label(*entry) for entry in described["labels"].items())
        channels = described.get("channel_names") or described.get("modality") or {}
        named = [int(n) for n, name in channels.items() if str(name).strip().upper() == "CT"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            "dataset.json must give names and values of its labels, but it does not "
            f"({type(error).__name__}); correct it"
        ) from error
    kept = {n: v for n, v in labels.items() if n not in ("background", "ignore")}
    return kept, named[0] if named else 0


def _label(key: str, entry: Any) -> tuple[str, tuple[int, ...]]:
    if isinstance(entry, str):
        return entry, (int(key),)
    return key, tuple(int(v) for v in entry) if isinstance(entry, list) else (int(entry),)


def _cases(images: Mapping[Scan, File], masks: Mapping[Scan, list[Mask]]) -> list[Case]:
    """A case for every scan with an image or with masks."""
    scans = sorted(images.keys() | masks.keys())
    return [make_case(scan, images.get(scan), masks.get(scan, [])) for scan in scans]


LAYOUTS: Mapping[str, Layout] = {
    "nnunet": nnunet,
    "deepmind": deepmind,
    "han-seg": han_seg,
    "pddca": pddca,
    "folders": folders,
}
"""In the order in which `auto` tries them: the narrowest first."""


def find_cases(root: Path, files: Sequence[File], config: ImagesConfig) -> list[Case]:
    """All scans, by identity.

    Raises:
        DataError: nothing is there in the layout, or in any.
    """
    tried = LAYOUTS.values() if config.layout == "auto" else [LAYOUTS[config.layout]]
    cases = next((found for layout in tried if (found := layout(root, files, config))), [])
    if cases:
        return sorted(cases, key=lambda case: case.identity)
    raise DataError(
        f"data.root must hold images and masks in the layout that data.images.layout says "
        f"('{config.layout}'), but got {len(files) or 'no'} NRRD or NIfTI files without; see "
        "docs/own-data.md"
    )
