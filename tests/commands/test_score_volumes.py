"""Volumes and DICOM series of `harness score`: one orientation, against nibabel and SimpleITK."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import nrrd
import numpy as np
import pydicom
import pytest
import SimpleITK
from factories.dicom import (
    placed,
    rectangle,
    save,
    save_series,
    series_datasets,
    structure_dataset,
    uid,
)
from factories.extractor import small_net, write_script
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage, RTDoseStorage

from harness.base.console import Console
from harness.base.errors import DataError
from harness.commands.score.command import score_sets
from harness.commands.score.image_set import read_images
from harness.commands.score.request import ScoreRequest, drawn_sets, read_sets
from harness.metrics.extractors.registry import ExtractorFiles

SHAPE = (34, 36, 38)
"""Voxels to the right, front and head."""
SPACING = (1.0, 1.5, 2.5)
WINDOW = (-1000.0, 1000.0)
ORDERS = ["RAS", "LPS", "LPI", "ASR", "SLP", "PIR"]


def anatomy(seed: int = 0) -> nibabel.Nifti1Image:
    """Someone's head, in RAS."""
    values = np.random.default_rng(seed).integers(-900, 900, SHAPE).astype(np.int16)
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = (-20, 30, -700)
    return nibabel.Nifti1Image(values, affine)


def turned(image: nibabel.Nifti1Image, order: str) -> nibabel.Nifti1Image:
    """The same head with axes that run to `order`."""
    start = nibabel.orientations.io_orientation(image.affine)
    end = nibabel.orientations.axcodes2ornt(order)
    return image.as_reoriented(nibabel.orientations.ornt_transform(start, end))


def keep(image: nibabel.Nifti1Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    return path


def seen(image: nibabel.Nifti1Image) -> NDArray[np.float64]:
    """Slices to the head, rows to the back, columns to the left, by nibabel; in the window."""
    ras = nibabel.as_closest_canonical(image).get_fdata()
    return (ras[::-1, ::-1].transpose(2, 1, 0) + 1000) / 2000


@pytest.mark.parametrize("order", ORDERS)
def test_nifti_volumes_lie_alike(tmp_path: Path, order: str) -> None:
    image = turned(anatomy(), order)
    assert nibabel.aff2axcodes(image.affine) == tuple(order)
    keep(image, tmp_path / "a.nii.gz")
    found = read_images(tmp_path, "real", WINDOW)
    np.testing.assert_allclose(found.images, seen(image), atol=1e-6)
    assert found.spacings == ((2.5, 1.5, 1.0),)
    assert found.kind == "volume"


def test_oblique_volumes_go_to_their_nearest_axes(tmp_path: Path) -> None:
    image = anatomy()
    angle = np.deg2rad(20)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    oblique = nibabel.Nifti1Image(image.get_fdata().astype(np.int16), turn @ image.affine)
    keep(turned(oblique, "LPS"), tmp_path / "a.nii")
    found = read_images(tmp_path, "real", WINDOW)
    np.testing.assert_allclose(found.images, seen(oblique), atol=1e-6)
    turn[:2, :2] = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    keep(nibabel.Nifti1Image(image.get_fdata(), turn), tmp_path / "a.nii")
    with pytest.raises(DataError, match=r"a\.nii' \(each axis of a volume must be nearest to one"):
        read_images(tmp_path, "real", WINDOW)


@pytest.mark.parametrize("order", ["LPS", "RAI", "SPR"])
def test_nrrd_volumes_lie_alike(tmp_path: Path, order: str) -> None:
    """SimpleITK's names are where axes come from, not where they go."""
    keep(anatomy(), tmp_path / "a.nii")
    image = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(tmp_path / "a.nii")), order)
    (tmp_path / "a.nii").unlink()
    SimpleITK.WriteImage(image, str(tmp_path / "b.nrrd"))
    # Columns to the left, rows to the back, slices to the head.
    truth = SimpleITK.GetArrayFromImage(SimpleITK.DICOMOrient(image, "LPS"))
    found = read_images(tmp_path, "real", WINDOW)
    np.testing.assert_allclose(found.images, (truth + 1000.0) / 2000, atol=1e-6)


