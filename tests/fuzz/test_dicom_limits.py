"""Files that are meant to do harm, and files that lie: what the fuzzer found, one by one."""

from __future__ import annotations

import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from dicom_tree import (
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    Element,
    encode,
    file_of,
    mark,
    tree_of,
)
from factories.dicom import (
    contour_item,
    open_series,
    placed,
    rectangle,
    save,
    save_series,
    series_datasets,
    structure_dataset,
)
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from harness.base.errors import DataError
from harness.data.dicom.geometry import Grid
from harness.data.dicom.raster import draw
from harness.data.dicom.series import read_hu
from harness.data.dicom.slices import MOST_SIDE
from harness.data.dicom.structures import FARTHEST_MM, LONGEST_NAME, read_structures
from harness.data.dicom.walk import MOST_INFLATED, walk

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # while writing

SHAPE = (4, 40, 50)
AFFINE = placed(SHAPE)
GRID = Grid(AFFINE, SHAPE, (0, 1, 2, 3))
BOX = rectangle(AFFINE, 1, (9.5, 19.5), (9.5, 29.5))


def structures(folder: Path, change: Callable[[Dataset], None] = lambda d: None) -> Path:
    dataset = structure_dataset({"one": [BOX], "two": [BOX + 1]})
    change(dataset)
    return save(dataset, folder / "rs.dcm")


def series_reason(folder: Path, change: Callable[[int, Dataset], None], pixels: bool) -> str:
    """Why a series of changed slices is refused."""
    datasets = series_datasets(np.zeros(SHAPE, int), AFFINE)
    for index, dataset in enumerate(datasets):
        change(index, dataset)
    save_series(datasets, folder / "in")
    headers = walk(folder / "in", None)
    with pytest.raises(DataError) as caught:
        read_hu(open_series(headers)) if pixels else open_series(headers)
    return str(caught.value)


def test_a_deflated_file_of_a_thousand_times_its_size_is_not_inflated(tmp_path: Path) -> None:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = packer.compress(encode(tree_of(structure_dataset({"one": [BOX]}))))
    body += packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    body += zeros * (2 * MOST_INFLATED // 2**24) + packer.flush()
    (tmp_path / "bomb.dcm").write_bytes(file_of(body, DeflatedExplicitVRLittleEndian))
    tracemalloc.start()
    [header] = walk(tmp_path, None)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (header.kind, header.reason) == ("", "it is not a readable DICOM file")
    assert most < MOST_INFLATED / 4


@pytest.mark.parametrize("side", ["Rows", "Columns"])
@pytest.mark.parametrize("count", [0, MOST_SIDE + 1, 65535])
def test_a_slice_of_absurd_size_is_refused(tmp_path: Path, side: str, count: int) -> None:
    def change(_: int, dataset: Dataset) -> None:
        setattr(dataset, side, count)

    size = f"{count} x 50" if side == "Rows" else f"40 x {count}"
    assert series_reason(tmp_path, change, pixels=False) == (
        f"every slice must have 1 to 8192 rows and columns, but file 1 says {size}; export the "
        "series again"
    )


def test_a_volume_beyond_memory_is_refused_before_it_is_made(tmp_path: Path) -> None:
    def change(_: int, dataset: Dataset) -> None:
        dataset.Rows = dataset.Columns = 8192

    slices = 2 + psutil.virtual_memory().total // (5 * 8192**2)
    datasets = series_datasets(np.zeros((slices, 2, 2), int), placed((slices, 2, 2)))
    for index, dataset in enumerate(datasets):
        change(index, dataset)
    save_series(datasets, tmp_path / "in")
    with pytest.raises(DataError) as caught:
        open_series(walk(tmp_path / "in", None))
    assert str(caught.value).startswith("the volume of a series must fit the free memory")
    assert f"but its header claims {slices} x 8192 x 8192 voxels" in str(caught.value)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImagePositionPatient", ["1e300", "0", "0"]),
        ("ImagePositionPatient", ["0", "-1e7", "0"]),
        ("PixelSpacing", ["1e-300", "1"]),
        ("PixelSpacing", ["1", "1e12"]),
        ("PixelSpacing", ["1", "-1"]),
    ],
)
def test_geometry_of_no_body_is_refused(tmp_path: Path, keyword: str, value: list[str]) -> None:
    def change(_: int, dataset: Dataset) -> None:
        setattr(dataset, keyword, value)

    said = series_reason(tmp_path, change, pixels=False)
    assert said.startswith("every slice must give its position, orientation, pixel spacing")


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
@pytest.mark.parametrize("number", ["nan", "inf"])
def test_a_rescale_that_is_no_number_is_refused(tmp_path: Path, keyword: str, number: str) -> None:
    def change(index: int, dataset: Dataset) -> None:
        setattr(dataset, keyword, number if index == 2 else 1)

    said = series_reason(tmp_path, change, pixels=True)
    assert said.startswith("pixels of every slice must decode, but those of file")


