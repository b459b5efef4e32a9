"""What a structure set holds, and which of its regions is which structure."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from factories.dicom import contour_item, placed, rectangle, save, structure_dataset, uid
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from harness.base.errors import DataError
from harness.config.data import DEFAULT_PATTERNS
from harness.data.dicom.names import match
from harness.data.dicom.notes import at_stake
from harness.data.dicom.structures import Roi, StructureSet, read_structures

SQUARE = rectangle(placed((4, 60, 60)), 1, (3, 10), (4, 12))
UNREADABLE = "contours whose coordinates cannot be read"


def raw_contour(content: bytes, representation: str = "DS") -> Dataset:
    """A contour item whose coordinates are these bytes, unchecked by the writer."""
    item = contour_item(SQUARE)
    content += b" " * (len(content) % 2)
    tag = Tag(0x30060050)
    item[tag] = RawDataElement(tag, representation, len(content), content, 0, False, True)
    return item


def as_text(points: np.ndarray) -> bytes:
    return "\\".join(f"{value:.4f}" for value in np.ravel(points)).encode()


def structures(folder: Path, rois: object, **references: object) -> StructureSet:
    dataset = structure_dataset(rois, **references)  # type: ignore[arg-type]
    return read_structures(save(dataset, folder / "rs.dcm"))


def only(folder: Path, *contours: object) -> Roi:
    [roi] = structures(folder, {"one": list(contours)}).rois
    return roi


def test_names_numbers_and_points(tmp_path: Path) -> None:
    found = structures(tmp_path, {" Parotid L ": [SQUARE, SQUARE + 1], "none": []})
    assert [(roi.number, roi.name) for roi in found.rois] == [(1, "Parotid L"), (2, "none")]
    first, second = found.rois[0].contours
    assert first == pytest.approx(SQUARE)
    assert second == pytest.approx(SQUARE + 1)
    assert (found.rois[1].contours, found.rois[1].skipped) == ((), {})


@pytest.mark.parametrize(
    ("contour", "words"),
    [
        (contour_item([1, 2, 3], "POINT"), "POINT contours"),
        (contour_item(SQUARE, "OPEN_PLANAR"), "OPEN_PLANAR contours"),
        (contour_item(SQUARE, "OPEN_NONPLANAR"), "OPEN_NONPLANAR contours"),
        (SQUARE[:2], "contours of one or two points"),
        (SQUARE[:1], "contours of one or two points"),
        (raw_contour(b""), UNREADABLE),
        (raw_contour(b"1\\2\\3\\4"), UNREADABLE),
        (raw_contour(b"5"), UNREADABLE),
        (raw_contour(b"1\\nan\\3\\1\\2\\3\\4\\5\\6"), UNREADABLE),
        (raw_contour(b"1\\inf\\3\\1\\2\\3\\4\\5\\6"), UNREADABLE),
        (raw_contour(b"1\\soon\\3\\1\\2\\3\\4\\5\\6"), UNREADABLE),
        (raw_contour(b"\\\\\\\\\\\\\\\\"), UNREADABLE),
        (raw_contour(b"\xff\xfe\x00\x01", "UN"), UNREADABLE),
    ],
)
def test_what_is_no_closed_contour_is_counted_and_the_rest_is_kept(
    tmp_path: Path, contour: object, words: str
) -> None:
    roi = only(tmp_path, contour, SQUARE, contour)
    assert roi.skipped == {words: 2}
    assert len(roi.contours) == 1


def test_a_contour_item_without_coordinates(tmp_path: Path) -> None:
    item = contour_item(SQUARE)
    del item.ContourData
    assert only(tmp_path, item).skipped == {UNREADABLE: 1}


@pytest.mark.parametrize("kind", ["CLOSEDPLANAR_XOR", "closed_planar ", ""])
def test_other_spellings_of_closed(tmp_path: Path, kind: str) -> None:
    assert len(only(tmp_path, contour_item(SQUARE, kind)).contours) == 1


@pytest.mark.parametrize("points", [10, 8000], ids=["short", "beyond 64 kB"])
def test_coordinates_of_unknown_representation(tmp_path: Path, points: int) -> None:
    """Writers that cannot state a length above 64 kB use UN; pydicom then leaves the bytes."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    ring = np.column_stack([20 * np.cos(angle), 20 * np.sin(angle), np.full(points, 7.0)])
    for pad in (b"", b"\0 "):
        roi = only(tmp_path, raw_contour(as_text(ring) + pad, "UN"))
        assert roi.contours[0] == pytest.approx(ring, abs=1e-4)


