"""One image file to an array: grey PNG, NPY (an image or a stack), a volume of any format.

What cannot be read is an error that names the file. Values are as stored, PNG by its depth in
[0, 1]; what they mean is up to `image_set`. Volumes lie alike, whatever order their files have:
slices run to the head, rows to the back, columns to the patient's left.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.denied import why
from harness.base.errors import DataError
from harness.data.dicom.geometry import canonical_axes, reorient, reorient_affine
from harness.data.volume_files import READABLE, SEGMENTATIONS, read_stored, suffix_of

VOLUMES = tuple(end for end in READABLE if end not in SEGMENTATIONS)
READ = f"PNG, NPY, volumes ({', '.join(VOLUMES)}) or DICOM series"
_FLAT = {".png": "PNG", ".npy": "NPY"}
DIGITS = 3
"""Of spacings: files round them differently."""
Images = NDArray[np.float32]


@dataclass(frozen=True)
class Stack:
    """The images of one file or series.

    Attributes:
        images: float32 n x H x W.
        several: whether it may hold several; False where it is one image.
        spacing: of slices, rows and columns, mm; None where no geometry is known, and slices are
            as stored.
        corners: n x 3, where the first voxel of each image lies, LPS mm; None likewise.
        unplaced: the geometry is that of programs which know none: 1 mm apart, along the axes.
    """

    images: Images
    several: bool
    spacing: tuple[float, ...] | None = None
    corners: NDArray[np.float64] | None = None
    unplaced: bool = False


def kind_of(name: str) -> str | None:
    """`PNG`, `NPY` or `volume` by the file's suffix; None for any other file and hidden ones."""
    if name.startswith("."):
        return None
    if suffix_of(name) in VOLUMES:
        return "volume"
    return _FLAT.get(os.path.splitext(name)[1].lower())


def stem_of(name: str) -> str:
    """A relative path without the suffix of an image (`.nii.gz` is one)."""
    ending = os.path.splitext(name)[1]
    return name[: len(name) - (len(suffix_of(name)) or len(ending) * (ending.lower() in _FLAT))]


def read_file(path: Path, name: str, kind: str) -> Stack:
    """The images of one file.

    Args:
        path: the file.
        name: what messages call it.
        kind: "PNG", "NPY" or "volume".

    Raises:
        DataError: it cannot be read, is no image, or has pixels that are not finite.
    """
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise _unreadable(kind, name, why(error, named=False)) from error
    if empty:
        raise _unreadable(kind, name, "it is empty")
    found = _READERS[kind](path, name)
    check_pixels(found, name)
    return found


def check_pixels(found: Stack, name: str) -> None:
    """Refuse what has no pixels, or pixels that are no numbers."""
    if 0 in found.images.shape:
        shape = found.images.shape if found.several else found.images.shape[1:]
        raise DataError(
            f"an image file must hold an image, but got shape {shape} in '{name}'; remove it"
        )
    finite = np.isfinite(found.images).all(axis=(1, 2))
    if not finite.all():
        where = f"'{name}'" + (f", image {int(np.argmin(finite))}" if found.several else "")
        raise DataError(
            f"pixels must be finite numbers, but got NaN or infinity in {where}; "
            "repair or remove the file"
        )


def in_order(volume: NDArray[Any], affine: NDArray[np.float64]) -> Stack:
    """Slices of a volume from foot to head, whatever order of axes it is stored in.

    Args:
        volume: (slices, rows, columns).
        affine: 4 x 4, (slice, row, column, 1) -> LPS mm.

    Raises:
        DataError: an axis lies half-way between two of the body's.
    """
    axes, flips = canonical_axes(affine)
    with np.errstate(over="ignore"):  # too large for float32 is infinite, and refused as such
        images = reorient(volume, axes, flips).astype(np.float32)
    placed = reorient_affine(affine, volume.shape, axes, flips)
    order = [0, 1, 2]
    if images.shape.count(1) == 1:  # a single slice, maybe coronal or sagittal
        order.insert(0, order.pop(images.shape.index(1)))
    images = np.ascontiguousarray(images.transpose(order))
    placed = placed[:, [*order, 3]]
    spacing = tuple(float(f"{s:.{DIGITS}g}") for s in np.linalg.norm(placed[:3, :3], axis=0))
    corners = placed[:3, 3] + np.arange(len(images))[:, None] * placed[:3, 0]
    unplaced = np.array_equal(np.abs(affine[:, [2, 1, 0, 3]]), np.eye(4))
    return Stack(images, True, spacing, corners, unplaced)


