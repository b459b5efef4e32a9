"""Volumes as files: NIfTI, NRRD and MetaImage, in the geometry of a scan.

A volume is (slices, rows, columns) with an affine to LPS mm everywhere in the program. Files have
the fastest axis first, and NIfTI counts millimetres in RAS.
"""

from __future__ import annotations

import gzip
import math
import re
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.data.bounds import check_voxels
from harness.data.metaimage_files import read_metaimage
from harness.data.nrrd_files import read_nrrd
from harness.data.voxel_files import NO_GEOMETRY, Read, Vector, beside, must_be, unreadable

SUFFIXES = {"nifti": ".nii.gz", "nrrd": ".nrrd"}
"""What is written; see `READABLE` for what is read."""
SEGMENTATIONS = (".seg.nrrd", ".seg.nhdr")
PAIRS = (".hdr", ".hdr.gz")
HEADERS = (*PAIRS, ".mhd", ".seg.nhdr", ".nhdr")
"""Of volumes whose voxels lie in a file beside."""
VOXELS = (".raw", ".zraw", ".raw.gz", ".img", ".img.gz")
"""What such headers name."""
READABLE = (".seg.nrrd", ".nrrd", ".nii.gz", ".nii", ".mha", *HEADERS)
STRAIGHT = 1e-6
"""Largest cosine between axes that NIfTI's quaternion, which knows no shear, may also describe."""
SAME_FORM = 0.1
"""Voxels that the corners of a volume may lie apart under its sform and its qform."""
Form = Literal["sform", "qform"]
_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def suffix_of(name: str) -> str:
    """The part of a file name that says it is a volume, capitals ignored; "" if it is none."""
    return next((end for end in READABLE if name.lower().endswith(end)), "")