@pytest.mark.parametrize("representation", ["DS", "UN", "LO", "UT", "LT"])
@pytest.mark.parametrize("comma", [False, True])
def test_numbers_as_text_of_any_representation(
    tmp_path: Path, representation: str, comma: bool
) -> None:
    """Converters under a German or French locale write decimal commas."""
    content = as_text(SQUARE).replace(b".", b",") if comma else as_text(SQUARE)
    roi = only(tmp_path, raw_contour(content, representation))
    assert roi.contours[0] == pytest.approx(SQUARE, abs=1e-4)
    assert not roi.left_out


@pytest.mark.parametrize(
    ("content", "points"),
    [
        (b"12,5\\3,0\\7\\1\\2\\7\\-4,25\\+5\\7,0", [[12.5, 3, 7], [1, 2, 7], [-4.25, 5, 7]]),
        (b"1e1\\3\\7\\1\\2\\7\\ 4,5e-1 \\5\\7", [[10, 3, 7], [1, 2, 7], [0.45, 5, 7]]),
    ],
)
def test_decimal_commas(tmp_path: Path, content: bytes, points: list[list[float]]) -> None:
    assert only(tmp_path, raw_contour(content)).contours[0].tolist() == points


@pytest.mark.parametrize(
    "content",
    [
        b"12,5\\3.0\\7\\1\\2\\7\\4\\5\\7",  # commas beside points
        b"1,234.5\\3\\7\\1\\2\\7\\4\\5\\7",
        b"1,234,5\\3\\7\\1\\2\\7\\4\\5\\7",
        b"1,2,3\\1,2,4\\1,3,4",  # commas between numbers
        b"1,\\,\\7\\1\\2\\7\\4\\5\\7",
    ],
)
def test_commas_of_two_meanings_are_not_read(tmp_path: Path, content: bytes) -> None:
    assert only(tmp_path, raw_contour(content)).skipped == {UNREADABLE: 1}


def test_a_number_of_points_that_contradicts_the_points_is_said(tmp_path: Path) -> None:
    items = [contour_item(SQUARE) for _ in range(3)]
    items[0].NumberOfContourPoints = 5
    del items[1].NumberOfContourPoints
    roi = only(tmp_path, *items)
    assert (len(roi.contours), roi.skipped) == (3, {})
    assert roi.left_out == ["1 contour of another number of points than they state"]
    assert at_stake(roi.left_out[0])


def offset_item(value: object) -> Dataset:
    item = contour_item(SQUARE)
    item.add_new(0x30060045, "DS", value)
    return item


@pytest.mark.parametrize("value", [[0, 0, 0], ["0.0", "-0.0", "0"], ""])
def test_an_offset_of_zero_moves_nothing(tmp_path: Path, value: object) -> None:
    roi = only(tmp_path, offset_item(value))
    assert (len(roi.contours), roi.refused) == (1, "")


def test_a_region_with_a_moved_contour_is_refused_whole(tmp_path: Path) -> None:
    dataset = {"Parotid_L": [SQUARE, offset_item([0, 0, 2.5])], "Parotid_R": [SQUARE]}
    left, right = structures(tmp_path, dataset).rois
    assert (left.contours, left.skipped) == ((), {"contours moved by an offset": 2})
    assert (right.refused, len(right.contours)) == ("", 1)
    assert match([left, right], ("parotid_right",), DEFAULT_PATTERNS) == {"parotid_right": right}
    with pytest.raises(DataError) as caught:
        match([left, right], ("parotid_left", "parotid_right"), DEFAULT_PATTERNS)
    assert str(caught.value) == (
        "parotid_left ('Parotid_L'): its contours must lie where their points say, but it has a "
        "Contour Offset Vector (3006,0045), which is no longer in use and read in two ways; export "
        "the structure set without it"
    )


