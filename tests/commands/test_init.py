"""`harness init`: who is there, what is offered, window and crops, what is refused."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from factories.dicom import save_series, series_datasets
from factories.image import LAYOUTS, draw, save
from factories.openkbp import write_openkbp
from factories.patients import AFFINE, BOX_HU, GLANDS, SHAPE, TISSUE_HU, Box, write_patients

from harness.base.console import Console
from harness.base.errors import ConfigError, DataError
from harness.commands.init.command import write_starter
from harness.commands.init.proposal import measure, spacing, window
from harness.commands.inspect.command import inspect_folder
from harness.commands.session import Session
from harness.commands.steps import prepare
from harness.config.experiment import Experiment
from harness.config.load import load_experiment
from harness.data.scan import Scan

SMALL: Box = ((6, 9), (30, 33), (30, 33))
WHOLE: Box = ((2, 15), (10, 53), (6, 57))
LEFT, RIGHT = GLANDS.values()


def init(root: Path, **options: Any) -> tuple[dict[str, Any], Experiment]:
    output = root.parent / "mine.yaml"
    output.unlink(missing_ok=True)
    found = write_starter(root, output, "mine", **options)
    return found, load_experiment(output)


def refused(root: Path, kind: type[Exception] = DataError, **options: Any) -> str:
    output = root.parent / "refused.yaml"
    with pytest.raises(kind) as caught:
        write_starter(root, output, "mine", **options)
    assert not output.exists()
    return str(caught.value)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight patients with a cord, three of them with parotids, one of these under other names."""
    cord: Mapping[str, Box] = {"SpinalCord": SMALL}
    glands = {**cord, **GLANDS}
    other = {**cord, "Lt Parotid": LEFT, "Rt Parotid": RIGHT, "GTV 1, left": SMALL}
    return write_patients(
        tmp_path_factory.mktemp("clinic") / "ct", [cord] * 5 + [glands, glands, other]
    )


def test_it_offers_what_most_patients_have(clinic: Path) -> None:
    found, loaded = init(clinic)
    assert found["patients"] == 8
    assert list(found["names"].items())[:2] == [("SpinalCord", 8), ("Parotid_L", 2)]
    assert found["offers"] == {"spinal_cord": 8, "parotid_left + parotid_right": 3}
    assert loaded.data.structures == ("spinal_cord",)
    assert loaded.data.patterns == {}


def test_parotids_come_first_where_half_as_many_have_them(tmp_path: Path) -> None:
    cord: Mapping[str, Box] = {"SpinalCord": SMALL}
    both = [{**cord, **GLANDS}] * 3
    root = write_patients(tmp_path / "ct", [cord, cord, cord, *both])
    assert init(root)[1].data.structures == ("parotid_left", "parotid_right")


def test_what_too_few_patients_have_for_every_role_comes_last(tmp_path: Path) -> None:
    cord: Mapping[str, Box] = {"SpinalCord": SMALL}
    root = write_patients(tmp_path / "ct", [cord, {**cord, **GLANDS}, {**cord, **GLANDS}])
    assert init(root)[1].data.structures == ("spinal_cord",)


@pytest.mark.parametrize(
    ("asked", "structures"),
    [
        ("parotid_left,parotid_right", ("parotid_left", "parotid_right")),
        ("parotid", ("parotid_left", "parotid_right")),
        ("parotid_right", ("parotid_right",)),
        ("Parotid_L, Rt Parotid", ("parotid_left", "parotid_right")),
        ("spinalcord", ("spinal_cord",)),
    ],
)
def test_known_structures_go_by_their_usual_names(
    clinic: Path, asked: str, structures: tuple[str, ...]
) -> None:
    data = init(clinic, structures=asked)[1].data
    assert (data.structures, data.patterns) == (structures, {})


def test_a_region_of_another_name_gets_a_pattern_for_exactly_that(clinic: Path) -> None:
    data = init(clinic, structures="GTV 1, left")[1].data
    assert data.structures == ("gtv_1_left",)
    assert data.patterns == {"gtv_1_left": (r"^GTV 1, left$",)}


