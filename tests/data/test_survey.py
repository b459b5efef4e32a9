"""What a folder holds: every series, set and region, with what is wrong in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from factories.dicom import (
    contour_item,
    placed,
    rectangle,
    save,
    save_series,
    series_datasets,
    structure_dataset,
    uid,
)
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage, RTDoseStorage

from harness.data.dicom.survey import Survey, survey
from harness.data.dicom.usual_names import USUAL_NAMES
from harness.data.dicom.walk import walk

SHAPE = (6, 40, 50)
AFFINE = placed(SHAPE, spacing=(3.0, 1.0, 2.0))
BOX = [rectangle(AFFINE, level, (9.5, 19.5), (4.5, 9.5)) for level in (1, 2, 3)]
"""10 rows x 5 columns on three slices: 150 voxels of 6 mm3."""


def look(root: Path, **options: object) -> Survey:
    return survey(walk(root, None), tuple(USUAL_NAMES), {}, **options)  # type: ignore[arg-type]


def write(root: Path, sets: Dataset) -> None:
    save_series(series_datasets(np.zeros(SHAPE, int), AFFINE), root / "ct")
    save(sets, root / "rs.dcm")


def test_every_region_with_its_volume(tmp_path: Path) -> None:
    observed = Dataset()
    observed.ReferencedROINumber, observed.RTROIInterpretedType = 1, "ORGAN"
    sets = structure_dataset(
        {
            "Glnd_Submand_L": BOX,
            "Iso": [contour_item([1, 2, 3], "POINT")],
            "Empty": [],
            "PTV": [*BOX[:1], *BOX[:1], *BOX[2:]],
        }
    )
    sets.RTROIObservationsSequence = [observed]
    write(tmp_path, sets)
    masks: dict[str, int] = {}
    found = look(
        tmp_path, keep=lambda number, on, roi, mask: masks.update({roi.name: int(mask.sum())})
    )
    [series], [drawn] = found.series, found.sets
    assert (series.modality, len(series.files), series.warnings) == ("CT", 6, ())
    assert drawn.series is series
    structure, point, empty, target = drawn.rois
    assert (structure.interpreted, structure.contours, structure.structure) == (
        "ORGAN",
        3,
        "submandibular_left",
    )
    assert (structure.voxels, structure.volume_ml) == (150, pytest.approx(0.9))
    assert (point.voxels, point.warnings) == (0, ("1 POINT contour left out",))
    assert (empty.contours, empty.warnings) == (0, ("it has no contours",))
    assert target.voxels == 100
    assert target.warnings == (
        "1 repeated contour dropped",
        "1 slice between its contours without any",
    )
    assert masks == {"Glnd_Submand_L": 150, "PTV": 100}


def test_two_regions_of_one_structure_are_said_of_both(tmp_path: Path) -> None:
    write(tmp_path, structure_dataset({"Cord": BOX, "SpinalCord": BOX, "spinal_cord": []}))
    [drawn] = look(tmp_path).sets
    both = "one ROI must match spinal_cord, but 'Cord', 'SpinalCord' do; narrow data.patterns"
    assert [roi.warnings for roi in drawn.rois] == [(both,), (both,), ("it has no contours",)]
    assert {roi.structure for roi in drawn.rois} == {"spinal_cord"}


def test_magnetic_resonance_is_drawn_on_too(tmp_path: Path) -> None:
    datasets = series_datasets(np.zeros(SHAPE, int), AFFINE)
    for dataset in datasets:
        dataset.SOPClassUID, dataset.Modality = MRImageStorage, "MR"
    save_series(datasets, tmp_path)
    save(structure_dataset({"Parotid_L": BOX}, series=uid(1, 1, 1)), tmp_path / "rs.dcm")
    found = look(tmp_path)
    assert [entry.modality for entry in found.series] == ["MR"]
    assert found.sets[0].rois[0].voxels == 150


def test_what_cannot_be_drawn_is_listed_with_its_reason(tmp_path: Path) -> None:
    datasets = series_datasets(np.zeros(SHAPE, int), AFFINE)
    datasets[0].ImagePositionPatient = [0, 0, 0]
    save_series(datasets, tmp_path)
    save(structure_dataset({"Cord": BOX}), tmp_path / "rs.dcm")
    dose = structure_dataset({})
    dose.SOPClassUID = RTDoseStorage
    save(dose, tmp_path / "dose.dcm")
    found = look(tmp_path)
    [series], [drawn], [ignored] = found.series, found.sets, found.ignored
    assert series.series is None
    assert series.warnings[0].startswith("no block of slices may be missing")
    assert drawn.warnings == ("no usable series of its patient is here: nothing to draw on",)
    assert (drawn.rois[0].voxels, drawn.rois[0].contours) == (None, 3)
    assert ignored.reason == "it is neither CT nor MR nor a structure set, but RT Dose Storage"


def test_another_patients_series_is_none_of_its_own(tmp_path: Path) -> None:
    """Though its contours would fall on the slices."""
    sets = structure_dataset({"Cord": BOX}, series=uid(1, 1, 1))
    sets.PatientID = "2"
    write(tmp_path, sets)
    [drawn] = look(tmp_path).sets
    assert drawn.series is None
    assert drawn.patient != look(tmp_path).series[0].patient


def test_a_tilted_gantry_is_said(tmp_path: Path) -> None:
    tilted = placed(SHAPE, (3.0, 1.0, 2.0), shear=(0.0, 3.0 * np.tan(np.radians(12)), 0.0))
    save_series(series_datasets(np.zeros(SHAPE, int), tilted), tmp_path)
    [series] = look(tmp_path).series
    assert series.warnings == (
        "the gantry was tilted by 12.0 degrees; masks are drawn on the tilted slices",
    )


def test_contours_of_no_region_are_counted(tmp_path: Path) -> None:
    sets = structure_dataset({"Cord": BOX})
    stray = Dataset()
    stray.ReferencedROINumber = 77
    stray.ContourSequence = [contour_item(points) for points in BOX[:2]]
    sets.ROIContourSequence.append(stray)
    write(tmp_path, sets)
    [drawn] = look(tmp_path).sets
    assert drawn.warnings == ("2 contours of no ROI left out",)