def test_regions_and_contours_are_joined_by_number(tmp_path: Path) -> None:
    dataset = structure_dataset({"a": [SQUARE], "b": [SQUARE + 1], "c": [SQUARE + 2]})
    dataset.ROIContourSequence = dataset.ROIContourSequence[::-1]
    del dataset.ROIContourSequence[0].ReferencedROINumber  # of c
    found = read_structures(save(dataset, tmp_path / "rs.dcm"))
    assert [len(roi.contours) for roi in found.rois] == [1, 1, 0]
    assert found.rois[1].contours[0] == pytest.approx(SQUARE + 1)


def test_references(tmp_path: Path) -> None:
    dataset = structure_dataset(
        {"a": [SQUARE]}, images=[uid(1), uid(2)], series=uid(3), frame=uid(4)
    )
    image = Dataset()
    image.ReferencedSOPInstanceUID = uid(5)
    dataset.ROIContourSequence[0].ContourSequence[0].ContourImageSequence = [image]
    dataset.FrameOfReferenceUID = uid(6)
    found = read_structures(save(dataset, tmp_path / "rs.dcm"))
    assert found.images == {uid(1), uid(2), uid(5)}
    assert (found.series, found.frames) == ({uid(3)}, {uid(4), uid(6)})
    assert found.written == "20200101120000"


def test_a_set_without_any_reference_or_region(tmp_path: Path) -> None:
    dataset = structure_dataset({}, frame="")
    del dataset.ROIContourSequence
    del dataset.StructureSetDate
    found = read_structures(save(dataset, tmp_path / "rs.dcm"))
    assert (found.rois, found.images, found.series, found.frames) == ((), set(), set(), set())
    assert found.written == ""  # a time without its date orders nothing


def found_or_reason(path: Path) -> StructureSet | str:
    try:
        return read_structures(path)
    except DataError as error:
        return str(error)


@pytest.mark.parametrize("content", [b"", b"no DICOM at all", b"\0" * 128 + b"DICM" + b"\x08\x00"])
def test_a_broken_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rs.dcm").write_bytes(content)
    found = found_or_reason(tmp_path / "rs.dcm")
    if isinstance(found, str):
        assert found.startswith("a structure set must be a readable DICOM file, but this one is")
    else:
        assert found.rois == ()


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_cut_off_file_ends_in_a_sentence_or_its_intact_part(tmp_path: Path, share: float) -> None:
    path = save(structure_dataset({"a": [SQUARE] * 20, "b": [SQUARE] * 20}), tmp_path / "rs.dcm")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    found = found_or_reason(path)
    if isinstance(found, str):
        assert found.startswith("a structure set must be a readable DICOM file, but this one is")
    else:
        assert all(np.isfinite(c).all() for roi in found.rois for c in roi.contours)


def test_parsing_warns_of_nothing(tmp_path: Path) -> None:
    """pydicom's warnings quote values."""
    dataset = structure_dataset({"a": [raw_contour(b"1\\nan\\3\\1\\2\\3\\4\\5\\6")]})
    tag = Tag(0x0020000E)
    dataset[tag] = RawDataElement(tag, "UI", 8, b"Jane Doe", 0, False, True)
    path = save(dataset, tmp_path / "rs.dcm")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        read_structures(path)
    assert not warned


# Names.

LEFT = [
    "Parotid_L", "Parotid L", "parotid-l", "PAROTID_LT", "Parotid.Lt", "Parotid Left", "ParotidL",
    "Parotid_Left", "PAROTID LEFT", "Lt Parotid", "LT_PAROTID", "L Parotid", "L_Parotid",
    "LParotid", "Left Parotid", "Left Parotid Gland", "left_parotid_gland", "LeftParotid",
    "Parotid Gland L", "Parotid gland left", "Glnd_Parotid_L", "Gland_Parotid_Lt", "Parotids_L",
    "Par_L", "l par", "Parotid sin",
]  # fmt: skip
NEITHER = [
    "Parotid", "Parotids", "Parotid_L_PRV", "PRV Parotid L", "Parotid_L+3mm", "PTV-Parotid_L",
    "zParotid_L", "Parotid_LR", "Submandibular_L", "Glnd_Submand_L", "Lens_L", "Parametrium_L",
    "Parotid_L opt", "Lung L", "Left", "L", "Spar_L", "BODY", "Parietal L",
]  # fmt: skip