def test_nifti_and_nrrd_are_one_kind(tmp_path: Path) -> None:
    keep(anatomy(0), tmp_path / "P1.nii.gz")
    image = SimpleITK.ReadImage(str(keep(anatomy(1), tmp_path / "x" / "P2.nii")))
    (tmp_path / "x" / "P2.nii").unlink()
    SimpleITK.WriteImage(image, str(tmp_path / "x" / "P2.NRRD"))
    found = read_images(tmp_path, "real", WINDOW)
    assert (found.kind, len(found)) == ("volume", 2 * SHAPE[2])
    assert len(set(found.patients or ())) == 2
    np.testing.assert_allclose(found.images[SHAPE[2] :], seen(anatomy(1)), atol=1e-6)


def score(tmp_path: Path, real: str, synthetic: str, **options: Any) -> dict[str, Any]:
    write_script(tmp_path / "net.pt", small_net())
    request = ScoreRequest(
        tmp_path / real,
        tmp_path / synthetic,
        window=WINDOW,
        files=ExtractorFiles(torchscript=tmp_path / "net.pt"),
        output=tmp_path / "out",
        **options,
    )
    return score_sets(request, Console(quiet=True), lambda line: None)


def test_one_anatomy_in_any_order_is_equal(tmp_path: Path) -> None:
    for seed, order in enumerate(ORDERS[:3]):
        keep(anatomy(seed), tmp_path / "real" / f"{seed}.nii.gz")
        keep(turned(anatomy(seed), order), tmp_path / "fake" / f"{seed}.nii")
    found = score(tmp_path, "real", "fake", paired=True)
    assert found["paired"]["scores"]["mae"]["value"] == 0
    assert found["extractors"][0]["scores"]["fid"]["value"] == pytest.approx(0, abs=1e-6)
    assert found["paired"]["pairs"] == 3 * SHAPE[2]


def without_geometry(values: NDArray[Any]) -> nibabel.Nifti1Image:
    image = nibabel.Nifti1Image(values, None)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    return image


def test_volumes_without_geometry_stay_as_stored_and_it_is_said(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    keep(without_geometry(values), tmp_path / "a.nii")
    found = read_images(tmp_path, "real")
    np.testing.assert_array_equal(found.images, values.transpose(2, 0, 1))
    assert "real: volumes without geometry are read as stored, slices along the last axis" in (
        found.notes
    )
    assert found.spacings == ()
    keep(anatomy(), tmp_path / "b.nii")
    with pytest.raises(DataError) as caught:
        read_images(tmp_path, "real", WINDOW)
    assert str(caught.value) == (
        "all volumes of a set must say how they lie, or none, but got no geometry in "
        f"'{tmp_path / 'a.nii'}' and one in '{tmp_path / 'b.nii'}'; keep them apart"
    )


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.hdr"])
def test_volumes_without_geometry_are_read_as_strictly(tmp_path: Path, name: str) -> None:
    values = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    image = without_geometry(values)
    if name == "a.hdr":
        image = nibabel.Nifti1Pair(values, None, image.header)
    path = keep(image, tmp_path / name)
    np.testing.assert_array_equal(read_images(tmp_path, "real").images, values.transpose(2, 0, 1))
    voxels = path.with_suffix(".img") if name == "a.hdr" else path
    voxels.write_bytes(voxels.read_bytes() + (gzip.compress(b"1") if "gz" in name else b"1"))
    with pytest.raises(DataError, match=r"as many voxels as its header says, but one has more"):
        read_images(tmp_path, "real")


def test_a_packed_volume_without_geometry_must_be_whole(tmp_path: Path) -> None:
    """One voxel is another one: the checksum says so."""
    values = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    path = keep(without_geometry(values), tmp_path / "a.nii.gz")
    packed = path.read_bytes()
    other = bytearray(gzip.decompress(packed))
    other[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(other))[:-8] + packed[-8:])
    with pytest.raises(DataError, match=r"'.*a\.nii\.gz' \(.*BadGzipFile.*repair or remove it$"):
        read_images(tmp_path, "real")


def test_a_place_that_a_file_gives_twice_is_refused_to_the_end_of_the_sentence(
    tmp_path: Path,
) -> None:
    image = anatomy()
    image.set_qform(image.affine, 1)
    image.set_sform(np.diag([-1.0, 1, 1, 1]) @ image.affine, 2)
    keep(image, tmp_path / "a.nii")
    with pytest.raises(DataError, match=r"with data\.images\.nifti_form\); repair or remove it$"):
        read_images(tmp_path, "real", WINDOW)


