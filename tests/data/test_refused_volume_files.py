"""Files that hold no volume, hold less or more than they say, or are damaged: each is refused in a
sentence, within memory."""

from __future__ import annotations

import bz2
import gzip
import tracemalloc
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from factories.volumes import (
    FEWER,
    GEOMETRIES,
    MORE,
    NO_GEOMETRY,
    READ,
    SHAPE,
    by_hand,
    meta,
    numbered,
    placed,
)

from harness.base.errors import DataError
from harness.data.volume_files import read_volume

# --- voxels unlike their header, or elsewhere -----------------------------------------------------

UNLIKE = {
    "fewer": (numbered().tobytes()[:-1], {}, FEWER),
    "more": (numbered().tobytes() + b"x", {}, MORE),
    "bytes": (numbered().tobytes(), {"ElementType": "MET_UCHAR"}, MORE),
    "fewer packed": (zlib.compress(numbered().tobytes()[:-1]), {"CompressedData": "True"}, FEWER),
    "more packed": (zlib.compress(numbered().tobytes() + b"x"), {"CompressedData": "True"}, MORE),
    "cut": (zlib.compress(numbered().tobytes())[:-1], {"CompressedData": "True"}, FEWER),
    "no place": (b"", {"Offset": ""}, NO_GEOMETRY),
    "no spacing": (b"", {"ElementSpacing": ""}, NO_GEOMETRY),
    "no directions": (b"", {"TransformMatrix": ""}, NO_GEOMETRY),
    "colours": (
        b"",
        {"ElementNumberOfChannels": "3"},
        "a volume must have one number a voxel, but one has 3; export it in grey",
    ),
    "text": (
        b"1 2 3",
        {"BinaryData": "False"},
        "the voxels of a MetaImage must be binary, but one has text; save it again",
    ),
    "no type": (
        b"",
        {"ElementType": "MET_OTHER"},
        "a volume must be a readable NIfTI, NRRD or MetaImage file, but one is not (KeyError); "
        "export it again",
    ),
    "files": (
        b"",
        {"ElementDataFile": "LIST"},
        "the voxels of a MetaImage must be in its file (.mha) or in one beside it (.mhd), but one "
        "names others; save it again",
    ),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_a_metaimage_unlike_its_header_is_refused(tmp_path: Path, case: str) -> None:
    voxels, fields, sentence = UNLIKE[case]
    with pytest.raises(DataError) as caught:
        read_volume(meta(tmp_path / "v.mha", voxels, **fields))
    assert str(caught.value) == sentence


ELSEWHERE = (
    "the voxels of a header must lie in one file beside it, but it names another folder; move "
    "them, and correct the header"
)
NOT_THERE = (
    "the voxels of a header must lie in one file beside it, but there is none of the name that it "
    "gives; add the file"
)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("../secret.raw", ELSEWHERE),
        ("below/secret.raw", ELSEWHERE),
        ("/etc/hostname", ELSEWHERE),
        ("..", ELSEWHERE),
        ("secret.raw", NOT_THERE),
        ("C:\\secret\\v.raw", NOT_THERE),
    ],
)
def test_voxels_elsewhere_are_refused(tmp_path: Path, name: str, sentence: str) -> None:
    for path in (tmp_path / "secret.raw", tmp_path / "in" / "below" / "secret.raw"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(numbered().tobytes())
    for path in (
        meta(tmp_path / "in" / "v.mhd", b"", ElementDataFile=name),
        by_hand(tmp_path / "in" / "v.nhdr", data_file=name),
    ):
        with pytest.raises(DataError) as caught:
            read_volume(path)
        assert str(caught.value) == sentence


@pytest.mark.parametrize("suffix", ["img", "img.gz"])
def test_a_pair_with_more_voxels_than_its_header_says_is_refused(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"v.{suffix}"
    nibabel.save(nibabel.Nifti1Pair(numbered().transpose(2, 1, 0), np.eye(4)), path)
    header = path.with_name(path.name.replace("img", "hdr"))
    np.testing.assert_array_equal(read_volume(header)[0], numbered())
    pack = gzip.compress if suffix == "img.gz" else bytes
    path.write_bytes(path.read_bytes() + pack(b"12"))
    with pytest.raises(DataError, match=r"as many voxels as its header says, but one has more"):
        read_volume(header)


def test_half_a_pair_is_refused(tmp_path: Path) -> None:
    sitk.WriteImage(placed(numbered(), GEOMETRIES["axial"]), str(tmp_path / "v.hdr"))
    (tmp_path / "v.img").unlink()
    with pytest.raises(DataError) as caught:
        read_volume(tmp_path / "v.hdr")
    assert str(caught.value) == NOT_THERE


@pytest.mark.parametrize("kind", [nibabel.AnalyzeImage, nibabel.Spm99AnalyzeImage])
def test_analyze_is_refused(tmp_path: Path, kind: type) -> None:
    nibabel.save(kind(numbered(), np.eye(4)), tmp_path / "v.hdr")
    with pytest.raises(DataError) as caught:
        read_volume(tmp_path / "v.hdr")
    assert str(caught.value) == (
        "a volume must give a position and three directions, but one is in the Analyze 7.5 format "
        "(.hdr, .img), which does not say which side is left; convert the original DICOM to NIfTI"
    )


# --- headers that claim too much ----------------------------------------------------------------


def huge(path: Path) -> Path:
    if path.suffix == ".nrrd":
        by_hand(path, sizes="30 30 30", encoding="gzip")
        path.write_bytes(path.read_bytes().replace(b"30 30 30", b"30000 30000 30000"))
    elif path.suffix == ".mha":
        meta(path, zlib.compress(bytes(100)), DimSize="30000 30000 30000", CompressedData="True")
    else:
        nibabel.save(nibabel.Nifti1Image(numbered(), np.eye(4)), path)
        header = bytearray(gzip.decompress(path.read_bytes()))
        header[42:48] = np.full(3, 30000, np.int16).tobytes()  # dim
        path.write_bytes(gzip.compress(bytes(header)))
    return path


@pytest.mark.parametrize("suffix", [".nrrd", ".seg.nrrd", ".nii.gz", ".mha", ".hdr"])
def test_a_file_that_cannot_be_opened_is_not_called_damaged(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"v{suffix}"
    path.symlink_to("v.nowhere")
    if suffix == ".hdr":
        path.with_suffix(".img").touch()
    with pytest.raises(DataError) as caught:
        read_volume(path)
    assert str(caught.value) == (
        "a volume must be a readable NIfTI, NRRD or MetaImage file, but one cannot be opened (No "
        "such file or directory); check the file, its permissions or its link"
    )


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_a_header_that_claims_more_than_the_memory_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(DataError) as caught:
        read_volume(huge(tmp_path / f"v{suffix}"))
    assert str(caught.value).startswith("a volume must fit the free memory (")
    assert "but its header claims 30000 x 30000 x 30000 voxels" in str(caught.value)


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
def test_a_packed_stream_is_not_unpacked_beyond_its_header(tmp_path: Path, encoding: str) -> None:
    path = by_hand(tmp_path / "v.nrrd", encoding=encoding)
    head, body = path.read_bytes().split(b"\n\n", 1)
    pack = gzip.compress if encoding == "gzip" else bz2.compress
    for voxels, sentence in ((body + bytes(1 << 28), MORE), (body[:-1], FEWER)):
        path.write_bytes(head + b"\n\n" + pack(voxels))
        tracemalloc.start()
        with pytest.raises(DataError) as caught:
            read_volume(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
        tracemalloc.stop()
        assert str(caught.value) == sentence
    path.write_bytes(head + b"\n\n" + pack(body))
    assert read_volume(path)[0][4, 6, 8] == 314 % 251


# --- what is refused ----------------------------------------------------------------------------

REFUSED = {
    "no directions": ({"without": "space directions"}, NO_GEOMETRY),
    "no origin": ({"without": "space origin"}, NO_GEOMETRY),
    "flat directions": ({"space_directions": "(1,0,0) (0,2,0) (0,4,0)"}, NO_GEOMETRY),
    "one direction": ({"space_directions": "(1,0,0) none none"}, NO_GEOMETRY),
    "no number": ({"space_origin": "(nan,0,0)"}, NO_GEOMETRY),
    "metres": (
        {"space_units": '"m" "m" "m"'},
        "a volume must be measured in mm, but one is not; export it again",
    ),
    "elsewhere": (
        {"space": "scanner-xyz"},
        "the space of an NRRD volume must be one of las, left-anterior-superior, "
        "left-posterior-superior, lps, ras, right-anterior-superior, but one has another; export "
        "it again in LPS",
    ),
    "nowhere": (
        {"without": "space"},
        "the space of an NRRD volume must be one of las, left-anterior-superior, "
        "left-posterior-superior, lps, ras, right-anterior-superior, but one has none; export it "
        "again in LPS",
    ),
    "skipped lines": (
        {"line_skip": "1000000000000"},
        "the voxels of an NRRD volume must follow its header, but one skips lines; save it again",
    ),
    "skipped bytes": (
        {"byte_skip": "1000000000000"},
        "a volume must have as many voxels as its header says, but one has fewer; export it again",
    ),
    "a list of files": (
        {"data_file": "other.raw"},
        "the voxels of an NRRD volume must be in its file, but one has a list; where they lie "
        "beside it, call it .nhdr",
    ),
    "too few voxels": (
        {"type": "int16", "endian": "little"},
        "a volume must have as many voxels as its header says, but one has fewer; export it again",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_volume_without_a_place_is_refused(tmp_path: Path, case: str) -> None:
    fields, sentence = REFUSED[case]
    with pytest.raises(DataError) as caught:
        read_volume(by_hand(tmp_path / "v.nrrd", **fields))
    assert str(caught.value) == sentence


def test_an_order_of_bytes_is_not_made_up(tmp_path: Path) -> None:
    path = by_hand(tmp_path / "v.nrrd", type="int16")
    path.write_bytes(path.read_bytes() + bytes(315))
    with pytest.raises(DataError, match=r"but one is not \(NRRDError\); export it again$"):
        read_volume(path)


def test_nifti_without_any_form_is_refused(tmp_path: Path) -> None:
    """Its readers make up a place, each another."""
    nibabel.save(nibabel.Nifti1Image(numbered(), None), tmp_path / "v.nii")
    with pytest.raises(DataError, match=rf"^{NO_GEOMETRY}$"):
        read_volume(tmp_path / "v.nii")


@pytest.mark.parametrize("unit", ["meter", "micron"])
def test_nifti_in_another_unit_is_refused(tmp_path: Path, unit: str) -> None:
    image = nibabel.Nifti1Image(numbered(), np.eye(4))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "v.nii")
    with pytest.raises(
        DataError, match=rf"^a volume must be measured in mm, but one is in {unit}; export"
    ):
        read_volume(tmp_path / "v.nii")


def test_coloured_nifti_is_refused(tmp_path: Path) -> None:
    colours = np.zeros((3, 4, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), tmp_path / "v.nii")
    with pytest.raises(DataError, match=r"^a volume must have one number a voxel, but one has"):
        read_volume(tmp_path / "v.nii")


def test_a_picture_is_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5), np.int16), np.eye(4)), tmp_path / "v.nii")
    with pytest.raises(
        DataError, match=r"^a volume must have three axes, but one has 4 x 5; export it whole$"
    ):
        read_volume(tmp_path / "v.nii")


@pytest.mark.parametrize("suffix", READ)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.97])
def test_cut_off_files_are_refused(
    tmp_path: Path, suffix: str, packed: bool, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(-999, 999, SHAPE, np.int16)
    path = tmp_path / f"secret{suffix}"
    sitk.WriteImage(placed(noise, GEOMETRIES["axial"]), str(path), packed)
    [cut] = [other for other in tmp_path.iterdir() if other != path] or [path]
    cut.write_bytes(cut.read_bytes()[: int(cut.stat().st_size * share)])
    with pytest.raises(DataError) as caught:
        read_volume(path)
    assert "secret" not in str(caught.value) + "".join(capfd.readouterr())


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha", ".mhd", ".nhdr"])
def test_a_damaged_packed_stream_is_refused(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(-999, 999, SHAPE, np.int16)
    path = tmp_path / f"v{suffix}"
    sitk.WriteImage(placed(noise, GEOMETRIES["axial"]), str(path), True)
    [damaged] = [other for other in tmp_path.iterdir() if other != path] or [path]
    whole = bytearray(damaged.read_bytes())
    for place in (-20, -60, -100):
        hurt = whole.copy()
        hurt[place] ^= 0xFF
        damaged.write_bytes(hurt)
        with pytest.raises(DataError):
            read_volume(path)


def test_a_missing_file_is_refused_without_its_path(tmp_path: Path) -> None:
    for suffix in READ[:-1]:
        with pytest.raises(DataError) as caught:
            read_volume(tmp_path / f"secret{suffix}")
        assert str(caught.value).startswith("a volume must be a readable NIfTI, NRRD or MetaImage")
        assert "secret" not in str(caught.value)
