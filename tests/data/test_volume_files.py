"""Volumes as files, against SimpleITK and nibabel as other writers and readers."""

from __future__ import annotations

import bz2
import gzip
import unicodedata
import zlib
from pathlib import Path
from typing import Literal

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from factories.volumes import (
    GEOMETRIES,
    READ,
    SHAPE,
    SUFFIXES,
    by_hand,
    meta,
    numbered,
    placed,
)
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.data.nrrd_files import Segment, read_segments
from harness.data.volume_files import read_layers, read_volume, write_volume

PLACES = [(0, 0, 0), (4, 6, 8), (3, 1, 5)]  # slice, row, column
RAS = np.array([-1.0, -1.0, 1.0])


@pytest.fixture(params=GEOMETRIES)
def affine(request: pytest.FixtureRequest) -> NDArray[np.float64]:
    return GEOMETRIES[request.param]


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


@pytest.mark.parametrize("suffix", READ)
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("packed", [False, True])
def test_what_simpleitk_wrote(
    tmp_path: Path, affine: NDArray[np.float64], suffix: str, dtype: type, packed: bool
) -> None:
    image = placed(numbered(dtype), affine)
    sitk.WriteImage(image, str(tmp_path / f"v{suffix}"), packed)
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


# --- NRRD headers written by hand -----------------------------------------------------------------


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
    with pytest.raises(
        DataError, match=r"^a volume must have one number a voxel, but one has 2; export one"
    ):
        read_volume(path)


def segmentation(folder: Path, layers: int, *keys: str) -> Path:
    """A header with these keys; `layers` 0: of three axes."""
    path = folder / "s.seg.nrrd"
    if layers:
        directions = "none (1,0,0) (0,2,0) (0,0,3)"
        by_hand(path, sizes=f"{layers} 9 7 5", space_directions=directions)
    else:
        by_hand(path)
    head, body = path.read_bytes().split(b"\n\n", 1)
    path.write_bytes(b"\n".join([head, *(key.encode() for key in keys)]) + b"\n\n" + body)
    return path


def test_segments_of_a_header(tmp_path: Path) -> None:
    path = segmentation(
        tmp_path,
        2,
        "Segment10_Name:=Cord",
        "Segment10_LabelValue:=3",
        "Segment10_Layer:=0",
        "Segment2_Name:=Parotid L: outer",
        "Segment2_LabelValue:=7",
        "Segment2_Layer:=1",
        "Segment2_Color:=1 0 0",
        "Segmentation_ReferenceImageExtentOffset:=0 0 0",
    )
    assert read_segments(path) == (Segment("Parotid L: outer", 1, 7), Segment("Cord", 0, 3))
    assert read_segments(by_hand(tmp_path / "none.seg.nrrd")) == ()


def test_older_segmentations_have_a_layer_for_each_segment(tmp_path: Path) -> None:
    names = ("Segment1_Name:=Cord", "Segment0_ID:=Segment_1", "Segment0_Name:=Parotid L")
    assert read_segments(segmentation(tmp_path, 2, *names)) == (
        Segment("Parotid L", 0, None),
        Segment("Cord", 1, None),
    )
    assert read_segments(segmentation(tmp_path, 0, "Segment0_ID:=Segment_1")) == (
        Segment("Segment_1", 0, None),
    )


def test_one_layer_needs_no_number(tmp_path: Path) -> None:
    path = segmentation(tmp_path, 0, "Segment0_Name:=a", "Segment0_LabelValue:=4")
    assert read_segments(path) == (Segment("a", 0, 4),)


@pytest.mark.parametrize(
    "name", ["Ohrspeicheldr\u00fcse", "Ohrspeicheldru\u0308se", "\u5de6\u816e\u817a"]
)
def test_segments_are_named_in_any_script(tmp_path: Path, name: str) -> None:
    """One spelling of letters that have two."""
    [segment] = read_segments(segmentation(tmp_path, 0, f"Segment0_Name:={name}"))
    assert segment.name == unicodedata.normalize("NFC", name)


UNPLACED = {
    "a value for one": (2, "0_Name:=a 1_Name:=b 0_LabelValue:=1 0_Layer:=0", (2, 1, 1)),
    "no layers": (2, "0_LabelValue:=1 1_LabelValue:=1", (2, 2, 0)),
    "a layer for one": (0, "0_LabelValue:=1 1_LabelValue:=2 1_Layer:=0", (2, 2, 1)),
    "no values": (2, "0_Layer:=0 1_Layer:=1", (2, 0, 2)),
    "two in one layer": (0, "0_Name:=a 1_Name:=b", (2, 0, 0)),
    "one number left out": (2, "0_Name:=a 2_Name:=b", (2, 0, 0)),
}


