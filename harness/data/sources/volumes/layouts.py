"""How collections lay out their volumes: which image, which masks, whose.

    pddca     .../0522c0001/img.nrrd, .../0522c0001/structures/Parotid_L.nrrd
    han-seg   .../case_01/case_01_IMG_CT.nrrd, case_01_OAR_Parotid_L.seg.nrrd (MR is not read)
    deepmind  .../{test,validation}/{oncologist,radiographer}/SCAN/CT_IMAGE.nrrd,
              SCAN/segmentations/Parotid-Lt.nrrd
    nnunet    dataset.json, imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz
    folders   see `folders`

Each reads names alone (nnU-Net's dataset.json too) and finds nothing where it does not apply.
Sources: the collections' own descriptions (Raudaschl et al. 2017; Podobnik et al. 2023; Nikolov et
al. 2018; Isensee et al. 2021, "dataset format").
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.base.errors import DataError
from harness.config.data import ImagesConfig
from harness.data.sources.volumes.cases import Case, File, Mask, one_image
from harness.data.sources.volumes.folders import folders
from harness.data.voxel_files import composed

Scan = tuple[str, ...]
"""The folders and the name that a scan's files share."""
Layout = Callable[[Path, Sequence[File], ImagesConfig], list[Case]]


PATHS = {
    "deepmind": r".*?/(?P<split>test|validation)/(?P<observer>oncologist|radiographer)/"
    r"(?P<scan>[^/]+)/(?:CT_IMAGE|segmentations/(?P<mask>[^/]+))",
    "han-seg": r"(?P<scan>.*/[^/]*?)(?:_IMG_CT|_OAR_(?P<mask>[^/]+))",
    "pddca": r"(?P<scan>.*)/(?:img|structures/(?P<mask>[^/]+))",
}
"""What /FOLDERS/NAME must be: of a mask where `mask` is there, else of an image."""


def by_path(pattern: str, root: Path, files: Sequence[File], config: ImagesConfig) -> list[Case]:
    """Scans of one observer, where one knows any (the CT may lie with either); else only where some
    scan has both image and masks: the names alone say less."""
    images: dict[Scan, dict[str, list[File]]] = {}
    masks: dict[Scan, list[Mask]] = {}
    for file in files:
        match = re.fullmatch(pattern, "/".join(("", *file.folder, file.stem)))
        if match is None:
            continue
        named = match.groupdict()
        observer = named.get("observer", config.observer)
        scan = tuple(f"{named.get('split', '')}/{named['scan']}".strip("/").split("/"))
        if named["mask"] is None:
            images.setdefault(scan, {}).setdefault(observer, []).append(file)
        elif observer == config.observer:
            masks.setdefault(scan, []).append(Mask(named["mask"], file))
    if "<observer>" not in pattern and not images.keys() & masks.keys():
        return []
    chosen = {
        scan: by.get(config.observer) or next(iter(by.values())) for scan, by in images.items()
    }
    return _cases(chosen, masks)


def nnunet(root: Path, files: Sequence[File], config: ImagesConfig) -> list[Case]:
    """Training cases of a raw dataset; its label maps are named by dataset.json."""
    described = root / "dataset.json"
    if not described.is_file() or not any(f.folder == ("imagesTr",) for f in files):
        return []
    labels, channel = _dataset(described)
    images: dict[Scan, list[File]] = {}
    masks: dict[Scan, list[Mask]] = {}
    for file in files:
        name = re.fullmatch(r"(.+)_(\d{4})", file.stem)
        if file.folder == ("imagesTr",) and name and int(name[2]) == channel:
            images.setdefault((name[1],), []).append(file)
        elif file.folder == ("labelsTr",):
            maps = masks.setdefault((file.stem,), [])
            maps += [Mask(composed(n), file, values) for n, values in labels.items()]
    return _cases(images, masks)


def _dataset(path: Path) -> tuple[dict[str, tuple[int, ...]], int]:
    """Values of each label by name, and the number of the channel that is CT.

    Version 1 gives names by value and `modality`, version 2 values by name and `channel_names`; a
    label of several values is a region.
    """
    try:
        described = json.loads(path.read_text("utf-8-sig"))  # Windows writes a mark in front
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


def _cases(images: Mapping[Scan, list[File]], masks: Mapping[Scan, list[Mask]]) -> list[Case]:
    """A case for every scan with an image or with masks."""
    return [
        one_image(scan, images.get(scan, []), masks.get(scan, []))
        for scan in sorted(images.keys() | masks.keys())
    ]


LAYOUTS: Mapping[str, Layout] = {
    "nnunet": nnunet,
    **{name: partial(by_path, pattern) for name, pattern in PATHS.items()},
    "folders": folders,
}
"""In the order in which `auto` tries them: the narrowest first."""


def find_cases(root: Path, files: Sequence[File], config: ImagesConfig, others: str) -> list[Case]:
    """All scans, by identity; `others` says what files of other kinds there are.

    Raises:
        DataError: nothing is there in the layout, or in any.
    """
    tried = LAYOUTS.values() if config.layout == "auto" else [LAYOUTS[config.layout]]
    cases = next((found for layout in tried if (found := layout(root, files, config))), [])
    if cases:
        return sorted(cases, key=lambda case: case.identity)
    raise DataError(
        f"data.root must hold images and masks in the layout that data.images.layout says "
        f"('{config.layout}'), but got {len(files) or 'no'} NRRD, NIfTI or MetaImage files"
        f"{' in another' if files else ''}{others}; see docs/own-data.md"
    )
