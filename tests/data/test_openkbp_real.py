"""The OpenKBP reader on the patients of its repository."""

from __future__ import annotations

import csv
import os
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.config.data import PatientLimits, RolesConfig
from harness.data.pairs.framing import Framing, mask_frames, paste
from harness.data.pairs.placement import Placement
from harness.data.roles import assign_roles
from harness.data.scan import Reference, Scan
from harness.data.sources.openkbp import OpenKbp

FOLDER = Path(os.environ.get("HARNESS_TEST_DATA", "")) / "open-kbp"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(
        "HARNESS_TEST_DATA" not in os.environ or not FOLDER.is_dir(),
        reason="needs open-kbp/ in the folder that HARNESS_TEST_DATA names",
    ),
]
SIDES = ("parotid_left", "parotid_right")
ONE_SIDED = {"pt_15", "pt_190", "pt_321"}


@dataclass(frozen=True)
class Structure:
    """Centre in voxels, volume, mean, and Dice after a frame of 1 mm and back."""

    centre: NDArray[np.float64]
    millilitres: float
    mean_hu: float
    dice_of_frames: float


@dataclass(frozen=True)
class Facts:
    """What is kept of a scan, so that a hundred fit in memory."""

    role: str | None
    notes: tuple[str, ...]
    digest: str
    spacing_mm: tuple[float, float, float]
    least: int
    greatest: int
    soft_tissue_peak: int
    structures: dict[str, Structure]


def read(source: OpenKbp, reference: Reference) -> Scan:
    scan = source.read(reference)
    assert isinstance(scan, Scan), scan
    return scan


def references(source: OpenKbp) -> dict[str, Reference]:
    return {reference.patient: reference for reference in source.patients()}


@cache
def patients() -> dict[str, Facts]:
    source = OpenKbp(FOLDER, SIDES)
    return {
        patient: facts(read(source, reference)) for patient, reference in references(source).items()
    }


def facts(scan: Scan) -> Facts:
    assert scan.hu.dtype == np.int16
    assert scan.hu.shape == (128, 128, 128)
    counts = np.bincount(scan.hu[(scan.hu > -20) & (scan.hu < 100)] + 20)
    peak = int(np.convolve(counts, np.ones(9), "same").argmax()) - 20
    structures = {name: structure(scan, name) for name in scan.masks}
    return Facts(
        scan.role,
        scan.notes,
        scan.content_digest(),
        scan.spacing_mm,
        int(scan.hu.min()),
        int(scan.hu.max()),
        peak,
        structures,
    )


def structure(scan: Scan, name: str) -> Structure:
    mask = scan.masks[name]
    centre = np.argwhere(mask).mean(0)
    framing, mirrored = Framing(128, 1.0, (-324.0, 176.0)), name.endswith("left")
    place = Placement((centre[1], centre[2]), (0, len(mask) - 1))
    slices = mask.any((1, 2))
    made = mask_frames(mask[slices], scan.affine, place, framing, mirrored).astype(np.float32)
    back = paste(made, mask[slices].shape, scan.affine, place, framing, mirrored) > 0.5
    dice = 2 * (back & mask[slices]).sum() / (back.sum() + mask.sum())
    millilitres = float(mask.sum() * np.prod(scan.spacing_mm) / 1000)
    return Structure(centre, millilitres, float(scan.hu[mask].mean()), float(dice))


def every_structure(attribute: str) -> list[Any]:
    return [
        getattr(found, attribute)
        for one in patients().values()
        for found in one.structures.values()
    ]


def test_a_hundred_patients_in_three_roles() -> None:
    assert len(patients()) == 100
    roles = Counter(one.role for one in patients().values())
    assert roles == {"train": 60, "validation": 10, "test": 30}


def test_patients_with_one_side_are_kept_with_it() -> None:
    for patient, one in patients().items():
        assert len(one.structures) == (1 if patient in ONE_SIDED else 2), patient
        lacking = [note for note in one.notes if note.endswith("is not contoured")]
        assert len(lacking) == (patient in ONE_SIDED)
    # The contours of one patient reach beyond its CT.
    beyond = {p: one.notes for p, one in patients().items() if "no value" in "".join(one.notes)}
    assert beyond == {"pt_221": ("11 % of parotid_right lies where the CT has no value",)}