@pytest.mark.parametrize("case", UNPLACED)
def test_segments_without_a_place_are_refused(tmp_path: Path, case: str) -> None:
    layers, keys, (segments, values, placed) = UNPLACED[case]
    with pytest.raises(DataError) as caught:
        read_segments(segmentation(tmp_path, layers, *(f"Segment{key}" for key in keys.split())))
    assert str(caught.value) == (
        "each segment of a segmentation must say its layer and label value, or have one layer to "
        f"itself and say neither, but of {segments} in {layers or 1} layers {values} say a value "
        f"and {placed} a layer; save it again in 3D Slicer"
    )


@pytest.mark.parametrize(
    "keys",
    [
        ["0_LabelValue:=1", "0_Layer:=0", "1_LabelValue:=1", "1_Layer:=0"],
        ["0_LabelValue:=1", "0_Layer:=2"],
        ["0_LabelValue:=1", "0_Layer:=-1"],
        ["0_LabelValue:=0", "0_Layer:=0"],
    ],
)
def test_segments_must_have_places_of_their_own(tmp_path: Path, keys: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        read_segments(segmentation(tmp_path, 2, *(f"Segment{key}" for key in keys)))
    assert str(caught.value) == (
        "each segment of a segmentation must have a value other than 0 of its own in one of its 2 "
        "layers, but one has not; save it again in 3D Slicer"
    )


def test_a_value_that_is_no_number_is_refused(tmp_path: Path) -> None:
    path = segmentation(tmp_path, 0, "Segment0_LabelValue:=one", "Segment0_Layer:=0")
    with pytest.raises(DataError, match=r"must have a readable header, but one is not"):
        read_segments(path)


# --- voxels beside their header -------------------------------------------------------------------


def test_bytes_of_the_other_order(tmp_path: Path) -> None:
    swapped = numbered().astype(">i2")
    by_hand(tmp_path / "v.nrrd", type="short", endian="big")
    head, _ = (tmp_path / "v.nrrd").read_bytes().split(b"\n\n", 1)
    (tmp_path / "v.nrrd").write_bytes(head + b"\n\n" + swapped.tobytes())
    meta(tmp_path / "v.mha", swapped.tobytes(), BinaryDataByteOrderMSB="True")
    image = nibabel.Nifti1Image(numbered().transpose(2, 1, 0), np.eye(4))
    header = image.header.as_byteswapped(">")
    nibabel.save(nibabel.Nifti1Image(image.dataobj, np.eye(4), header), tmp_path / "v.nii")
    for suffix in (".nrrd", ".mha", ".nii"):
        np.testing.assert_array_equal(read_volume(tmp_path / f"v{suffix}")[0], numbered())


@pytest.mark.parametrize("form", [None, "gzip", "zlib"])
def test_a_metaimage_of_one_frame(tmp_path: Path, form: str | None) -> None:
    voxels = numbered().tobytes()
    if form:
        voxels = gzip.compress(voxels) if form == "gzip" else zlib.compress(voxels)
    path = meta(
        tmp_path / "v.mha",
        voxels,
        NDims="4",
        DimSize="9 7 5 1",
        ElementSpacing="1 2 3 1",
        Offset="10 20 30 0",
        TransformMatrix="1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1",
        CompressedData=str(bool(form)),
    )
    values, affine = read_volume(path)
    np.testing.assert_array_equal(values, numbered())
    np.testing.assert_array_equal(point(affine, (4, 6, 8)), [18, 32, 42])


def test_a_raw_file_with_a_head_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "voxels").write_bytes(b"head" + numbered().tobytes())
    for size in ("4", "-1"):
        path = meta(tmp_path / "v.mhd", b"", ElementDataFile="voxels", HeaderSize=size)
        np.testing.assert_array_equal(read_volume(path)[0], numbered())


def test_a_pair_in_capitals(tmp_path: Path) -> None:
    sitk.WriteImage(placed(numbered(), GEOMETRIES["axial"]), str(tmp_path / "v.hdr"))
    for suffix in ("hdr", "img"):
        (tmp_path / f"v.{suffix}").rename(tmp_path / f"V.{suffix.upper()}")
    np.testing.assert_array_equal(read_volume(tmp_path / "V.HDR")[0], numbered())


# --- what NIfTI says twice ----------------------------------------------------------------------

TURNED = nibabel.affines.from_matvec(np.diag([-1.0, 1.0, 1.0]), [0, 0, 0.0])


def two_forms(path: Path, sform: NDArray, qform: NDArray, codes: tuple[int, int] = (2, 1)) -> Path:
    image = nibabel.Nifti1Image(numbered().transpose(2, 1, 0), sform)
    image.set_sform(sform, codes[0])
    image.set_qform(qform, codes[1])
    nibabel.save(image, path)
    return path