def rois(*names: str, contours: int = 1) -> list[Roi]:
    return [Roi(number, name, (SQUARE,) * contours) for number, name in enumerate(names, 1)]


def mirrored(name: str) -> str:
    """The right structure's name, in the same writing."""
    swaps = {
        "sin": "dex", "left": "right", "Left": "Right", "LEFT": "RIGHT", "Lt": "Rt", "LT": "RT",
    }  # fmt: skip
    for left, right in swaps.items():
        if left in name:
            return name.replace(left, right)
    if name[0] in "lL":
        return {"l": "r", "L": "R"}[name[0]] + name[1:]
    return name[:-1] + {"l": "r", "L": "R"}[name[-1]]


@pytest.mark.parametrize("name", LEFT)
def test_ways_to_write_a_side(name: str) -> None:
    listed = rois("BODY", mirrored(name), "Mandible", name)
    found = match(listed, ("parotid_left", "parotid_right"), DEFAULT_PATTERNS)
    assert (found["parotid_left"].name, found["parotid_right"].name) == (name, mirrored(name))


@pytest.mark.parametrize("name", NEITHER)
def test_names_of_something_else(name: str) -> None:
    with pytest.raises(DataError):
        match(rois(name), ("parotid_left", "parotid_right"), DEFAULT_PATTERNS)


def test_two_regions_of_one_structure_are_listed() -> None:
    with pytest.raises(DataError) as caught:
        match(rois("Parotid_L", "Lt Parotid", "BODY"), ("parotid_left",), DEFAULT_PATTERNS)
    assert str(caught.value) == (
        "one ROI must match parotid_left, but got 'Parotid_L', 'Lt Parotid'; narrow "
        "data.patterns.parotid_left"
    )


def test_a_region_without_contours_does_not_compete() -> None:
    listed = [*rois("Parotid_L", contours=0), *rois("Lt Parotid")]
    found = match(listed, ("parotid_left",), DEFAULT_PATTERNS)
    assert found["parotid_left"].name == "Lt Parotid"


def test_one_structure_of_two_is_enough() -> None:
    found = match(rois("Parotid_R"), ("parotid_left", "parotid_right"), DEFAULT_PATTERNS)
    assert list(found) == ["parotid_right"]


def test_without_any_the_regions_that_are_there_are_listed() -> None:
    with pytest.raises(DataError) as caught:
        match(
            [*rois("Cord", "BODY"), *rois("Empty", contours=0)], ("parotid_left",), DEFAULT_PATTERNS
        )
    assert str(caught.value) == (
        "parotid_left must be contoured, but its structure set has 'BODY', 'Cord'; see "
        "data.patterns, which stand in the place of the usual names"
    )
    with pytest.raises(DataError) as caught:
        match(rois("Cord"), ("parotid_left",), {})
    assert str(caught.value) == (
        "parotid_left must be contoured, but its structure set has 'Cord'; see data.patterns"
    )
    with pytest.raises(DataError, match=r"'R19' and 5 more; see data\.patterns"):
        match(rois(*[f"R{n:02d}" for n in range(25)]), ("parotid_left",), DEFAULT_PATTERNS)
    with pytest.raises(DataError, match="but its structure set has no contours"):
        match(rois("Parotid_L", contours=0), ("parotid_left",), DEFAULT_PATTERNS)


def test_a_pattern_may_match_anywhere_in_a_name() -> None:
    assert (
        match(rois("X arotid"), ("structure",), {"structure": ("aro",)})["structure"].name
        == "X arotid"
    )


def test_a_structure_without_patterns_goes_by_its_own_name() -> None:
    found = match(rois("SPINAL_CORD", "spinal_cord_prv"), ("spinal_cord",), DEFAULT_PATTERNS)
    assert found["spinal_cord"].name == "SPINAL_CORD"
    assert match(rois("A.B"), ("a.b",), {})["a.b"].name == "A.B"
    with pytest.raises(DataError):
        match(rois("AxB"), ("a.b",), {})