def test_sides_are_read_off_names_or_given(tmp_path: Path) -> None:
    names = {"Ohrspeicheldr. li": LEFT, "Ohrspeicheldr. re": RIGHT}
    root = write_patients(tmp_path / "ct", [names])
    data = init(root, structures="ohrspeicheldr. li,Ohrspeicheldr. re")[1].data
    assert data.structures == ("ohrspeicheldr_left", "ohrspeicheldr_right")
    data = init(root, structures="parotid_left=Ohrspeicheldr. li")[1].data
    assert data.patterns == {"parotid_left": (r"^Ohrspeicheldr\. li$",)}
    said = refused(root)
    assert said == (
        "a structure must be chosen where no name is a usual one (docs/own-data.md), but got "
        "'Ohrspeicheldr. li', 'Ohrspeicheldr. re'; name one with --structures"
    )


def test_what_nobody_has_is_refused_with_what_is_there(clinic: Path) -> None:
    assert refused(clinic, structures="parotid_left,submandibular_left") == (
        "--structures must name what patients have, but nobody has 'submandibular_left'; known "
        "are spinal_cord, parotid_left, parotid_right; names there are 'SpinalCord', 'Parotid_L', "
        "'Parotid_R', 'GTV 1, left', 'Lt Parotid', 'Rt Parotid'"
    )
    assert "nobody has 'sublingual'; known are" in refused(clinic, structures="sublingual")
    assert "nobody has 'SpinalCrd'; did you mean 'SpinalCord'?" in refused(
        clinic, structures="SpinalCrd"
    )


def test_more_than_an_experiment_holds_is_refused(clinic: Path) -> None:
    said = refused(clinic, ConfigError, structures="parotid_left,spinal_cord")
    assert "data.structures must be one structure, or the left and the right one of a pair" in said


def test_a_region_twice_in_a_patient_counts_for_nobody(tmp_path: Path) -> None:
    twice = {"Parotid_L": LEFT, "Lt Parotid": RIGHT, "SpinalCord": SMALL}
    found, loaded = init(write_patients(tmp_path / "ct", [twice]))
    assert found["offers"] == {"spinal_cord": 1}
    assert loaded.data.structures == ("spinal_cord",)


# --- window and crops -----------------------------------------------------------------------------


def test_the_window_is_that_of_the_structure_and_what_is_around(tmp_path: Path) -> None:
    hu, mask = np.full((4, 40, 40), -1000, np.int16), np.zeros((4, 40, 40), bool)
    hu[:, 4:36, 4:36] = 300
    mask[1:3, 10:20, 10:30] = True
    hu[mask] = np.resize(np.arange(101), mask.sum()) * 10  # percentiles 1 and 99 are 10 and 990
    affine = np.diag([3.0, 2.0, 1.5, 1.0])
    measured = measure(Scan("p-1", hu, {"spinal_cord": mask}, affine))
    assert measured.inside == pytest.approx((10, 990), abs=10)
    # 8 mm about are 4 rows and 6 columns: rows 6 to 23, columns 4 to 35, all tissue.
    box = hu[1:3, 6:24, 4:36]
    assert measured.around == pytest.approx(np.percentile(box, (1, 99)))
    assert measured.extent_mm == 20 * 1.5


@pytest.mark.parametrize(
    ("inside", "around", "expected"),
    [
        ((-100, 100), (-900, 900), (-200, 200)),  # half of 200 more on each side
        ((0, 1000), (-50, 1100), (-50, 1100)),  # nothing beyond is around
        ((-950, 50), (-1000, 300), (-1000, 300)),
        ((20, 20), (20, 20), (-180, 220)),  # at least 400 wide
        ((-995, -990), (-1000, -990), (-1000, -600)),  # nothing lies below air
        ((-101, 303), (-500, 600), (-310, 510)),  # -303 to 505, outwards to tens
        ((-100, 100), (-90, 50), (-200, 200)),
    ],
)
def test_windows(
    inside: tuple[float, float], around: tuple[float, float], expected: tuple[int, int]
) -> None:
    assert window(inside, around) == expected