def test_an_sform_against_its_qform_is_an_error_unless_one_is_chosen(tmp_path: Path) -> None:
    """The farthest corners are 8 columns of 1 mm to either side: 16 mm."""
    path = two_forms(tmp_path / "v.nii", np.eye(4), TURNED)
    with pytest.raises(DataError) as caught:
        read_volume(path)
    assert str(caught.value) == (
        "the sform and the qform of a NIfTI volume must agree, but they place its voxels up to "
        "16 mm apart (sform code 2, qform code 1); correct the header (code 1 is the scanner's "
        "own), or let source `images` take the right one with data.images.nifti_form"
    )
    for form, ras in (("sform", np.eye(4)), ("qform", TURNED)):
        values, affine = read_volume(path, form)  # type: ignore[arg-type]
        np.testing.assert_array_equal(values, numbered())
        expected = nibabel.affines.apply_affine(ras, (8, 6, 4)) * RAS
        np.testing.assert_allclose(point(affine, (4, 6, 8)), expected, atol=1e-5)


@pytest.mark.parametrize("codes", [(0, 1), (2, 0)])
@pytest.mark.parametrize("form", [None, "sform", "qform"])
def test_one_form_alone_is_taken(
    tmp_path: Path, codes: tuple[int, int], form: Literal["sform", "qform"] | None
) -> None:
    path = two_forms(tmp_path / "v.nii", np.eye(4), TURNED, codes)
    expected = np.array([8 if codes[0] else -8, 6, 4]) * RAS
    np.testing.assert_allclose(point(read_volume(path, form)[1], (4, 6, 8)), expected, atol=1e-5)


def test_forms_may_lie_a_tenth_of_a_voxel_apart(tmp_path: Path) -> None:
    for shift, fits in ((0.09, True), (0.11, False)):
        moved = nibabel.affines.from_matvec(np.eye(3), [0, shift, 0])
        path = two_forms(tmp_path / "v.nii", np.eye(4), moved)
        if fits:
            np.testing.assert_array_equal(read_volume(path)[0], numbered())
        else:
            with pytest.raises(DataError, match=r"up to 0\.11 mm apart"):
                read_volume(path)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_packed_or_not_whatever_the_name_says(tmp_path: Path, kind: type) -> None:
    for suffix, other in ((".nii", ".nii.gz"), (".nii.gz", ".nii")):
        nibabel.save(kind(numbered().transpose(2, 1, 0), np.eye(4)), tmp_path / f"v{suffix}")
        (tmp_path / f"v{suffix}").rename(tmp_path / f"w{other}")
        np.testing.assert_array_equal(read_volume(tmp_path / f"w{other}")[0], numbered())


def test_a_slope_of_zero_scales_nothing(tmp_path: Path) -> None:
    path = tmp_path / "v.nii"
    values = np.clip(numbered(), -128, 127).astype(np.int8)
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), np.eye(4)), path)
    whole = bytearray(path.read_bytes())
    whole[112:116] = bytes(4)  # scl_slope
    path.write_bytes(whole)
    np.testing.assert_array_equal(read_volume(path)[0], values)


@pytest.mark.parametrize("unit", ["?", "mm", "um", "cm"])
def test_a_metaimage_is_measured_in_mm(tmp_path: Path, unit: str) -> None:
    """`DistanceUnits` of MetaIO, which ITK keeps and does not apply."""
    path = meta(tmp_path / "v.mha", numbered().tobytes(), DistanceUnits=unit)
    if unit in ("?", "mm"):
        np.testing.assert_array_equal(read_volume(path)[0], numbered())
        return
    with pytest.raises(DataError, match=r"^a volume must be measured in mm, but one is not"):
        read_volume(path)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
def test_encodings_and_skipped_bytes(tmp_path: Path, encoding: str) -> None:
    expected = np.arange(315).reshape(SHAPE) % 251
    skips = {"raw": ["7", "-1"], "ascii": ["0"]}.get(encoding, ["7"])
    for skip in skips:
        path = by_hand(tmp_path / "v.nrrd", encoding=encoding, byte_skip=skip)
        head, body = path.read_bytes().split(b"\n\n", 1)
        stored = b"1234567" + body
        if encoding == "ascii":
            stored = " ".join(map(str, body)).encode()
        elif encoding != "raw":
            stored = (gzip.compress if encoding == "gzip" else bz2.compress)(stored)
        path.write_bytes(head + b"\n\n" + stored)
        np.testing.assert_array_equal(read_volume(path)[0], expected)
