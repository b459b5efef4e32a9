"""Intact patients for the fuzzer to break: phantoms, and small real ones where they are at hand."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import gdcm
import numpy as np
import pydicom
from dicom_tree import Tree, tree_of
from factories.dicom import (
    compress,
    contour_item,
    placed,
    rectangle,
    save,
    series_datasets,
    structure_dataset,
    uid,
)
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RTStructureSetStorage,
)

PLANTED_NAME, PLANTED_ID, FOLDER = "Quixotlworth", "ZQ7731904", "Xanthippewards"
SHAPE = (6, 30, 40)
REAL = ("vhm-aria", "ge-mim-phantom", "breast-1of98", "odd-rs")
LARGEST = 3_000_000  # bytes of a real file that is mutated


@dataclass(frozen=True)
class Patient:
    """An intact patient.

    Attributes:
        folder: its files.
        slices, sets: those that may be broken.
        patterns: structures and the expressions of their names.
        secrets: what no message may say.
    """

    folder: Path
    slices: tuple[Path, ...]
    sets: tuple[Path, ...]
    patterns: dict[str, tuple[str, ...]]
    secrets: tuple[str, ...]


def patients(root: Path, real: Path | None) -> list[Patient]:
    """All intact patients, written below `root`; `real` is a folder of real ones or None."""
    base = root / FOLDER
    made = [_phantom(base / "whole", SHAPE), _phantom(base / "one slice", (1, *SHAPE[1:]))]
    made += [_compressed(base / name, syntax) for name, syntax in _COMPRESSED.items()]
    if real is not None:
        made += [_real(real / name, base / name) for name in REAL if (real / name).is_dir()]
    return made


def parsed(path: Path) -> tuple[Tree, str]:
    """A file's elements, new on every call, and the transfer syntax to write them with."""
    dataset = pydicom.dcmread(path, force=True)
    syntax = dataset.file_meta.get("TransferSyntaxUID") or ImplicitVRLittleEndian
    return tree_of(dataset), syntax if syntax.is_compressed else ExplicitVRLittleEndian


def _hidden(dataset: Dataset) -> Dataset:
    dataset.PatientName, dataset.PatientID = f"{PLANTED_NAME}^Ada", PLANTED_ID
    return dataset


def _phantom(folder: Path, shape: tuple[int, int, int]) -> Patient:
    """Structures with a hole, an island, repeats, a point and slices apart."""
    affine = placed(shape)
    hu = np.random.default_rng(3).integers(-1000, 2000, shape)
    hu[:, 4:20, 3:30] = np.arange(27) * 7
    slices = [
        save(_hidden(dataset), folder / f"{PLANTED_NAME}{index}.dcm")
        for index, dataset in enumerate(series_datasets(hu, affine))
    ]
    levels = range(1, shape[0] - 1) if shape[0] > 2 else range(shape[0])
    left = [rectangle(affine, level, (8.5, 20.5), (22.5, 36.5)) for level in levels]
    left += [rectangle(affine, level, (10.5, 15.5), (25.5, 30.5)) for level in levels]
    right = [rectangle(affine, level, (10.2, 20.7), (5.1, 12.6)) for level in levels] * 2
    rois = {
        "Parotid_L": left,
        "Parotid_R": right,
        "Iso": [contour_item([1.0, 2.0, 103.0], "POINT")],
        "Empty": [],
    }
    images = [uid(1, 1, 1, index + 1) for index in range(shape[0])]
    dataset = structure_dataset(rois, images=images, series=uid(1, 1, 1))
    for roi in dataset.ROIContourSequence:
        for number, contour in enumerate(roi.get("ContourSequence") or (), 1):
            contour.ContourNumber = number
    structures = save(_hidden(dataset), folder / f"RS.{PLANTED_NAME}.dcm")
    patterns = {"parotid_left": ("^Parotid_L$",), "parotid_right": ("^Parotid_R$",)}
    secrets = (PLANTED_NAME, PLANTED_ID, FOLDER)
    return Patient(folder, tuple(slices), (structures,), patterns, secrets)


_COMPRESSED = {
    "JPEG lossless": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    "JPEG-LS": gdcm.TransferSyntax.JPEGLSLossless,
    "JPEG 2000": gdcm.TransferSyntax.JPEG2000Lossless,
    "RLE": gdcm.TransferSyntax.RLELossless,
}


def _compressed(folder: Path, syntax: int) -> Patient:
    """A phantom of two slices, encoded by GDCM; its structure set stays intact."""
    made = _phantom(folder, (2, *SHAPE[1:]))
    for path in made.slices:
        compress(path, path, syntax)
    return Patient(folder, made.slices, (), made.patterns, made.secrets)


def _real(source: Path, folder: Path) -> Patient:
    """A copy; the first two contoured regions of each set are its structures."""
    shutil.copytree(source, folder)
    slices, sets, names, secrets = [], [], [], {FOLDER}
    for path in sorted(folder.iterdir()):
        dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        secrets |= {str(dataset.get(word) or "") for word in ("PatientName", "PatientID")}
        if path.stat().st_size > LARGEST:
            continue
        if dataset.SOPClassUID != RTStructureSetStorage:
            slices.append(path)
            continue
        sets.append(path)
        names += [roi.ROIName for roi in dataset.StructureSetROISequence][:2]
    patterns = {f"region_{place}": (f"^{_quoted(n)}$",) for place, n in enumerate(sorted({*names}))}
    kept = tuple(word for word in secrets if len(word) > 4)
    return Patient(folder, tuple(slices), tuple(sets), patterns, kept)


def _quoted(name: str) -> str:
    return "".join(c if c.isalnum() else "." for c in name.strip())
