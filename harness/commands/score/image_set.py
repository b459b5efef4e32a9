"""Anyone's set of images: a folder of PNG, NPY or volume files, of DICOM series, or a store.

Images come out as float32 in [0, 1]. Nothing is skipped silently: a file that cannot be read is an
error, files that are left out are counted, values that a window cuts off are said.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.text import counted
from harness.commands.score.dicom_series import read_series
from harness.commands.score.folder_files import Found, list_images, plain
from harness.commands.score.image_files import Stack, read_file, stem_of
from harness.data.pairs.store import Store

SMALLEST_PX = 32
LOW_CONTRAST = 0.1
"""A set that spans less than this share of [0, 1] was probably given the wrong window or depth."""
CLIPPED = 0.01
MOST_CLIPPED = 0.95
ROUNDING = 1e-6
"""By which float32 leaves [0, 1] where nothing else does."""
MOST_LABELS, LOOKED_AT = 32, 10**5
"""Different values of a label map; pixels of a file that are looked at for it."""
Window = tuple[float, float]


@dataclass(frozen=True)
class ImageSet:
    """One set of images.

    Attributes:
        folder: where it was read, as given.
        kind: "PNG", "NPY", "volume", "DICOM CT", "DICOM MR" or "store".
        images: float32 n x H x W in [0, 1].
        files: n, relative path of each image's file ("ct.npy" for a store; of a DICOM series, its
            folder).
        places: n, number of the image in its file; -1 for the one image of a file.
        patients: n, whose image it is; None where nothing says so.
        notes: what a reader of the scores should know.
        spacings: different spacings of slices, rows and columns, mm; () where images have no
            geometry and are as stored.
        corners: n x 3, where the first pixel of each image lies, LPS mm; None likewise.
        unplaced: every volume has the geometry of programs which know none.
    """

    folder: Path
    kind: str
    images: NDArray[np.float32]
    files: tuple[str, ...]
    places: tuple[int, ...]
    patients: tuple[str, ...] | None
    notes: tuple[str, ...]
    spacings: tuple[tuple[float, ...], ...] = ()
    corners: NDArray[np.float64] | None = None
    unplaced: bool = False

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
            corners=None if self.corners is None else self.corners[rows],
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
    people: dict[str, str] | None = None,
) -> ImageSet:
    """The set of images in `folder` and below.

    Args:
        folder: files of one kind, or a store.
        side: what messages call the set, e.g. "real".
        window: lowest and highest value, in the files' units, which become 0 and 1; not of PNG.
        roles: of a store of real pairs, whose patients are read.
        people: what patients of DICOM files are called, by their digest; filled on the way. Sets
            that share it call a patient alike.

    Raises:
        DataError: the folder or a file breaks a rule.
    """
    if not os.path.isdir(folder):
        raise DataError(
            f"the {side} images must be in an existing folder, but got '{folder}'"
            f"{', a file; unpack an archive' if os.path.isfile(folder) else ''}; check the path"
        )
    if all(os.path.isfile(folder / name) for name in ("ct.npy", "index.csv", "meta.json")):
        found = _from_store(folder, side, roles)
    else:
        found = _from_files(folder, side, window, {} if people is None else people)
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


def _from_files(folder: Path, side: str, window: Window | None, people: dict[str, str]) -> ImageSet:
    listed, notes = list_images(folder, side)
    kind, owners = listed[0].kind, None
    if kind == "DICOM":
        volumes, kind, more = read_series(listed, folder, side)
        notes += more
        parts = _alike(((volume.name, volume.stack) for volume in volumes), folder)
        told = [people.setdefault(v.patient, f"patient {len(people) + 1}") for v in volumes]
        owners = [who for who, (_, stack) in zip(told, parts, strict=True) for _ in stack.images]
    else:
        parts = _alike(_read_all(listed, kind), folder)
    files = [name for name, stack in parts for _ in stack.images]
    places = [n if stack.several else -1 for _, stack in parts for n in range(len(stack.images))]
    # Slices of a volume belong together, whoever's it is; single slices say nothing.
    if kind == "volume" and len(parts) < len(files):
        owners = [f"{folder}/{file}" for file in files]
        notes.append(f"{side}: the slices of one volume count as one patient's")
    notes += _oddities(parts, kind, side)
    images = np.concatenate([stack.images for _, stack in parts])
    corners = [stack.corners for _, stack in parts if stack.corners is not None]
    if kind != "PNG":
        images, more = _windowed(images, kind, folder, side, window)
        notes += more
    elif window is not None:
        notes.append(f"{side}: PNG files are mapped to [0, 1] by their bit depth, not --window")
    return ImageSet(
        folder,
        kind,
        images,
        tuple(files),
        tuple(places),
        None if owners is None else tuple(owners),
        tuple(notes),
        tuple(sorted({stack.spacing for _, stack in parts if stack.spacing})),
        np.concatenate(corners) if corners else None,
        all(stack.unplaced for _, stack in parts),
    )


def _read_all(listed: Sequence[Found], kind: str) -> Iterator[tuple[str, Stack]]:
    for file in listed:
        yield file.name, read_file(file.path, plain(str(file.path)), kind)


def _alike(parts: Iterable[tuple[str, Stack]], folder: Path) -> list[tuple[str, Stack]]:
    """The parts, checked as they are read: of one size, all with geometry or all without."""
    read: list[tuple[str, Stack]] = []
    for name, stack in parts:
        first_name, first = read[0] if read else (name, stack)
        if (first.spacing is None) != (stack.spacing is None):
            without, placed = (first_name, name) if first.spacing is None else (name, first_name)
            raise DataError(
                "all volumes of a set must say how they lie, or none, but got no geometry in "
                f"'{folder / without}' and one in '{folder / placed}'; keep them apart"
            )
        if stack.images.shape[1:] != first.images.shape[1:]:
            one, other = (" x ".join(map(str, s.images.shape[1:])) for s in (first, stack))
            raise DataError(
                f"all images of a set must have one size, but got {one} in '{folder / first_name}' "
                f"and {other} in '{folder / name}'; crop or resample them"
            )
        read.append((name, stack))
    return read


def _oddities(parts: Sequence[tuple[str, Stack]], kind: str, side: str) -> Iterator[str]:
    """What may be wrong with a set that can be read."""
    if kind == "volume" and parts[0][1].spacing is None:
        yield f"{side}: volumes without geometry are read as stored, slices along the last axis"
    masks = [name for name, stack in parts if is_labels(stack.images)]
    if 0 < len(masks) < len(parts):
        yield (
            f"{side}: {len(masks)} of {len(parts)} files hold no more than {MOST_LABELS} different "
            f"values (e.g. '{masks[0]}'): are they masks or label maps?"
        )


def is_labels(images: NDArray[np.float32]) -> bool:
    """Whether few values are all there are; blank images are none."""
    some = images.ravel()[:: max(1, images.size // LOOKED_AT)]
    return 1 < len(np.unique(some)) <= MOST_LABELS


def _windowed(
    images: NDArray[np.float32], kind: str, folder: Path, side: str, window: Window | None
) -> tuple[NDArray[np.float32], list[str]]:
    """Values in [0, 1], and what the window cut off."""
    low, high = float(images.min()), float(images.max())
    if window is None:
        if low < -ROUNDING or high > 1 + ROUNDING:
            raise DataError(
                f"{kind} files must hold values in [0, 1] or have a window, but got {low:g} to "
                f"{high:g} in '{folder}'; type --window LOW HIGH in the files' units, e.g. "
                f"--window {low:g} {high:g} for all of it"
            )
        return np.clip(images, 0, 1), []
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
