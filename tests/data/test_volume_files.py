"""Volumes as files, against SimpleITK and nibabel as other writers and readers."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from harness.base.errors import DataError
from harness.data.volume_files import Segment, read_layers, read_segments, read_volume, write_volume

SHAPE = (5, 7, 9)
SUFFIXES = (".nrrd", ".nii.gz", ".nii")
PLACES = [(0, 0, 0), (4, 6, 8), (3, 1, 5)]  # slice, row, column
RAS = np.array([-1.0, -1.0, 1.0])


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


@pytest.fixture(params=GEOMETRIES)
def affine(request: pytest.FixtureRequest) -> NDArray[np.float64]:
    return GEOMETRIES[request.param]


def numbered(dtype: type = np.int16) -> NDArray:
    return (np.arange(np.prod(SHAPE)).reshape(SHAPE) - 150).astype(dtype)


def point(affine: NDArray[np.float64], place: tuple[int, int, int]) -> NDArray[np.float64]:
    return (affine @ [*place, 1.0])[:3]


# --- what is written, as others read it ---------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_simpleitk_finds_every_voxel_where_it_is(
    tmp_path: Path, affine: NDArray[np.float64], suffix: str
) -> None:
    volume = numbered()
    write_volume(tmp_path / "new" / f"v{suffix}", volume, affine)
    image = sitk.ReadImage(str(tmp_path / "new" / f"v{suffix}"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume)
    for place in PLACES:
        found = image.TransformIndexToPhysicalPoint(place[::-1])
        np.testing.assert_allclose(found, point(affine, place), atol=1e-3)
    assert image.GetPixelID() == sitk.sitkInt16


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
def test_nibabel_finds_every_voxel_where_it_is(
    tmp_path: Path, affine: NDArray[np.float64], suffix: str
) -> None:
    write_volume(tmp_path / f"v{suffix}", numbered(), affine)
    image = nibabel.load(tmp_path / f"v{suffix}")
    assert image.header.get_xyzt_units()[0] == "mm"
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)
    for place in PLACES:
        column_first = place[::-1]
        assert image.get_fdata()[column_first] == numbered()[place]
        for given in (image.get_sform(), image.get_qform()):  # readers differ in which they take
            found = nibabel.affines.apply_affine(given, column_first)
            np.testing.assert_allclose(found * RAS, point(affine, place), atol=1e-3)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_mask_is_bytes(tmp_path: Path, suffix: str) -> None:
    write_volume(tmp_path / f"m{suffix}", numbered() > 0, GEOMETRIES["axial"])
    image = sitk.ReadImage(str(tmp_path / f"m{suffix}"))
    assert image.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), numbered() > 0)


def test_a_tilted_gantry_is_kept(tmp_path: Path) -> None:
    """A sheared slice axis; NIfTI says it in the sform alone."""
    sheared = GEOMETRIES["axial"].copy()
    sheared[1, 0] += 0.4
    for suffix in SUFFIXES:
        write_volume(tmp_path / f"v{suffix}", numbered(), sheared)
        values, found = read_volume(tmp_path / f"v{suffix}")
        np.testing.assert_array_equal(values, numbered())
        np.testing.assert_allclose(found, sheared, atol=1e-4)
    image = nibabel.load(tmp_path / "v.nii")
    assert int(image.header["qform_code"]) == 0
    np.testing.assert_allclose(
        nibabel.affines.apply_affine(image.affine, (8, 6, 4)) * RAS,
        point(sheared, (4, 6, 8)),
        atol=1e-3,
    )


# --- what others write, as it is read -----------------------------------------------------------


def check(path: Path, points: dict[tuple[int, int, int], NDArray[np.float64]]) -> None:
    values, found = read_volume(path)
    assert values.shape == SHAPE
    for place, where in points.items():
        assert values[place] == numbered()[place]
        np.testing.assert_allclose(point(found, place), where, atol=1e-3)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_what_simpleitk_wrote(
    tmp_path: Path, affine: NDArray[np.float64], suffix: str, dtype: type
) -> None:
    image = sitk.GetImageFromArray(numbered(dtype))
    size = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(size[::-1].tolist())
    image.SetDirection((affine[:3, :3] / size)[:, ::-1].ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    sitk.WriteImage(image, str(tmp_path / f"v{suffix}"))
    check(
        tmp_path / f"v{suffix}",
        {p: np.array(image.TransformIndexToPhysicalPoint(p[::-1])) for p in PLACES},
    )


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
@pytest.mark.parametrize("form", ["sform", "qform"])
def test_what_nibabel_wrote(
    tmp_path: Path, affine: NDArray[np.float64], suffix: str, form: str
) -> None:
    """One form alone: a file needs no more."""
    ras = np.diag([*RAS, 1.0]) @ affine[:, [2, 1, 0, 3]]
    image = nibabel.Nifti1Image(numbered().transpose(2, 1, 0), None)
    image.set_sform(ras if form == "sform" else None, code=int(form == "sform"))
    image.set_qform(ras if form == "qform" else None, code=int(form == "qform"))
    nibabel.save(image, tmp_path / f"v{suffix}")
    check(
        tmp_path / f"v{suffix}",
        {p: nibabel.affines.apply_affine(ras, p[::-1]) * RAS for p in PLACES},
    )


def test_stored_scale_is_applied(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(numbered().transpose(2, 1, 0), np.eye(4))
    image.header.set_slope_inter(2.0, -1024.0)
    nibabel.save(image, tmp_path / "v.nii.gz")
    stored = nibabel.load(tmp_path / "v.nii.gz").dataobj.get_unscaled().transpose(2, 1, 0)
    np.testing.assert_array_equal(
        read_volume(tmp_path / "v.nii.gz")[0], stored.astype(float) * 2 - 1024
    )


def test_one_number_in_a_fourth_axis_is_a_volume(tmp_path: Path) -> None:
    data = numbered().transpose(2, 1, 0)[..., None]
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), tmp_path / "v.nii")
    np.testing.assert_array_equal(read_volume(tmp_path / "v.nii")[0], numbered())


# --- NRRD headers written by hand ---------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (1, 1, 1)),
        ("LPS", (1, 1, 1)),
        ("right-anterior-superior", (-1, -1, 1)),
        ("RAS", (-1, -1, 1)),
        ("left-anterior-superior", (1, -1, 1)),
        ("LAS", (1, -1, 1)),
    ],
)
def test_named_spaces(tmp_path: Path, space: str, signs: tuple[int, int, int]) -> None:
    values, affine = read_volume(by_hand(tmp_path / "v.nrrd", space=space))
    assert values[0, 0, 1] == 1
    assert values[0, 1, 0] == 9
    assert values[1, 0, 0] == 63
    expected = np.array([10 + 8, 20 + 6 * 2, 30 + 4 * 3]) * signs
    np.testing.assert_array_equal(point(affine, (4, 6, 8)), expected)
    if len(space) > 3:  # SimpleITK knows the long names alone
        image = sitk.ReadImage(str(tmp_path / "v.nrrd"))
        assert image.TransformIndexToPhysicalPoint((8, 6, 4)) == tuple(expected)


@pytest.mark.parametrize("axis", range(4))
def test_layers_may_be_any_axis(tmp_path: Path, axis: int) -> None:
    sizes, directions = ["9", "7", "5"], ["(1,0,0)", "(0,2,0)", "(0,0,3)"]
    sizes.insert(axis, "2")
    directions.insert(axis, "none")
    path = by_hand(
        tmp_path / "v.nrrd", sizes=" ".join(sizes), space_directions=" ".join(directions)
    )
    layers, affine = read_layers(path)
    assert layers.shape == (2, 5, 7, 9)
    strides = np.cumprod([1, *map(int, sizes)])[:4].tolist()
    layer = strides.pop(axis)
    for n, s, r, c in ((0, 0, 0, 0), (1, 4, 6, 8), (1, 2, 3, 4)):
        expected = layer * n + strides[0] * c + strides[1] * r + strides[2] * s
        assert layers[n, s, r, c] == expected % 251
    np.testing.assert_array_equal(point(affine, (4, 6, 8)), [18, 32, 42])
    with pytest.raises(DataError, match=r"^a volume must have one number a voxel, but one has 2$"):
        read_volume(path)


def test_segments_of_a_header(tmp_path: Path) -> None:
    path = by_hand(tmp_path / "s.seg.nrrd")
    head, body = path.read_bytes().split(b"\n\n", 1)
    for key in (
        "Segment10_Name:=Cord",
        "Segment10_LabelValue:=3",
        "Segment2_Name:=Parotid L",
        "Segment2_LabelValue:=7",
        "Segment2_Layer:=1",
        "Segment2_Color:=1 0 0",
        "Segmentation_ReferenceImageExtentOffset:=0 0 0",
    ):
        head += b"\n" + key.encode()
    path.write_bytes(head + b"\n\n" + body)
    assert read_segments(path) == (Segment("Parotid L", 1, 7), Segment("Cord", 0, 3))
    assert read_segments(by_hand(tmp_path / "none.seg.nrrd")) == ()


# --- what is refused ----------------------------------------------------------------------------

NO_GEOMETRY = "a volume must give a position and three directions, but one does not"
REFUSED = {
    "no directions": ({"without": "space directions"}, NO_GEOMETRY),
    "no origin": ({"without": "space origin"}, NO_GEOMETRY),
    "flat directions": ({"space_directions": "(1,0,0) (0,2,0) (0,4,0)"}, NO_GEOMETRY),
    "one direction": ({"space_directions": "(1,0,0) none none"}, NO_GEOMETRY),
    "no number": ({"space_origin": "(nan,0,0)"}, NO_GEOMETRY),
    "metres": (
        {"space_units": '"m" "m" "m"'},
        "a volume must be measured in mm, but one is not",
    ),
    "elsewhere": (
        {"space": "scanner-xyz"},
        "the space of an NRRD volume must be one of las, left-anterior-superior, "
        "left-posterior-superior, lps, ras, right-anterior-superior, but one has another; export "
        "it again in LPS",
    ),
    "a list of files": (
        {"data_file": "other.raw"},
        "the voxels of an NRRD volume must be in its file, but one has a list",
    ),
    "too few voxels": (
        {"type": "int16"},
        "a volume must be a readable NIfTI or NRRD file, but one is not (NRRDError); export it "
        "again",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_volume_without_a_place_is_refused(tmp_path: Path, case: str) -> None:
    fields, sentence = REFUSED[case]
    with pytest.raises(DataError) as caught:
        read_volume(by_hand(tmp_path / "v.nrrd", **fields))
    assert str(caught.value) == sentence


def test_nifti_without_any_form_is_refused(tmp_path: Path) -> None:
    """Its readers make up a place, each another."""
    nibabel.save(nibabel.Nifti1Image(numbered(), None), tmp_path / "v.nii")
    with pytest.raises(DataError, match=rf"^{NO_GEOMETRY}$"):
        read_volume(tmp_path / "v.nii")


def test_nifti_in_metres_is_refused(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(numbered(), np.eye(4))
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "v.nii")
    with pytest.raises(DataError, match=r"^a volume must be measured in mm, but one is in meter$"):
        read_volume(tmp_path / "v.nii")


def test_coloured_nifti_is_refused(tmp_path: Path) -> None:
    colours = np.zeros((3, 4, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), tmp_path / "v.nii")
    with pytest.raises(DataError, match=r"^a volume must have one number a voxel, but one has"):
        read_volume(tmp_path / "v.nii")


def test_a_picture_is_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5), np.int16), np.eye(4)), tmp_path / "v.nii")
    with pytest.raises(DataError, match=r"^a volume must have three axes, but one has 4 x 5$"):
        read_volume(tmp_path / "v.nii")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.97])
def test_cut_off_files_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"secret{suffix}"
    noise = np.random.default_rng(0).integers(-999, 999, SHAPE, np.int16)
    write_volume(path, noise, GEOMETRIES["axial"])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError) as caught:
        read_volume(path)
    assert "secret" not in str(caught.value)


def test_a_missing_file_is_refused_without_its_path(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        with pytest.raises(DataError) as caught:
            read_volume(tmp_path / f"secret{suffix}")
        assert str(caught.value).startswith("a volume must be a readable NIfTI or NRRD file")
        assert "secret" not in str(caught.value)