def test_roles_by_content_and_by_source() -> None:
    digests = {one.digest: one.role for one in patients().values()}
    assert len(digests) == 100
    assert assign_roles(digests, RolesConfig(by="source"), PatientLimits()) == digests
    drawn = Counter(assign_roles(digests, RolesConfig(), PatientLimits()).values())
    assert drawn == {"train": 55, "validation": 15, "test": 30}


def test_the_left_gland_lies_at_higher_columns_on_the_level_of_the_right() -> None:
    for one in patients().values():
        if len(one.structures) == 2:
            left, right = (one.structures[name].centre for name in SIDES)
            assert left[2] > right[2] + 10
            assert (np.abs(left - right)[:2] * one.spacing_mm[:2] < 25).all()


def test_mandible_before_the_cord_and_brainstem_above_it() -> None:
    source = OpenKbp(FOLDER, ("mandible", "spinal_cord", "brainstem"))
    before, above = [], []
    for reference in source.patients()[::9]:
        masks = read(source, reference).masks
        centre = {name: np.argwhere(mask).mean(0) for name, mask in masks.items()}
        if {"mandible", "spinal_cord"} <= set(centre):
            before.append(centre["mandible"][1] < centre["spinal_cord"][1])
        if {"brainstem", "spinal_cord"} <= set(centre):
            above.append(centre["brainstem"][0] > centre["spinal_cord"][0])
    assert all(before + above)
    assert len(before) > 5
    assert len(above) > 5


def test_hounsfield_units() -> None:
    """Soft tissue peaks near 20 HU; outside is -1024; 12 bits but for metal in three patients."""
    assert {one.least for one in patients().values()} == {-1024}
    beyond = {patient for patient, one in patients().items() if one.greatest > 4095 - 1024}
    assert beyond == {"pt_36", "pt_261", "pt_269"}
    peaks = [one.soft_tissue_peak for one in patients().values()]
    assert 15 <= np.median(peaks) <= 25
    assert all(-20 < peak < 60 for peak in peaks)


def test_glands() -> None:
    volumes = every_structure("millilitres")
    assert len(volumes) == 197
    # The two least are pt_322's, of 7 and 8 slices.
    assert (min(volumes), max(volumes)) == pytest.approx((5.2, 55.2), abs=0.1)
    assert sum(volume < 12 for volume in volumes) == 6
    assert np.percentile(volumes, [5, 50, 95]) == pytest.approx([14.3, 24.1, 41.0], abs=0.1)
    assert np.median(every_structure("mean_hu")) == pytest.approx(-25, abs=5)


def test_spacing_is_that_of_the_file() -> None:
    for patient, one in patients().items():
        [path] = FOLDER.glob(f"provided-data/*/{patient}/voxel_dimensions.csv")
        rows_mm, columns_mm, slices_mm = map(float, path.read_text().split())
        assert one.spacing_mm == pytest.approx((slices_mm, rows_mm, columns_mm))
        assert 3.7 < rows_mm < 5.5
        assert 1.5 <= slices_mm <= 3.3


@pytest.mark.parametrize("role", ["train", "validation", "test"])
def test_values_against_a_plain_reader(role: str) -> None:
    """One patient, voxel by voxel with the csv module."""
    source = OpenKbp(FOLDER, SIDES)
    reference = next(one for one in source.patients() if one.role == role)
    scan = read(source, reference)
    [folder] = FOLDER.glob(f"provided-data/*/{reference.patient}")
    with open(folder / "ct.csv", newline="") as file:
        lines = list(csv.reader(file))[1:]
    assert (scan.hu != -1024).sum() == sum(float(value) != 0 for _, value in lines)
    for index, value in lines[::503]:
        front, side, head = np.unravel_index(int(index), (128, 128, 128))
        assert scan.hu[127 - head, front, side] == round(float(value)) - 1024
    for name, structure in zip(("LeftParotid", "RightParotid"), SIDES, strict=True):
        with open(folder / f"{name}.csv", newline="") as file:
            indices = [int(line[0]) for line in list(csv.reader(file))[1:]]
        front, side, head = np.unravel_index(indices, (128, 128, 128))
        expected = np.zeros((128, 128, 128), bool)
        expected[127 - head, front, side] = True
        assert np.array_equal(scan.masks[structure], expected)


def test_a_gland_comes_back_from_its_frames() -> None:
    """Frames of 1 mm on voxels of 4: what a perfect network's mask would be scored."""
    assert min(every_structure("dice_of_frames")) > 0.97
