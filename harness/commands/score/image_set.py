"""Anyone's set of images: a folder of PNG, NPY or NIfTI files, or a store.

Images come out as float32 in [0, 1]. Nothing is skipped silently: a file that cannot be read is an
error, files of other suffixes are counted, values that a window cuts off are said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.text import counted
from harness.commands.score.image_files import kind_of, read_file, stem_of
from harness.data.pairs.store import Store

SMALLEST_PX = 32
LOW_CONTRAST = 0.1
"""A set that spans less than this share of [0, 1] was probably given the wrong window or depth."""
CLIPPED = 0.01
MOST_CLIPPED = 0.95
Window = tuple[float, float]


@dataclass(frozen=True)
class ImageSet:
    """One set of images.

    Attributes:
        folder: where it was read, as given.
        kind: "PNG", "NPY", "NIfTI" or "store".
        images: float32 n x H x W in [0, 1].
        files: n, relative path of each image's file ("ct.npy" for a store).
        places: n, number of the image in its file; -1 for the one image of a file.
        patients: n, whose image it is; None where nothing says so.
        notes: what a reader of the scores should know.
    """

    folder: Path
    kind: str
    images: NDArray[np.float32]
    files: tuple[str, ...]
    places: tuple[int, ...]
    patients: tuple[str, ...] | None
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> str:
        """`H x W`."""
        return f"{self.images.shape[1]} x {self.images.shape[2]}"

    @property
    def names(self) -> tuple[str, ...]:
        """n names: the file's relative path, `#3` behind it for the fourth image of a stack."""
        return tuple(map(image_name, self.files, self.places))

    @property
    def stems(self) -> tuple[str, ...]:
        """n names without suffixes, by which two sets are paired."""
        return tuple(
            image_name(stem_of(f), p) for f, p in zip(self.files, self.places, strict=True)
        )

    def take(self, rows: NDArray[np.intp]) -> ImageSet:
        """The set of some rows."""
        return replace(
            self,
            images=self.images[rows],
            files=tuple(self.files[row] for row in rows),
            places=tuple(self.places[row] for row in rows),
            patients=None if self.patients is None else tuple(self.patients[row] for row in rows),
        )

    def counted(self) -> str:
        """`390 images of 10 patients`."""
        text = counted(len(self), "image")
        return text if self.patients is None else f"{text} of {len(set(self.patients))} patients"


def image_name(file: str, place: int) -> str:
    """What one image is called."""
    return file if place < 0 else f"{file}#{place}"


def read_images(
    folder: Path,
    side: str,
    window: Window | None = None,
    roles: Sequence[str] = ("train", "validation"),
) -> ImageSet:
    """The set of images in `folder` and below.

    Args:
        folder: PNG, NPY or NIfTI files of one kind, or a store.
        side: what messages call the set, e.g. "real".
        window: lowest and highest value of NPY and NIfTI files, which become 0 and 1.
        roles: of a store of real pairs, whose patients are read.

    Raises:
        DataError: the folder or a file breaks a rule.
    """
    if not folder.is_dir():
        raise DataError(
            f"the {side} images must be in an existing folder, but got '{folder}'; check the path"
        )
    if all((folder / name).is_file() for name in ("ct.npy", "index.csv", "meta.json")):
        found = _from_store(folder, side, roles)
    else:
        found = _from_files(folder, side, window)
    height, width = found.images.shape[1:]
    if min(height, width) < SMALLEST_PX:
        raise DataError(
            f"images must have edges of {SMALLEST_PX} px or more, but got {found.size} in "
            f"'{folder / found.files[0]}'; use larger images (a stack is n x H x W)"
        )
    return replace(found, notes=found.notes + tuple(_contrast(found.images, side)))


def _contrast(images: NDArray[np.float32], side: str) -> list[str]:
    low, high = float(images.min()), float(images.max())
    if high - low >= LOW_CONTRAST:
        return []
    return [
        f"the {side} images span only {low:.3g} to {high:.3g} of 0 to 1: is their window or bit "
        "depth right?"
    ]