def test_pixels_are_the_usual_ones_where_the_structure_fits() -> None:
    assert [spacing(mm) for mm in (10, 64, 64.1, 230)] == [1.0, 1.0, 1.1, 3.6]


def test_a_stray_contour_makes_nobodys_crop() -> None:
    mask = np.zeros((3, 100, 50), bool)
    mask[1, 20:40, 10:40] = mask[1, 90, 30] = mask[2, 20:40, 10:40] = True  # 1 of 1201 voxels
    scan = Scan("p-1", np.zeros(mask.shape, np.int16), {"liver": mask}, np.eye(4))
    assert measure(scan).extent_mm == 30


def test_a_large_structure_gets_coarser_pixels(tmp_path: Path) -> None:
    _, loaded = init(write_patients(tmp_path / "ct", [{"Liver": WHOLE}] * 2, hu=60))
    # 52 columns of 3 mm and twice 8 mm are 172 mm, 2.69 mm for each of 64 pixels.
    assert loaded.data.spacing_mm == 2.7
    assert (loaded.data.crop.frame_px, loaded.data.crop.mask_px) == (128, 64)
    assert loaded.data.window_hu == (-140, 260)
    text = (tmp_path / "mine.yaml").read_text()
    assert "# The longest edge of a structure in these patients is 156 mm (all but 0.1 % of" in text
    assert "# From the CT of 2 patients: the 1st to 99th percentile inside" in text


def test_five_patients_are_read_at_most(tmp_path: Path) -> None:
    root = write_patients(tmp_path / "ct", [{}] * 7)
    init(root)
    text = " ".join((tmp_path / "mine.yaml").read_text().split())
    assert "From the CT of 5 patients" in text
    assert "# 7 of 7 patients with CT and contours have these." in text


# --- what is there --------------------------------------------------------------------------------