def test_a_single_coronal_slice_is_an_image(tmp_path: Path) -> None:
    image = anatomy().slicer[:, 5:6, :]
    keep(turned(image, "ASR"), tmp_path / "a.nii")
    found = read_images(tmp_path, "real", WINDOW)
    np.testing.assert_allclose(found.images, seen(image).transpose(1, 0, 2), atol=1e-6)
    assert found.spacings == ((1.5, 2.5, 1.0),)


def compared(tmp_path: Path) -> list[str]:
    request = ScoreRequest(tmp_path / "real", tmp_path / "fake", window=WINDOW)
    return drawn_sets(read_sets(request), request)[2]


def test_other_spacing_is_said(tmp_path: Path) -> None:
    for seed in range(2):
        keep(anatomy(seed), tmp_path / "real" / f"{seed}.nii")
        keep(anatomy(seed), tmp_path / "fake" / f"{seed}.nii")
    assert not any("spacing" in note for note in compared(tmp_path))
    image = anatomy()
    wide = nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine @ np.diag([2, 1, 1, 1]))
    keep(wide, tmp_path / "fake" / "1.nii")
    (note,) = [note for note in compared(tmp_path) if "spacing" in note]
    assert note == (
        "spacing differs and nothing is resampled: real 2.5 x 1.5 x 1, "
        "synthetic 2.5 x 1.5 x 1-2 mm (slices x rows x columns)"
    )


def test_placeholders_for_geometry_are_doubted(tmp_path: Path) -> None:
    keep(anatomy(), tmp_path / "real" / "a.nii")
    values = np.asarray(anatomy().dataobj)
    keep(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "fake" / "a.nii")
    assert any(
        note.startswith("the synthetic volumes have the identity") for note in (compared(tmp_path))
    )
    (tmp_path / "fake" / "a.nii").unlink()
    itk = SimpleITK.GetImageFromArray(values.transpose(2, 1, 0))
    SimpleITK.WriteImage(itk, str(tmp_path / "fake" / "a.nii.gz"))
    assert any("have the identity" in note for note in compared(tmp_path))


def test_volumes_beside_arrays_are_doubted(tmp_path: Path) -> None:
    keep(anatomy(), tmp_path / "real" / "a.nii")
    (tmp_path / "fake").mkdir()
    np.save(tmp_path / "fake" / "a.npy", seen(anatomy()) * 2000 - 1000)
    assert any(
        note.startswith("slices of the real volumes run to the head, rows to the back, columns to")
        for note in compared(tmp_path)
    )


def test_nrrd_without_geometry_and_bad_volumes_are_named(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), np.zeros((40, 40, 2)))
    with pytest.raises(DataError, match=r"got '.*a\.nrrd' \(a volume must give a position and"):
        read_images(tmp_path, "real", WINDOW)
    (tmp_path / "a.nrrd").write_bytes(b"")
    with pytest.raises(DataError, match=r"got '.*a\.nrrd' \(it is empty\)"):
        read_images(tmp_path, "real", WINDOW)


def series(
    patient: str, number: int = 1, seed: int = 0, affine: NDArray[np.float64] | None = None
) -> tuple[list[Dataset], NDArray[np.int64]]:
    """A CT series of a patient, and its HU as stored."""
    shape = (5, 34, 40)
    hu = np.random.default_rng(seed).integers(-900, 900, shape)
    made = series_datasets(hu, placed(shape) if affine is None else affine)
    for index, dataset in enumerate(made):
        dataset.PatientID = dataset.PatientName = patient
        dataset.StudyInstanceUID = uid(len(patient), number)
        dataset.SeriesInstanceUID = uid(len(patient), number, 1)
        dataset.SOPInstanceUID = uid(len(patient), number, 1, index)
    return made, hu