def _unreadable(kind: str, name: str, reason: object) -> DataError:
    text = " ".join(str(reason).split()) or type(reason).__name__
    if not isinstance(reason, DataError):  # a library's, of any length
        text = text[:240]
    return DataError(
        f"every {kind} file must be readable, but got '{name}' ({text}); repair or remove it"
    )


def _read_png(path: Path, name: str) -> Stack:
    """H x W in [0, 1]: grey of up to 8 bits / 255, of 16 bits / 65535."""
    from PIL import Image

    try:
        # A name is no proof: other formats under a PNG's name may have lost grey levels.
        with Image.open(path, formats=["PNG"]) as picture:
            frames = getattr(picture, "n_frames", 1)
            picture.load()
            mode, depth = picture.mode, _bit_depth(path)
            plain = mode in _GREY and "transparency" not in picture.info
            pixels = np.asarray(picture if plain else picture.convert("RGBA"))
    except Exception as error:  # broken files raise anything
        reason = "cannot be read as PNG" if "cannot identify" in str(error) else error
        raise _unreadable("PNG", name, reason) from error
    if frames > 1:
        raise DataError(
            f"a PNG file must hold one image, but got {frames} frames in '{name}'; save each alone"
        )
    if plain:
        return _one((pixels / np.float32(_GREY[mode])).astype(np.float32))
    if depth > 8:
        # Pillow would hand out the upper 8 bits only.
        raise DataError(
            f"a PNG of 16 bits must be grey, but got colour or transparency in '{name}'; "
            "save it as grey"
        )
    return _one(_grey_of(pixels, name))


def _one(image: Images) -> Stack:
    return Stack(image[None], False)


_GREY = {"1": 1, "L": 255, "I;16": 65535, "I": 65535}
"""Pillow's grey modes and their white; older releases open 16 bits as I."""


def _bit_depth(path: Path) -> int:
    """From the header, which lies at a fixed place of every PNG."""
    with open(path, "rb") as file:
        return file.read(25)[24]


def _grey_of(pixels: NDArray[np.uint8], name: str) -> Images:
    colour, alpha = pixels[..., :3], pixels[..., 3]
    if (colour != colour[..., :1]).any():
        raise DataError(
            f"images must be grey, but got colour in '{name}' (its channels differ); "
            "save it as grey"
        )
    if (alpha != 255).any():
        raise DataError(
            f"images must be opaque, but got transparent pixels in '{name}'; save it without alpha"
        )
    return (colour[..., 0] / np.float32(255)).astype(np.float32)


def _read_npy(path: Path, name: str) -> Stack:
    try:
        array = np.load(path, allow_pickle=False)
    except Exception as error:  # broken files raise anything
        raise _unreadable("NPY", name, error) from error
    if not isinstance(array, np.ndarray):
        raise _unreadable("NPY", name, "it is an archive of several arrays")
    return _stored(array, name, "NPY", "n x H x W for a stack")


def _read_volume(path: Path, name: str) -> Stack:
    try:
        values, affine = read_stored(path)
        if affine is not None:
            return in_order(values, affine)
    except Exception as error:  # broken files raise anything
        raise _unreadable("volume", name, error) from error
    slices = values if values.ndim == 2 else np.moveaxis(values, -1, 0)
    return _stored(slices, name, "volume", "slices x H x W for a volume")


def _stored(array: NDArray[Any], name: str, kind: str, several: str) -> Stack:
    """Images in the order of their file."""
    if array.dtype.kind not in "biuf" or array.ndim not in (2, 3):
        raise DataError(
            f"a {kind} file must hold numbers H x W, or {several}, but got shape {array.shape} of "
            f"{array.dtype} in '{name}'; convert it"
        )
    with np.errstate(over="ignore"):  # too large for float32 is infinite, and refused as such
        images = np.ascontiguousarray(array, np.float32)
    return Stack(images, True) if images.ndim == 3 else _one(images)


_READERS: dict[str, Callable[[Path, str], Stack]] = {
    "PNG": _read_png,
    "NPY": _read_npy,
    "volume": _read_volume,
}
