"""Patients as NRRD and NIfTI files in the layouts of known collections.

Written with SimpleITK, or by hand where it cannot; nothing of `harness` writes or places a voxel.
The last functions read them back through the source.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from harness.config.data import DataConfig
from harness.data.scan import Excluded, Scan
from harness.data.sources.volumes.source import ImageFolder
from harness.work.prepare.sources import make_source

SHAPE = (9, 20, 26)
"""Slices, rows, columns."""
SIZE_MM = (3.0, 1.5, 1.25)
ORIGIN = (-15.5, -22.25, 140.0)
LEFT, RIGHT = (slice(2, 6), slice(7, 12), slice(17, 22)), (slice(3, 7), slice(6, 13), slice(4, 9))
Boxes = Mapping[str, tuple[slice, slice, slice]]
BOTH: Boxes = {"Parotid_L": LEFT, "Parotid_R": RIGHT}


@dataclass(frozen=True)
class Drawn:
    """A patient as SimpleITK images: CT and binary masks."""

    ct: sitk.Image
    masks: dict[str, sitk.Image]

    def label_map(self) -> sitk.Image:
        """Value 1 for the first mask, 2 for the second ..."""
        arrays = [sitk.GetArrayFromImage(mask) for mask in self.masks.values()]
        values = sum(((n + 1) * a for n, a in enumerate(arrays)), np.zeros_like(arrays[0]))
        return like(values, self.ct)


def voxels(seed: int = 0) -> NDArray[np.int16]:
    """Tissue in air, every voxel another value about it."""
    hu = np.full(SHAPE, -1000)
    hu[:, 3:-3, 3:-3] = np.random.default_rng(seed).integers(-80, 90, (9, 14, 20))
    return hu.astype(np.int16)


def like(values: NDArray[Any], image: sitk.Image) -> sitk.Image:
    made = sitk.GetImageFromArray(values)
    made.CopyInformation(image)
    return made


def draw(
    seed: int = 0,
    boxes: Boxes = BOTH,
    direction: NDArray[np.float64] | None = None,
    turn: Callable[[sitk.Image], sitk.Image] = lambda image: image,
    dtype: Any = np.int16,
) -> Drawn:
    """A patient.

    Args:
        direction: columns are the directions of growing column, row and slice index, LPS.
        turn: reorders stored axes; SimpleITK keeps voxels where they are.
    """
    ct = sitk.GetImageFromArray(voxels(seed).astype(dtype))
    ct.SetSpacing(SIZE_MM[::-1])
    ct.SetOrigin(ORIGIN)
    ct.SetDirection((np.eye(3) if direction is None else direction).ravel().tolist())
    masks = {}
    for name, box in boxes.items():
        values = np.zeros(SHAPE, np.uint8)
        values[box] = 1
        masks[name] = turn(like(values, ct))
    return Drawn(turn(ct), masks)


def save(image: sitk.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), useCompression=True)
    return path


def seg_nrrd(path: Path, layers: NDArray[np.uint8], image: sitk.Image, segments: list[Any]) -> Path:
    """A segmentation as 3D Slicer writes it when segments overlap, byte by byte.

    Args:
        layers: (layers, slices, rows, columns).
        segments: (name, layer, value) each.
    """
    count, *shape = layers.shape
    axes = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    vectors = " ".join(f"({','.join(repr(float(v)) for v in axes[:, n])})" for n in range(3))
    named = [
        f"Segment{n}_{key}:={value}"
        for n, entry in enumerate(segments)
        for key, value in zip(("Name", "Layer", "LabelValue"), entry, strict=True)
    ]
    lines = [
        "NRRD0004",
        "type: unsigned char",
        "dimension: 4",
        "space: left-posterior-superior",
        f"sizes: {count} {' '.join(map(str, shape[::-1]))}",
        f"space directions: none {vectors}",
        "kinds: list domain domain domain",
        "encoding: gzip",
        f"space origin: ({','.join(repr(float(v)) for v in image.GetOrigin())})",
        *named,
    ]
    packer = zlib.compressobj(wbits=31)
    fastest_last = layers.transpose(1, 2, 3, 0).astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        ("\n".join(lines) + "\n\n").encode() + packer.compress(fastest_last) + packer.flush()
    )
    return path


# --- layouts: each writes patient `number` below a root and returns the folder or file of the CT --


def pddca(root: Path, number: int, drawn: Drawn) -> Path:
    folder = root / f"0522c{number:04d}"
    for name, mask in drawn.masks.items():
        save(mask, folder / "structures" / f"{name}.nrrd")
    return save(drawn.ct, folder / "img.nrrd")


def han_seg(root: Path, number: int, drawn: Drawn) -> Path:
    """The first mask as an ordinary file, the others with a fourth axis and named segments."""
    case = f"case_{number:02d}"
    folder = root / "set_1" / case
    for n, (name, mask) in enumerate(drawn.masks.items()):
        path = folder / f"{case}_OAR_{name}.seg.nrrd"
        if n == 0:
            save(mask, path)
        else:
            seg_nrrd(path, sitk.GetArrayFromImage(mask)[None], mask, [(name, 0, 1)])
    save(drawn.ct, folder / f"{case}_IMG_MR_T1.nrrd")
    return save(drawn.ct, folder / f"{case}_IMG_CT.nrrd")


def deepmind(root: Path, number: int, drawn: Drawn, observer: str = "oncologist") -> Path:
    folder = root / "nrrds" / "test" / observer / f"0522c{number:04d}"
    for name, mask in drawn.masks.items():
        said = name.replace("_L", "-Lt").replace("_R", "-Rt")
        save(mask, folder / "segmentations" / f"{said}.nrrd")
    return save(drawn.ct, folder / "CT_IMAGE.nrrd")


def nnunet(root: Path, number: int, drawn: Drawn) -> Path:
    labels = {"background": 0} | {name: n for n, name in enumerate(drawn.masks, 1)}
    root.mkdir(parents=True, exist_ok=True)
    described = {"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(described))
    save(drawn.label_map(), root / "labelsTr" / f"head_{number:03d}.nii.gz")
    return save(drawn.ct, root / "imagesTr" / f"head_{number:03d}_0000.nii.gz")


def folders(root: Path, number: int, drawn: Drawn) -> Path:
    folder = root / f"P{number}"
    for name, mask in drawn.masks.items():
        save(mask, folder / "masks" / f"P{number}_{name}.nii")
    return save(drawn.ct, folder / "ct.nii.gz")


LAYOUTS: dict[str, Callable[[Path, int, Drawn], Path]] = {
    "pddca": pddca,
    "han-seg": han_seg,
    "deepmind": deepmind,
    "nnunet": nnunet,
    "folders": folders,
}


OBLIQUE = Rotation.from_euler("xyz", (14, -9, 25), degrees=True).as_matrix()


def source(root: Path, **data: Any) -> ImageFolder:
    config = DataConfig(source="images", root=str(root), **data)
    made = make_source(config, root.parent / "work")
    assert isinstance(made, ImageFolder)
    return made


def read_all(root: Path, **data: Any) -> list[Scan | Excluded]:
    there = source(root, **data)
    return [there.read(reference) for reference in there.patients()]


def only(root: Path, **data: Any) -> Scan:
    [scan] = read_all(root, **data)
    assert isinstance(scan, Scan), scan
    return scan


def reason(root: Path, **data: Any) -> str:
    [excluded] = read_all(root, **data)
    assert isinstance(excluded, Excluded), excluded
    return excluded.reason


def filled(box: tuple[slice, slice, slice]) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, np.bool_)
    mask[box] = True
    return mask