def by_itk(folder: Path, order: str = "LPS") -> SimpleITK.Image:
    """A series in the order of its positions, its axes turned, by SimpleITK."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    return SimpleITK.DICOMOrient(reader.Execute(), order)


def hu_by_itk(folder: Path) -> NDArray[np.float64]:
    """HU, slices to the head, rows to the back, columns to the left."""
    return SimpleITK.GetArrayFromImage(by_itk(folder)).astype(np.float64)


FEET_FIRST_PRONE = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), FEET_FIRST_PRONE])
def test_dicom_series_are_volumes_in_hu(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    affine = placed((5, 34, 40), orientation=orientation)
    datasets, _ = series("Zorro^Diego", affine=affine)
    save_series(datasets, tmp_path / "P1" / "CT")
    found = read_images(tmp_path, "real", WINDOW)
    truth = hu_by_itk(tmp_path / "P1" / "CT")
    np.testing.assert_allclose(found.images, (truth + 1000) / 2000, atol=1e-6)
    assert found.kind == "DICOM CT"
    assert found.names == tuple(f"P1/CT#{index}" for index in range(5))
    assert found.patients == ("patient 1",) * 5
    assert found.spacings == ((3.0, 1.0, 1.0),)


def test_a_coronal_series_is_cut_into_axial_slices(tmp_path: Path) -> None:
    shape = (36, 40, 38)
    hu = np.random.default_rng(0).integers(-900, 900, shape)
    save_series(series_datasets(hu, placed(shape, orientation=CORONAL)), tmp_path)
    found = read_images(tmp_path, "real", WINDOW)
    np.testing.assert_allclose(found.images, (hu_by_itk(tmp_path) + 1000) / 2000, atol=1e-6)
    assert found.images.shape == (40, 36, 38)


def test_dicom_and_nifti_of_one_scan_are_equal(tmp_path: Path) -> None:
    datasets, _ = series("A")
    save_series(datasets, tmp_path / "real" / "a")
    (tmp_path / "fake").mkdir()
    image = by_itk(tmp_path / "real" / "a", "RAI")
    SimpleITK.WriteImage(image, str(tmp_path / "fake" / "a.nii.gz"))
    found = score(tmp_path, "real", "fake", paired=True)
    assert found["paired"]["scores"]["mae"]["value"] == 0
    assert found["real"]["kind"] == "DICOM CT"


def test_patients_of_dicom_have_pseudonyms_that_sets_share(tmp_path: Path) -> None:
    for side, people in (("real", ["Anna", "Bo", "Anna"]), ("held", ["Cleo"])):
        for number, name in enumerate(people):
            datasets, _ = series(name, number, seed=number + 9 * (side == "held"))
            save_series(datasets, tmp_path / side / f"{number}")
    real = read_images(tmp_path / "real", "real", WINDOW)
    assert [real.patients[5 * n] for n in range(3)] == ["patient 1", "patient 2", "patient 1"]
    request = ScoreRequest(tmp_path / "real", tmp_path / "real", tmp_path / "held", WINDOW)
    sets = read_sets(request)
    assert sets.heldout is not None
    assert set(sets.heldout.patients or ()) == {"patient 3"}
    datasets, _ = series("Bo", 7, seed=99)
    save_series(datasets, tmp_path / "held" / "again")
    with pytest.raises(DataError, match=r"got 1 on both sides \(e\.g\. 'patient 2'\)"):
        read_sets(request)


def test_dicom_needs_a_window(tmp_path: Path) -> None:
    save_series(series("A")[0], tmp_path)
    with pytest.raises(DataError, match=r"^DICOM CT files must hold .*; type --window LOW HIGH"):
        read_images(tmp_path, "real")


def as_kind(datasets: list[Dataset], storage: str, modality: str) -> list[Dataset]:
    for dataset in datasets:
        dataset.SOPClassUID, dataset.Modality = storage, modality
    return datasets


def test_mr_is_read_as_stored_and_not_beside_ct(tmp_path: Path) -> None:
    datasets, hu = series("A")
    save_series(as_kind(datasets, MRImageStorage, "MR"), tmp_path / "mr")
    found = read_images(tmp_path, "real", WINDOW)  # phase images go below 0
    np.testing.assert_allclose(found.images, (hu + 1000) / 2000, atol=1e-6)
    assert found.kind == "DICOM MR"
    save_series(series("B")[0], tmp_path / "ct")
    with pytest.raises(DataError, match=r"CT, or images of MR, but got 5 of CT and 5 of MR in"):
        read_images(tmp_path, "real", WINDOW)


def test_values_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    _, hu = series("A")
    hu[2, 3, 4] = 40000
    bright = as_kind(series_datasets(hu, placed(hu.shape)), MRImageStorage, "MR")
    save_series(bright, tmp_path)
    with pytest.raises(DataError, match=r"its values must be below 32767, but some are not"):
        read_images(tmp_path, "real", WINDOW)


def test_what_is_no_image_among_dicom_files_is_counted(tmp_path: Path) -> None:
    datasets, _ = series("A")
    files = save_series(datasets, tmp_path / "ct")
    contours = [rectangle(placed((5, 34, 40)), 2, (10.5, 20.5), (5.5, 12.5))]
    save(structure_dataset({"Parotid_L": contours}), tmp_path / "set.dcm")
    (dose,) = as_kind(series("A", 2)[0][:1], RTDoseStorage, "RTDOSE")
    save(dose, tmp_path / "dose")  # without a suffix
    scout = series("A", 3)[0][0]
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    save(scout, tmp_path / "1.2.840.77")
    (tmp_path / "DICOMDIR").write_bytes(b"x")
    (tmp_path / "viewer.exe").write_bytes(b"x")
    (tmp_path / "again.dcm").write_bytes(files[0].read_bytes())
    found = read_images(tmp_path, "real", WINDOW)
    assert len(found) == 5
    assert sorted(found.notes) == [
        "real: left out 1 DICOM file: a copy of another",
        "real: left out 1 DICOM file: it is a localiser",
        "real: left out 1 DICOM file: it is a structure set",
        "real: left out 1 DICOM file: it is neither CT nor MR nor a structure set, but RT Dose "
        "Storage",
        "real: left out 1 file that is no image (.exe)",
        "real: left out 1 hidden or system file or folder (DICOMDIR)",
    ]


def unplaced(folder: Path) -> None:
    path = sorted(folder.iterdir())[2]
    dataset = pydicom.dcmread(path)
    del dataset.ImagePositionPatient
    dataset.save_as(path)


def cut(folder: Path) -> None:
    path = sorted(folder.iterdir())[2]
    path.write_bytes(path.read_bytes()[:-500])


def emptied(folder: Path) -> None:
    sorted(folder.iterdir())[2].write_bytes(b"")


@pytest.mark.parametrize("harm", [unplaced, cut, emptied])
def test_a_series_that_makes_no_volume_is_named(tmp_path: Path, harm: Any) -> None:
    datasets, _ = series("Secret^Name")
    harm_in = tmp_path / "P1"
    for index, dataset in enumerate(datasets):
        save(dataset, harm_in / f"{index}.dcm")
    harm(harm_in)
    with pytest.raises(DataError) as caught:
        read_images(tmp_path, "real", WINDOW)
    sentence = str(caught.value)
    assert f"'{harm_in}/" in sentence
    assert "2.dcm'" in sentence
    assert "Secret" not in sentence
    assert "file 3" not in sentence
    assert "/tmp/tmp" not in sentence


def test_linked_dicom_folders_and_hidden_files(tmp_path: Path) -> None:
    save_series(series("A")[0], tmp_path / "away")
    save(series("B", 2)[0][0], tmp_path / "set" / "._x.dcm")
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "away")
    found = read_images(tmp_path / "set", "real", WINDOW)
    assert found.files == ("linked",) * 5


def test_two_series_of_one_folder_are_told_apart(tmp_path: Path) -> None:
    for number in (1, 2):
        for index, dataset in enumerate(series("A", number, seed=number)[0]):
            save(dataset, tmp_path / f"{number}-{index}.dcm")
    found = read_images(tmp_path, "real", WINDOW)
    assert list(dict.fromkeys(found.files)) == ["series 1", "series 2"]


def test_pairs_at_other_places_are_doubted(tmp_path: Path) -> None:
    image = anatomy()
    keep(image, tmp_path / "real" / "a.nii")
    fake = tmp_path / "fake" / "a.nii"
    request = ScoreRequest(tmp_path / "real", tmp_path / "fake", window=WINDOW, paired=True)
    for order, (across, up), words in (
        ("LPI", (0, 0), ""),
        ("LPI", (0, 1), ""),
        ("PIR", (3, 4), "38 of 38 pairs lie at different places by their geometry, by up to 5 mm"),
    ):
        moved = np.eye(4)
        moved[:3, 3] = (across, 0, up)
        values = np.asarray(image.dataobj)
        keep(turned(nibabel.Nifti1Image(values, moved @ image.affine), order), fake)
        notes = drawn_sets(read_sets(request), request)[2]
        assert [note[: len(words)] for note in notes if "places" in note] == [words] * bool(words)


def test_structure_sets_alone_are_no_images(tmp_path: Path) -> None:
    contours = [rectangle(placed((5, 34, 40)), 2, (10.5, 20.5), (5.5, 12.5))]
    save(structure_dataset({"Parotid_L": contours}), tmp_path / "set.dcm")
    with pytest.raises(DataError) as caught:
        read_images(tmp_path, "real", WINDOW)
    assert str(caught.value) == (
        "a set of DICOM files must hold images of CT, or images of MR, but got 1 DICOM file: it is "
        f"a structure set in '{tmp_path}'; keep one kind in a folder"
    )