def _from_store(folder: Path, side: str, roles: Sequence[str]) -> ImageSet:
    """CT frames: of a real store the structure slices of these roles, of a synthetic one all."""
    store = Store.open(folder)
    patients: tuple[str, ...] | None
    if store.meta["kind"] == "real":
        of_roles = [store.select(role=r, selected=True, with_structure=True) for r in roles]
        rows = np.sort(np.concatenate(of_roles))
        patients = tuple(store.rows[row].patient_digest for row in rows)
        notes = [f"{side}: structure slices of {' and '.join(roles)} patients of the store"]
    else:
        rows, patients, notes = store.select(), None, []
    if len(rows) == 0:
        raise DataError(
            f"a store must hold images of {' or '.join(roles)} patients, but got none in "
            f"'{folder}'; name another one"
        )
    images = np.asarray(store.ct[rows, 0], np.float32)
    if not np.isfinite(images).all():
        raise DataError(
            f"pixels must be finite numbers, but got NaN or infinity in '{folder / 'ct.npy'}'; "
            "make the store again"
        )
    files, places = ("ct.npy",) * len(rows), tuple(map(int, rows))
    unit = np.asarray(np.clip((images + 1) / 2, 0, 1), np.float32)
    return ImageSet(folder, "store", unit, files, places, patients, tuple(notes))


def _from_files(folder: Path, side: str, window: Window | None) -> ImageSet:
    paths, kind, notes = _listed(folder, side)
    stacks: list[NDArray[np.float32]] = []
    files: list[str] = []
    places: list[int] = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        stack, several = read_file(path, str(path))
        if stacks and stack.shape[1:] != stacks[0].shape[1:]:
            one, other = (" x ".join(map(str, s.shape[1:])) for s in (stacks[0], stack))
            raise DataError(
                f"all images of a set must have one size, but got {one} in '{paths[0]}' and "
                f"{other} in '{path}'; crop or resample them"
            )
        stacks.append(stack)
        files += [name] * len(stack)
        places += range(len(stack)) if several else [-1]
    images = np.concatenate(stacks)
    if kind != "PNG":
        images, more = _windowed(images, kind, folder, side, window)
        notes += more
    elif window is not None:
        notes.append(f"{side}: PNG files are mapped to [0, 1] by their bit depth, not --window")
    # Slices of a volume belong together, whoever's it is; single slices say nothing.
    volumes = kind == "NIfTI" and len(paths) < len(images)
    owners = tuple(f"{folder}/{file}" for file in files) if volumes else None
    if volumes:
        notes.append(f"{side}: the slices of one NIfTI file count as one patient's")
    return ImageSet(folder, kind, images, tuple(files), tuple(places), owners, tuple(notes))


def _listed(folder: Path, side: str) -> tuple[list[Path], str, list[str]]:
    """The image files in order of their names, their kind, and what was left out."""
    kinds = {path: kind_of(path.name) for path in sorted(folder.rglob("*")) if path.is_file()}
    others = [path.suffix or path.name for path, kind in kinds.items() if kind is None]
    counts = Counter(kind for kind in kinds.values() if kind)
    if not counts:
        found = counted(len(others), "other file") if others else "an empty folder"
        raise DataError(
            f"the {side} images must be PNG, NPY or NIfTI files or a store, but got {found} in "
            f"'{folder}'; convert them"
        )
    if len(counts) > 1:
        found = " and ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        raise DataError(
            f"a set must be files of one kind, but got {found} in '{folder}'; "
            "keep each kind in a folder of its own"
        )
    common = ", ".join(suffix for suffix, _ in Counter(others).most_common(3))
    left = f"{side}: {counted(len(others), 'file')} left out that are no images ({common})"
    kept = [path for path, kind in kinds.items() if kind]
    return kept, next(iter(counts)), [left] if others else []


def _windowed(
    images: NDArray[np.float32], kind: str, folder: Path, side: str, window: Window | None
) -> tuple[NDArray[np.float32], list[str]]:
    """Values in [0, 1], and what the window cut off."""
    low, high = float(images.min()), float(images.max())
    if window is None:
        if low < 0 or high > 1:
            raise DataError(
                f"{kind} files must hold values in [0, 1] or have a window, but got {low:g} to "
                f"{high:g} in '{folder}'; type --window LOW HIGH in the files' units, e.g. "
                f"--window {low:g} {high:g} for all of it"
            )
        return images, []
    bottom, top = window
    outside = float(((images < bottom) | (images > top)).mean())
    if outside > MOST_CLIPPED:
        raise DataError(
            f"--window must hold the images, but {100 * outside:.0f} % of the pixels in '{folder}' "
            f"lie outside {bottom:g} to {top:g} (they go from {low:g} to {high:g}); widen it"
        )
    scaled = np.clip((images - bottom) / (top - bottom), 0, 1).astype(np.float32)
    share = f"{100 * outside:.1f} % of the pixels lie outside the window and are clipped"
    return scaled, [f"{side}: {share}"] if outside > CLIPPED else []