@pytest.mark.parametrize("lost", range(2, 400, 40))
def test_a_structure_set_that_is_cut_off_is_refused(tmp_path: Path, lost: int) -> None:
    """pydicom takes the shortened last sequence without a word: contours would be missing."""
    path = structures(tmp_path)
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(DataError, match=r"^a structure set must be a readable DICOM file, but"):
        read_structures(path)


def test_contours_of_a_number_that_two_regions_have_belong_to_neither(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        dataset.StructureSetROISequence[1].ROINumber = 1
        dataset.ROIContourSequence[1].ReferencedROINumber = 1

    for roi in read_structures(structures(tmp_path, change)).rois:
        assert roi.contours == ()
        assert roi.left_out == ["2 contours of a number that several ROIs have left out"]


def test_contours_beyond_any_body_are_left_out(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        far = contour_item(BOX)
        far.ContourData = [f"{value:.3g}" for value in np.ravel(BOX * FARTHEST_MM)]
        dataset.ROIContourSequence[0].ContourSequence.append(far)

    roi, _ = read_structures(structures(tmp_path, change)).rois
    assert len(roi.contours) == 1
    assert roi.left_out == ["1 contour whose coordinates cannot be read left out"]


def test_names_and_types_of_contours_are_one_short_line(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        dataset.StructureSetROISequence[0].ROIName = "Parotid\r\nL" + "x" * 1000
        dataset.ROIContourSequence[0].ContourSequence[0].ContourGeometricType = "JANE DOE"

    roi, _ = read_structures(structures(tmp_path, change)).rois
    assert roi.name == ("Parotid  L" + "x" * 1000)[:LONGEST_NAME]
    assert roi.left_out == ["1 contour of an unknown type left out"]


def deep_sequence(tag: int, undefined: bool) -> bytes:
    """An element whose items hold one like it, and so on, deeper than Python's stack."""
    body = b""
    for _ in range(2000):
        if undefined:
            body = mark(ITEM, UNDEFINED) + body + mark(ITEM_END, 0) + mark(SEQUENCE_END, 0)
        else:
            body = mark(ITEM, len(body)) + body
        body = encode([Element(tag, b"SQ", body, undefined)])
    return body


@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_in_sequences_deeper_than_the_stack(tmp_path: Path, undefined: bool) -> None:
    tree = tree_of(structure_dataset({"one": [BOX]}))
    kept = [element for element in tree if element.tag < 0x30060010]
    body = encode(kept) + deep_sequence(0x30060010, undefined) + encode(tree[len(kept) + 1 :])
    (tmp_path / "rs.dcm").write_bytes(file_of(body))
    if undefined:  # parsed to its end at once
        with pytest.raises(DataError, match=r"^a structure set must be a readable DICOM file, but"):
            read_structures(tmp_path / "rs.dcm")
    else:
        [roi] = read_structures(tmp_path / "rs.dcm").rois
        assert len(roi.contours) == 1


def test_a_contour_to_and_fro_fifty_thousand_times_is_quick() -> None:
    """Its least point is passed every time."""
    ends = np.array([BOX[0], BOX[2]])
    started = time.process_time()
    found = draw([np.tile(ends, (50_000, 1)), BOX], GRID)
    assert time.process_time() - started < 20
    assert (found.mask.sum(), found.repeats) == (200, 0)


def test_an_edge_across_all_rows_a_hundred_thousand_times_takes_little_memory() -> None:
    count = 100_001
    rows = np.where(np.arange(count) % 2, 39.2, 0.3)
    columns = np.linspace(10, 30, count)
    points = np.column_stack([np.ones(count), rows, columns]) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    tracemalloc.start()
    draw([points], GRID)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 250e6  # crossings alone would take 250 MB
