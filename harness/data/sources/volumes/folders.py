"""The general layout: a folder a patient, one image in it, its masks beside or below.

A mask belongs to the image in the nearest folder, upwards from its own, that holds one. Where
images and masks have folders of their own (P1/images/ct.nrrd, P1/masks/Parotid_L.nrrd), these
folders must be called so: else a patient whose image is missing would be taken for a part of
another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from harness.config.data import ImagesConfig
from harness.data.sources.volumes.cases import Case, File, Mask, home_of, one_image, plain_name
from harness.data.voxel_files import composed

LABEL_MAP = re.compile(r"(?i)(labels?|label[_\-. ]?maps?|seg(mentation)?s?|masks?)")
"""Names of a label map among several files beside an image."""
Folder = tuple[str, ...]


def folders(root: Path, files: Sequence[File], config: ImagesConfig) -> list[Case]:
    """Cases of every folder with an image or with masks alone; [] if there is no image at all."""
    pattern = re.compile(composed(config.image))
    images = {f.number for f in files if not f.is_segmentation and pattern.search(_name(f))}
    if not images:
        return []
    below: dict[Folder, list[File]] = {}
    for file in files:
        if file.number in images:
            for depth in range(len(file.folder) + 1):
                below.setdefault(file.folder[:depth], []).append(file)
    owned: dict[Folder, list[File]] = {}
    orphans: dict[Folder, list[File]] = {}
    for file in files:
        if file.number in images:
            continue
        folder, image = _owner(file, below)
        if image is None:
            orphans.setdefault(folder, []).append(file)
        else:
            owned.setdefault(image.folder, []).append(file)
    return [*_with_images(below, owned, config), *_without(below, orphans)]


def _name(file: File) -> str:
    return plain_name(file.stem, file.folder[-1] if file.folder else "")


def _owner(file: File, below: dict[Folder, list[File]]) -> tuple[Folder, File | None]:
    """The image that a mask belongs to, or the folder that is to blame that there is none."""
    home = home_of(file.folder)
    for depth in range(len(file.folder), -1, -1):
        at = file.folder[:depth]
        images = below.get(at, [])
        beside = [image for image in images if image.folder == at]
        # The root is everybody's folder: an image there is nobody's but of masks beside it.
        if len(beside) == 1 and (at or not file.folder):
            return at, beside[0]
        if len(beside) > 1 and at:
            return at, None
        if len(images) == 1 and at and depth >= len(home):
            return at, images[0]
    return home, None


def _with_images(
    below: dict[Folder, list[File]], owned: dict[Folder, list[File]], config: ImagesConfig
) -> list[Case]:
    cases = []
    for folder, images in below.items():
        beside = [image for image in images if image.folder == folder]
        if len(beside) > 1:
            cases.append(one_image(folder, beside, []))
        elif beside:
            cases.append(_case(folder, beside[0], owned.get(folder, []), config))
    return cases


def _case(folder: Folder, image: File, files: Sequence[File], config: ImagesConfig) -> Case:
    if not config.labels:
        return one_image(folder, [image], [Mask(_mask_name(f, folder), f) for f in files])
    named = [f for f in files if LABEL_MAP.fullmatch(_mask_name(f, folder))]
    maps = files if len(files) == 1 else named
    if len(maps) != 1:
        problem = (
            "one label map must lie beside the image where data.images.labels is given, but got "
            f"{len(maps)} among {len(files)} files; name it `labels`"
        )
        return Case("/".join(folder) or ".", image, (), problem)
    masks = [Mask(composed(name), maps[0], (value,)) for name, value in config.labels.items()]
    return one_image(folder, [image], masks)


def _mask_name(file: File, folder: Folder) -> str:
    """Without its folder's name in front, nor those of folders of its image, in either order."""
    name = _name(file)
    for owner in (*folder, *reversed(folder)):
        name = plain_name(name, owner)
    # Says only whose it is, which no message may.
    return "mask" if name.casefold() in map(str.casefold, folder) else name


def _without(below: dict[Folder, list[File]], orphans: dict[Folder, list[File]]) -> list[Case]:
    """Masks of no image; folders that were blamed for several images are cases already."""
    several = {at for at, images in below.items() if sum(f.folder == at for f in images) > 1}
    return [
        one_image(folder, [], [Mask(_mask_name(f, folder), f) for f in files])
        for folder, files in orphans.items()
        if folder not in several
    ]