def _cut(folder: Path) -> None:
    """Pixels of slices lost."""
    for path in folder.glob("im*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.PixelData = dataset.PixelData[:100]
        dataset.save_as(path)


def test_nobody_who_can_be_read_is_refused(tmp_path: Path) -> None:
    root = write_patients(tmp_path / "ct", [{}])
    _cut(root / "p01")
    said = refused(root)
    assert said.startswith("parotid_left + parotid_right must be readable in someone, but is not: ")
    assert "'p01/im0000.dcm'" in said
    assert said.endswith("; name another one with --structures, or mend these files")
    assert "file " not in said


def test_who_will_be_excluded_is_said(tmp_path: Path) -> None:
    root = write_patients(tmp_path / "ct", [{}] * 4)
    _cut(root / "p02")
    stream = io.StringIO()
    init(root, console=Console(stream=stream))
    said = [line for line in stream.getvalue().splitlines() if line.startswith("warning")]
    assert len(said) == 2
    assert said[1].endswith("a verdict needs 10, below that there is an estimate")
    assert said[0].startswith("warning: a patient will be excluded: 'p02': ")
    assert "pixels" in said[0]
    assert "file " not in said[0]


def test_contours_without_a_voxel_count_for_nobody_and_too_few_go_nowhere(tmp_path: Path) -> None:
    none: Box = ((6, 9), (30, 29), (30, 29))
    cord: Mapping[str, Box] = {"SpinalCord": SMALL}
    tiny = {**cord, "Lung_L": none, "heart": none}
    root = write_patients(tmp_path / "ct", [tiny, tiny, {**cord, "Lung_L": LEFT}])
    found, _ = init(root)
    assert found["offers"] == {"spinal_cord": 3, "lung_left": 1}
    assert found["enough"]
    _cut(root / "p02")
    assert not init(root)[0]["enough"], "of three one cannot be read"
    taken = [entry["structures"] for entry in inspect_folder(root)["used"]]
    assert taken == [{"spinal_cord": 1}, {"spinal_cord": 2}, {"lung_left": 3, "spinal_cord": 3}]


def test_volume_files_beside_dicom_are_counted(tmp_path: Path) -> None:
    root = write_patients(tmp_path / "ct", [{}])
    LAYOUTS["folders"](root / "nifti", 1, draw(1))
    stream = io.StringIO()
    assert init(root, console=Console(stream=stream))[0]["source"] == "dicom"
    said = stream.getvalue()
    assert "3 NIfTI, NRRD or MetaImage files there cannot be read in the same" in said
    assert "an experiment needs 3 patients or more, one for each role, but 1 can be used" in said


@pytest.mark.parametrize("layout", LAYOUTS)
def test_volume_files_of_every_layout(tmp_path: Path, layout: str) -> None:
    root = tmp_path / "scans"
    for number in (1, 2):
        LAYOUTS[layout](root, number, draw(number))
    found, loaded = init(root)
    assert (found["source"], found["patients"]) == ("images", 2)
    assert loaded.data.source == "images"
    assert loaded.data.structures == ("parotid_left", "parotid_right")


def test_values_of_a_label_map_are_named(tmp_path: Path) -> None:
    root = tmp_path / "scans"
    for number in (1, 2, 3):
        patient = draw(number)
        save(patient.ct, root / f"P{number}" / "ct.nii.gz")
        save(patient.label_map(), root / f"P{number}" / "labels.nii.gz")
    assert refused(root).endswith(
        "but got 'labels'; name one with --structures, those in a label map by their values: "
        "parotid_left=1,parotid_right=2"
    )
    found, loaded = init(root, structures="parotid_left=1,parotid_right=2")
    assert loaded.data.images.labels == {"parotid_left": 1, "parotid_right": 2}
    assert loaded.data.structures == tuple(found["structures"]) == ("parotid_left", "parotid_right")
    # The factory's boxes have 5 and 5 columns of 1.25 mm, 5 and 7 rows of 1.5 mm.
    assert "The longest edge of a structure in these patients is 10 mm" in " ".join(
        (tmp_path / "mine.yaml").read_text().split()
    )


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "empty"
    root.mkdir()
    assert refused(root) == (
        "harness init needs patients with CT and contours (DICOM series with structure sets, or "
        f"NIfTI, NRRD or MetaImage files with masks), but got no file in '{root}'; name the "
        "folder that holds them (docs/own-data.md has the layouts that are read)"
    )
    (root / "notes.txt").write_text("none")
    assert "but got 1 file without either (1: it is not a readable DICOM file)" in refused(root)


def test_openkbp_is_sent_to_the_experiments_that_read_it(tmp_path: Path) -> None:
    root = write_openkbp(tmp_path / "open kbp")
    sentence = refused(root)
    assert f"but got OpenKBP in '{root}'" in sentence
    assert sentence.endswith(f"smoke.yaml -s data.root='{root}'")


def test_patients_without_contours_are_counted_with_the_reason(tmp_path: Path) -> None:
    root = tmp_path / "ct"
    save_series(series_datasets(np.full(SHAPE, -1000), AFFINE), root / "bare")
    assert (
        "but got 1 patient who cannot be used (1: a patient must have CT slices and a structure "
        "set, but got no structure set)"
    ) in refused(root)
    write_patients(root, [{}])
    # P1 of the factory is another patient than the bare one's "1".
    found, _ = init(root)
    assert found["patients"] == 1
    assert found["unusable"] == [
        "a patient must have CT slices and a structure set, but got no structure set"
    ]


def test_images_without_masks_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "scans"
    LAYOUTS["folders"](root, 1, draw(1))
    for path in (root / "P1" / "masks").iterdir():
        path.unlink()
    assert "1: a patient must have masks beside the image, but got none" in refused(root)


def test_what_it_writes_can_be_prepared(tmp_path: Path) -> None:
    root = write_patients(tmp_path / "ct", [{}] * 6)
    _, loaded = init(root)
    assert loaded.data.root == str(root)
    with Session(loaded, tmp_path / "work", Console(quiet=True), engine="inline").open() as session:
        values = prepare(session)
    assert sum(values["patients"].values()) == 6
    assert all(share == 0 for share in values["lost"].values())


def test_constants_of_the_factory_are_what_the_window_is_made_of() -> None:
    assert window((BOX_HU, BOX_HU), (BOX_HU, TISSUE_HU)) == (-220, 180)
