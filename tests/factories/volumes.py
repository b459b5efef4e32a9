"""Volumes whose every voxel tells its place, and files written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

SHAPE = (5, 7, 9)
SUFFIXES = (".nrrd", ".nii.gz", ".nii")
READ = (*SUFFIXES, ".mha", ".mhd", ".nhdr", ".hdr")


def affine_of(turn: NDArray[np.float64], size: tuple[float, float, float]) -> NDArray[np.float64]:
    """(slice, row, column, 1) -> LPS mm; columns of `turn` are the directions of these axes."""
    affine = np.eye(4)
    affine[:3, :3] = turn * size
    affine[:3, 3] = (-120.5, 33.25, -1178.0)
    return affine


AXIAL = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float)
GEOMETRIES = {
    "axial": affine_of(AXIAL, (3.0, 1.5, 0.9765625)),
    "flipped": affine_of(AXIAL * [-1, 1, -1], (2.5, 0.98, 0.98)),
    "sagittal": affine_of(AXIAL[:, [2, 0, 1]], (1.0, 3.0, 1.5)),
    "oblique": affine_of(
        Rotation.from_euler("xyz", (12, -7, 21), degrees=True).as_matrix() @ AXIAL, (2.0, 1.1, 0.8)
    ),
}


def numbered(dtype: type = np.int16) -> NDArray:
    return (np.arange(np.prod(SHAPE)).reshape(SHAPE) - 150).astype(dtype)


def placed(values: NDArray, affine: NDArray[np.float64]) -> sitk.Image:
    image = sitk.GetImageFromArray(values)
    size = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(size[::-1].tolist())
    image.SetDirection((affine[:3, :3] / size)[:, ::-1].ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    return image


def by_hand(path: Path, *, sizes: str = "9 7 5", without: str = "", **fields: str) -> Path:
    """An NRRD of bytes 0, 1, 2 ... along its fastest axis first; fields replace these."""
    header = {
        "type": "uint8",
        "dimension": str(len(sizes.split())),
        "space": "left-posterior-superior",
        "sizes": sizes,
        "space directions": "(1,0,0) (0,2,0) (0,0,3)",
        "encoding": "raw",
        "space origin": "(10,20,30)",
        **{name.replace("_", " "): value for name, value in fields.items()},
    }
    header.pop(without, None)
    lines = ["NRRD0005", *(f"{name}: {value}" for name, value in header.items()), "", ""]
    count = int(np.prod([int(n) for n in sizes.split()]))
    path.write_bytes("\n".join(lines).encode() + bytes(n % 251 for n in range(count)))
    return path


def meta(path: Path, voxels: bytes, **fields: str) -> Path:
    """A MetaImage of `numbered`'s shape; fields replace these, "" leaves one out."""
    header = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "10 20 30",
        "ElementSpacing": "1 2 3",
        "DimSize": "9 7 5",
        "ElementType": "MET_SHORT",
        **fields,
    }
    data = header.pop("ElementDataFile", "LOCAL")  # comes last
    lines = [f"{name} = {value}" for name, value in header.items() if value]
    path.write_bytes("\n".join([*lines, f"ElementDataFile = {data}", ""]).encode() + voxels)
    return path


NO_GEOMETRY = (
    "a volume must give a position and three directions, but one does not; export it again"
)
FEWER = "a volume must have as many voxels as its header says, but one has fewer; export it again"
MORE = FEWER.replace("fewer", "more")
