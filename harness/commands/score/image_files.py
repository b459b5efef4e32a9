"""One image file to an array: grey PNG, NPY (an image or a stack), NIfTI (an image or a volume).

What cannot be read is an error that names the file. Values are as stored, PNG by its depth in
[0, 1]; what they mean is up to `data.images`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError

Stack = NDArray[np.float32]

_SUFFIXES = {".png": "PNG", ".npy": "NPY", ".nii": "NIfTI", ".nii.gz": "NIfTI"}


def kind_of(name: str) -> str | None:
    """`PNG`, `NPY` or `NIfTI` by the file's suffix; None for any other file and hidden ones."""
    found = (kind for suffix, kind in _SUFFIXES.items() if name.lower().endswith(suffix))
    return None if name.startswith(".") else next(found, None)


def stem_of(name: str) -> str:
    """A relative path without its suffix (`.nii.gz` is one)."""
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def read_file(path: Path, name: str) -> tuple[Stack, bool]:
    """The images of one file, n x H x W float32, and whether the file may hold several.

    Args:
        path: the file; its suffix says what it is.
        name: what messages call it.

    Raises:
        DataError: it cannot be read, is no image, or has pixels that are not finite.
    """
    images = _READERS[str(kind_of(path.name))](path, name)
    several = images.ndim == 3
    stack = images if several else images[None]
    if 0 in stack.shape:
        raise DataError(
            f"an image file must hold an image, but got shape {images.shape} in '{name}'; remove it"
        )
    finite = np.isfinite(stack).all(axis=(1, 2))
    if not finite.all():
        where = f"'{name}'" + (f", image {int(np.argmin(finite))}" if several else "")
        raise DataError(
            f"pixels must be finite numbers, but got NaN or infinity in {where}; "
            "repair or remove the file"
        )
    return stack, several


def _unreadable(kind: str, name: str, reason: object) -> DataError:
    text = " ".join(str(reason).split()) or type(reason).__name__
    return DataError(
        f"every {kind} file must be readable, but got '{name}' ({text[:120]}); repair or remove it"
    )


def _read_png(path: Path, name: str) -> Stack:
    """H x W in [0, 1]: grey of up to 8 bits / 255, of 16 bits / 65535."""
    from PIL import Image

    try:
        # A name is no proof: other formats under a PNG's name may have lost grey levels.
        with Image.open(path, formats=["PNG"]) as picture:
            picture.load()
            mode, depth = picture.mode, _bit_depth(path)
            pixels = np.asarray(picture if mode in _GREY else picture.convert("RGBA"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "cannot be read as PNG" if "cannot identify" in str(error) else error
        raise _unreadable("PNG", name, reason) from error
    if mode in _GREY:
        return (pixels / np.float32(_GREY[mode])).astype(np.float32)
    if depth > 8:
        # Pillow would hand out the upper 8 bits only.
        raise DataError(
            f"a PNG of 16 bits must be grey, but got colour or transparency in '{name}'; "
            "save it as grey"
        )
    return _grey_of(pixels, name)


_GREY = {"1": 1, "L": 255, "I;16": 65535, "I": 65535}
"""Pillow's grey modes and their white; older releases open 16 bits as I."""


def _bit_depth(path: Path) -> int:
    """From the header, which lies at a fixed place of every PNG."""
    with open(path, "rb") as file:
        return file.read(25)[24]


def _grey_of(pixels: NDArray[np.uint8], name: str) -> Stack:
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
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable("NPY", name, error) from error
    return _numbers(array, name, "NPY", "n x H x W for a stack")


def _read_nifti(path: Path, name: str) -> Stack:
    """Slices along the last axis come first; voxels scaled as the header says."""
    import zlib

    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        volume: Any = nibabel.load(path)
        array = np.asanyarray(volume.dataobj)
    except (OSError, ValueError, EOFError, zlib.error, ImageFileError) as error:
        raise _unreadable("NIfTI", name, error) from error
    array = _numbers(array, name, "NIfTI", "H x W x slices for a volume")
    return np.ascontiguousarray(np.moveaxis(array, -1, 0)) if array.ndim == 3 else array


def _numbers(array: NDArray[Any], name: str, kind: str, several: str) -> Stack:
    if array.dtype.kind not in "biuf" or array.ndim not in (2, 3):
        raise DataError(
            f"a {kind} file must hold numbers H x W, or {several}, but got shape {array.shape} of "
            f"{array.dtype} in '{name}'; convert it"
        )
    with np.errstate(over="ignore"):  # too large for float32 is infinite, and refused as such
        return array.astype(np.float32)


_READERS: dict[str, Callable[[Path, str], Stack]] = {
    "PNG": _read_png,
    "NPY": _read_npy,
    "NIfTI": _read_nifti,
}