def write_volume(path: Path, volume: NDArray[Any], affine: Vector) -> None:
    """Write a volume by the suffix of `path` (.nii, .nii.gz, .nrrd); makes the folder.

    Args:
        volume: (slices, rows, columns); bool becomes uint8.
        affine: 4 x 4, (slice, row, column, 1) -> LPS mm.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = volume.astype(np.uint8) if volume.dtype == np.bool_ else volume
    turned = affine[:, [2, 1, 0, 3]]
    if path.name.endswith(".nrrd"):
        import nrrd

        header = {
            "space": "left-posterior-superior",
            "space directions": turned[:3, :3].T,
            "space origin": turned[:3, 3],
            "kinds": ["domain", "domain", "domain"],
            "encoding": "gzip",
        }
        # The file's first axis is the fastest one: C order is written as it lies in memory.
        nrrd.write(str(path), stored, header, compression_level=1, index_order="C")
        return
    import nibabel

    image = nibabel.Nifti1Image(stored.transpose(2, 1, 0), _RAS @ turned)
    image.header.set_xyzt_units("mm")
    directions = turned[:3, :3] / np.linalg.norm(turned[:3, :3], axis=0)
    if np.abs(directions.T @ directions - np.eye(3)).max() < STRAIGHT:
        image.set_qform(_RAS @ turned, code=1)
    image.set_sform(_RAS @ turned, code=1)
    nibabel.save(image, str(path))


def read_volume(path: Path, form: Form | None = None) -> tuple[NDArray[Any], Vector]:
    """A volume and its affine, as `write_volume` takes them; scaled values where the file scales.

    Raises:
        DataError: as of `read_layers`, or several numbers for each voxel.
    """
    return _single(*read_layers(path, form))


def read_stored(path: Path) -> tuple[NDArray[Any], Vector | None]:
    """A volume as of `read_volume`; of a NIfTI of two axes, or that says nowhere how it lies, the
    array in the order of its file, (columns, rows[, slices[, frames]]), and None."""
    values, affine, axis = _read(path, None)
    if affine is None:
        return values, None
    return _single(*_placed(values, affine, axis))


def _single(layers: NDArray[Any], affine: Vector) -> tuple[NDArray[Any], Vector]:
    if len(layers) != 1:
        raise DataError(
            f"a volume must have one number a voxel, but one has {len(layers)}; "
            "export one frame in grey"
        )
    return layers[0], affine


def read_layers(path: Path, form: Form | None = None) -> tuple[NDArray[Any], Vector]:
    """All layers of a file, (layers, slices, rows, columns), and their affine.

    Args:
        form: which of NIfTI's two affines to take where a file has both; None: they must agree.

    Raises:
        DataError: no volume, no geometry, or cannot be read; the message names no path.
    """
    return _placed(*_read(path, form))


def _read(path: Path, form: Form | None) -> Read:
    name = path.name.lower()
    try:
        if name.endswith((".nrrd", ".nhdr")):
            return read_nrrd(path)
        if name.endswith((".mha", ".mhd")):
            return read_metaimage(path)
        return _nifti(path, form)
    except DataError:
        raise
    except Exception as error:
        rule = "a volume must be a readable NIfTI, NRRD or MetaImage file"
        raise unreadable(rule, error) from error


def _placed(
    values: NDArray[Any], affine: Vector | None, axis: int | None
) -> tuple[NDArray[Any], Vector]:
    layers = _layers_first(values, axis)
    if affine is None:
        raise DataError(NO_GEOMETRY)
    if 0 in layers.shape:
        raise DataError("a volume must have voxels, but one has none; export it again")
    if layers.dtype.kind not in "iufb":
        raise DataError(
            f"a volume must have one number a voxel, but one has {layers.dtype}; export it in grey"
        )
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise DataError(NO_GEOMETRY)
    return np.ascontiguousarray(layers.transpose(0, 3, 2, 1)), affine[:, [2, 1, 0, 3]]


def _layers_first(values: NDArray[Any], axis: int | None) -> NDArray[Any]:
    """(layers, columns, rows, slices) from an array with the `axis` of layers, or with none."""
    if values.ndim - (axis is not None) != 3:
        shape = " x ".join(map(str, values.shape))
        raise DataError(
            f"a volume must have three axes, but one has {shape or 'none'}; export it whole"
        )
    return values[None] if axis is None else np.moveaxis(values, axis, 0)


def _nifti(path: Path, form: Form | None) -> Read:
    """Voxels, (columns, rows, slices) or with layers behind, (column, row, slice, 1) -> LPS mm, and
    the axis of layers if there is one."""
    if path.name.lower().endswith(PAIRS):
        image = _pair(path)
        read = _nifti_voxels(image, form)
        voxels = image.dataobj
        with image.file_map["image"].get_prepare_fileobj("rb") as rest:
            rest.seek(voxels.offset + math.prod(voxels.shape) * voxels.dtype.itemsize)
            must_be(0, len(rest.read(1)))
        return read
    import nibabel

    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"  # whatever its name says
        file.seek(0)
        stream: Any = gzip.GzipFile(fileobj=file) if packed else file
        size = stream.read(4)
        stream.seek(0)
        second = 540 in (int.from_bytes(size, "little"), int.from_bytes(size, "big"))
        kind = nibabel.Nifti2Image if second else nibabel.Nifti1Image
        image = kind.from_file_map(kind.make_file_map({"image": stream}), mmap=False)
        read = _nifti_voxels(image, form)
        must_be(0, len(stream.read(1)))  # also looks at the checksum of a packed stream
    return read


def _pair(path: Path) -> Any:
    """A header and its voxels in two files."""
    import nibabel

    voxels = {"hdr": "img", "HDR": "IMG"}
    beside(path, re.sub(r"(hdr|HDR)(?=(\.\w+)?$)", lambda match: voxels[match[0]], path.name))
    path.open("rb").close()  # nibabel gives no reason where it cannot
    image = nibabel.load(str(path), mmap=False)
    if not isinstance(image, nibabel.Nifti1Pair):
        raise DataError(
            "a volume must give a position and three directions, but one is in the Analyze 7.5 "
            "format (.hdr, .img), which does not say which side is left; convert the "
            "original DICOM to NIfTI"
        )
    return image


def _nifti_voxels(image: Any, form: Form | None) -> Read:
    header, shape = image.header, image.shape
    affine = _nifti_affine(header, shape, form)
    unit = header.get_xyzt_units()[0]
    if unit not in ("mm", "unknown"):
        raise DataError(f"a volume must be measured in mm, but one is in {unit}; export it again")
    scaled = (image.dataobj.slope, image.dataobj.inter) != (1, 0)
    check_voxels(shape, 2 * max(header.get_data_dtype().itemsize, 8 * scaled))
    values = np.asarray(image.dataobj)
    while values.ndim > 4 and values.shape[-1] == 1:
        values = values[..., 0]
    return values, None if affine is None else _RAS @ affine, 3 if values.ndim == 4 else None


def _nifti_affine(header: Any, shape: tuple[int, ...], form: Form | None) -> Vector | None:
    """(column, row, slice, 1) -> RAS mm, by the `form` that is asked for, or by the one given; None
    where neither is, or there are no three axes.

    Raises:
        DataError: both differ and none is asked for.
    """
    codes = {"sform": int(header["sform_code"]), "qform": int(header["qform_code"])}
    given = [name for name, code in codes.items() if code > 0]
    if not given or len(shape) < 3:
        return None
    chosen = form if form in given else given[0]
    if form in given or len(given) == 1:
        return header.get_sform() if chosen == "sform" else header.get_qform()
    sform, qform = header.get_sform(), header.get_qform()
    corners = np.array([[*c, 1.0] for c in product(*((0, n - 1) for n in shape[:3]))])
    apart = np.linalg.norm(corners @ (sform - qform)[:3].T, axis=1).max()
    if not apart <= SAME_FORM * np.linalg.norm(qform[:3, :3], axis=0).min():  # nor where NaN
        raise DataError(
            "the sform and the qform of a NIfTI volume must agree, but they place its voxels up to "
            f"{apart:.3g} mm apart (sform code {codes['sform']}, qform code {codes['qform']}); "
            "correct the header (code 1 is the scanner's own), or let source `images` take the "
            "right one with data.images.nifti_form"
        )
    return sform
