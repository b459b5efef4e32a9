"""Inter-observer agreement: its table, the nearest spacing, the script that makes the table."""

from __future__ import annotations

import importlib.util
import os
import tomllib
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (its own documentation calls it so)

from harness.base.errors import DataError
from harness.base.files import read_json
from harness.report.observers import TABLE, ObserverAgreement, observer_agreement

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("HARNESS_TEST_DATA", "")) / "deepmind-parotids"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "observer_agreement", ROOT / "scripts/observers.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("spacing", "used"),
    [(0.5, 0.98), (0.98, 0.98), (1.2, 0.98), (1.3, 1.5), (3.9, 4.0), (4.25, 4.0), (9.0, 5.0)],
)
def test_the_nearest_spacing_is_used_and_named(spacing: float, used: float) -> None:
    assert observer_agreement(spacing).spacing_mm == used


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan"), float("inf")])
def test_a_spacing_is_a_positive_number(spacing: float) -> None:
    with pytest.raises(DataError, match="must be a positive number of millimetres, but got"):
        observer_agreement(spacing)


def test_the_shipped_table(script: ModuleType) -> None:
    table = read_json(TABLE)
    lines = [ObserverAgreement(**line) for line in table.pop("lines")]
    spacings = [line.spacing_mm for line in lines]
    assert spacings == sorted(spacings)
    assert (spacings[0], spacings[-1]) == (0.98, 5.0)
    for line in lines:
        assert line.patients == 30
        assert 0.7 < line.dice_min < line.dice_mean < 1
        assert line.hd95_min_mm < line.hd95_mean_mm < line.hd95_max_mm
    # A coarser grid alone hardly moves the line.
    assert np.ptp([line.dice_mean for line in lines]) < 0.005
    assert {name: text for name, text in table.items() if isinstance(text, str)} == (
        script.PROVENANCE
    )
    assert "CC BY 4.0" in table["licence"]
    assert (ROOT / table["made_by"]).is_file()


def test_the_table_is_part_of_the_package() -> None:
    with open(ROOT / "pyproject.toml", "rb") as file:
        data = tomllib.load(file)["tool"]["setuptools"]["package-data"]["harness"]
    assert any(TABLE.relative_to(ROOT / "harness").match(pattern) for pattern in data)


# --- the script --------------------------------------------------------------------------------


def write_pair(folder: Path, scan: str, shift: int) -> None:
    """Two observers' boxes of 6 slices of 24 x 24 pixels of 1 mm; one lies `shift` columns off."""
    for observer, offset in (("oncologist", 0), ("radiographer", shift)):
        where = folder / "nrrds" / "test" / observer / scan / "segmentations"
        where.mkdir(parents=True)
        for column, name in ((4, "Parotid-Lt"), (34, "Parotid-Rt")):
            mask = np.zeros((8, 40, 66), np.uint8)
            mask[1:7, 8:32, column + offset : column + offset + 24] = 1
            image = sitk.GetImageFromArray(mask)
            image.SetSpacing((1.0, 1.0, 2.5))
            sitk.WriteImage(image, str(where / f"{name}.nrrd"), True)


def test_the_script_measures_shifted_boxes(tmp_path: Path, script: ModuleType) -> None:
    write_pair(tmp_path, "a", 2)
    write_pair(tmp_path, "b", 4)
    made = script.make(tmp_path)
    assert (made["patients"], made["scans"]) == (2, 2)
    first = ObserverAgreement(**made["lines"][0])
    # As scanned: 22 and 20 of 24 columns in common.
    assert (first.spacing_mm, first.patients) == (0.98, 2)
    assert first.dice_mean == pytest.approx((22 / 24 + 20 / 24) / 2, abs=1e-4)
    assert first.dice_min == pytest.approx(20 / 24, abs=1e-4)
    assert first.dice_sd == pytest.approx(np.std([22 / 24, 20 / 24], ddof=1), abs=1e-4)
    assert (first.hd95_mean_mm, first.hd95_min_mm, first.hd95_max_mm) == (3.0, 2.0, 4.0)
    # Pixels of 2 mm: 11 and 10 of 12 columns; the same in mm.
    (second,) = (ObserverAgreement(**line) for line in made["lines"] if line["spacing_mm"] == 2.0)
    assert asdict(second) == {**asdict(first), "spacing_mm": 2.0}


def test_scans_of_one_patient_are_one_value(tmp_path: Path, script: ModuleType) -> None:
    write_pair(tmp_path, "0522c0727a", 2)
    write_pair(tmp_path, "0522c0727b", 4)
    write_pair(tmp_path, "other", 3)
    made = script.make(tmp_path)
    assert (made["patients"], made["scans"]) == (2, 3)
    assert made["lines"][0]["dice_sd"] == 0.0


def test_a_folder_without_masks_is_refused(tmp_path: Path, script: ModuleType) -> None:
    with pytest.raises(DataError, match="both parotids of two observers, but got 0"):
        script.make(tmp_path)


def test_sampling_takes_the_nearest_voxel(script: ModuleType) -> None:
    mask = np.zeros((1, 1, 10), bool)
    mask[0, 0, [0, 3, 6]] = True
    # Centres at 0, 2.5, 5 and 7.5 of voxels of 1 mm: voxels 0, 3 (2.5 rounds up), 5 and 8.
    found, grid = script.coarser(mask, (2.5, 1.0, 1.0), 2.5)
    assert grid == (2.5, 2.5, 2.5)
    assert found[0, 0].tolist() == [True, True, False, False]


@pytest.mark.realdata
@pytest.mark.skipif(
    "HARNESS_TEST_DATA" not in os.environ or not FOLDER.is_dir(),
    reason="needs deepmind-parotids/ in the folder that HARNESS_TEST_DATA names",
)
def test_the_shipped_table_is_what_the_script_makes(script: ModuleType) -> None:
    """The line of OpenKBP's pixels, from all scans."""
    steps = (4.0,)
    made = script.make(FOLDER, steps)
    assert made["lines"] == [asdict(observer_agreement(step)) for step in steps]
