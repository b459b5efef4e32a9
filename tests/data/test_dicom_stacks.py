"""Series UIDs that hold more than one volume, or things beside it: parted, no more than needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_folder import BOTH, only
from factories.dicom import (
    open_series,
    placed,
    save,
    save_series,
    series_datasets,
    structure_dataset,
    uid,
)
from pydicom.dataset import Dataset

from harness.data.dicom.series import Series, all_series, read_hu
from harness.data.dicom.walk import walk

SHAPE = (8, 6, 9)
CORONAL = (1, 0, 0, 0, 0, -1)


def part(
    value: int,
    origin: Sequence[float] = (0, 0, 0),
    slices: int = SHAPE[0],
    spacing: tuple[float, float, float] = (3.0, 1.0, 1.0),
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    **elements: Any,
) -> list[Dataset]:
    """Slices of one value, with identifiers of their own."""
    shape = (slices, *SHAPE[1:])
    affine = placed(shape, spacing, orientation, origin)
    datasets = series_datasets(np.full(shape, value), affine)
    for index, dataset in enumerate(datasets):
        dataset.SOPInstanceUID = uid(7, value + 2000, index)
        for keyword, given in elements.items():
            setattr(dataset, keyword, given(index) if callable(given) else given)
    return datasets


def looked(folder: Path, *parts: Sequence[Dataset]) -> list[tuple[int, Series | None, str]]:
    """Files of each stack, the stack, and why there is none."""
    save_series([dataset for each in parts for dataset in each], folder / "in")
    found = all_series(walk(folder / "in", None))
    return [(len(files), series, reason) for files, series, reason in found]


def volumes(folder: Path, *parts: Sequence[Dataset]) -> dict[int, tuple[int, ...]]:
    """Value and shape of every stack, each of one value throughout."""
    found = {}
    for files, series, reason in looked(folder, *parts):
        assert series is not None, reason
        hu = read_hu(series)
        assert hu.min() == hu.max()
        assert files == len(series.headers) + series.repeats
        found[int(hu.min())] = hu.shape
    return found


ATTRIBUTES: list[dict[str, Sequence[Any] | Callable[[int, int], Any]]] = [
    {"AcquisitionNumber": (1, 2)},
    {"TemporalPositionIdentifier": (1, 2)},
    {"EchoNumbers": (1, 2)},
    {"TriggerTime": ("0", "400")},
    {"NominalPercentageOfCardiacPhase": (0.0, 50.0)},
    {"ImageType": (["ORIGINAL", "PRIMARY", "AXIAL"], ["DERIVED", "SECONDARY", "AXIAL"])},
    {"NominalPercentageOfRespiratoryPhase": (0.0, 50.0)},
    {"SliceThickness": ("3", "1")},
    {"ImageComments": ("0 %", "50 %")},
    {"KVP": ("80", "140")},
    {"ConvolutionKernel": ("B30", "B60")},
    {"SeriesNumber": (3, 4)},
    {"SeriesDescription": ("plain", "contrast")},
    {"AcquisitionTime": ("120000", "120500")},
    {"ContentTime": ("120000", "120500")},
    {"FrameOfReferenceUID": (uid(9, 1), uid(9, 2))},
]


@pytest.mark.parametrize("which", ATTRIBUTES, ids=lambda which: next(iter(which)))
def test_two_volumes_at_the_same_places_are_told_apart(tmp_path: Path, which: Any) -> None:
    [(keyword, (first, second))] = which.items()
    parts = part(-100, **{keyword: first}), part(-200, **{keyword: second})
    assert volumes(tmp_path, *parts) == {-100: SHAPE, -200: SHAPE}


def test_the_words_say_that_it_is_not_all(tmp_path: Path) -> None:
    found = looked(tmp_path, part(1, AcquisitionNumber=1), part(2, AcquisitionNumber=2))
    notes = [series.notes for _, series, _ in found if series]
    assert len(notes) == 2
    for [note] in notes:
        assert note.startswith(
            "of the 16 slices of its series, told apart by acquisition, this stack has 8, file "
        )


def test_ten_phases_beside_other_numbers(tmp_path: Path) -> None:
    """Time of each slice and acquisition of each bed position tell nothing; the phase does."""
    parts = [
        part(
            -10 * phase,
            AcquisitionNumber=lambda index: index // 4,
            AcquisitionTime=lambda index, phase=phase: f"12{index:02d}{phase:02d}",
            TemporalPositionIdentifier=phase,
        )
        for phase in range(1, 11)
    ]
    assert volumes(tmp_path, *parts) == {-10 * phase: SHAPE for phase in range(1, 11)}


def test_two_attributes_together(tmp_path: Path) -> None:
    """Two phases of two energies: neither alone gives every slice a place of its own."""
    parts = [
        part(-100 * phase - kvp, TemporalPositionIdentifier=phase, KVP=str(kvp))
        for phase in (1, 2)
        for kvp in (80, 140)
    ]
    wanted = {-180: SHAPE, -240: SHAPE, -280: SHAPE, -340: SHAPE}
    assert volumes(tmp_path, *parts) == wanted


def test_one_sound_volume_stays_one_whatever_its_numbers_say(tmp_path: Path) -> None:
    """Alternating acquisitions, and a time and type of each slice."""
    datasets = part(
        5,
        AcquisitionNumber=lambda index: index % 3,
        AcquisitionTime=lambda index: f"1200{index:02d}",
        ImageType=lambda index: ["ORIGINAL", "PRIMARY", f"TYPE{index}"],
    )
    assert volumes(tmp_path, datasets) == {5: SHAPE}


def test_acquisitions_one_after_the_other_are_one_volume_of_uneven_steps(tmp_path: Path) -> None:
    upper = part(5, (0, 0, 48), AcquisitionNumber=2)
    lower = part(5, (0, 0, 0), spacing=(6.0, 1, 1), AcquisitionNumber=1)  # ends at 42
    [(_, series, _)] = looked(tmp_path, lower, upper)
    assert series is not None
    assert series.notes == ("slices 3 to 6 mm apart are brought to 3 mm",)
    assert (series.planes.shape[0], series.grid.shape[0]) == (16, (48 + 21) // 3 + 1)


def test_neck_and_chest_that_overlap_are_two(tmp_path: Path) -> None:
    parts = part(-1, AcquisitionNumber=1), part(-2, (0, 0, 18), AcquisitionNumber=2)
    assert volumes(tmp_path, *parts) == {-1: SHAPE, -2: SHAPE}


def test_interleaved_volumes_are_two_and_no_fine_one(tmp_path: Path) -> None:
    parts = part(-1, AcquisitionNumber=1), part(-2, (0, 0, 1), AcquisitionNumber=2)
    assert volumes(tmp_path, *parts) == {-1: SHAPE, -2: SHAPE}


def test_blank_slices_that_two_volumes_share_are_in_both(tmp_path: Path) -> None:
    """Both end in air: equal pixels at one place are no copies here."""
    first, second = part(-1, AcquisitionNumber=1), part(-2, AcquisitionNumber=2)
    first[0].PixelData = second[0].PixelData = bytes(len(first[0].PixelData))
    shapes = [series.grid.shape for _, series, _ in looked(tmp_path, first, second) if series]
    assert shapes == [SHAPE, SHAPE]


def test_repeats_are_left_out_of_each_part(tmp_path: Path) -> None:
    first, second = part(-1, AcquisitionNumber=1), part(-2, AcquisitionNumber=2)
    again = part(-1, AcquisitionNumber=1)[3:5]
    for index, dataset in enumerate(again):
        dataset.SOPInstanceUID = uid(8, index)
    found = looked(tmp_path, first, second, again)
    assert sorted(series.repeats for _, series, _ in found if series) == [0, 2]


@pytest.mark.parametrize(
    "other",
    [
        {"orientation": CORONAL},
        {"orientation": (-1, 0, 0, 0, 1, 0)},
        {"spacing": (3.0, 1.0, 1.5)},
    ],
    ids=["orientation", "mirrored", "pixel spacing"],
)
def test_slices_of_two_geometries_are_two(tmp_path: Path, other: dict[str, Any]) -> None:
    parts = part(-1), part(-2, (1, 2, 3), 5, **other)
    assert volumes(tmp_path, *parts) == {-1: SHAPE, -2: (5, *SHAPE[1:])}


def test_a_scout_is_left_out_in_words(tmp_path: Path) -> None:
    """Two, frontal and from the side, whose ImageType says nothing."""
    scouts = (
        part(9, (0, 0, 50), 1, orientation=CORONAL),
        part(10, (0, 0, 50), 1, orientation=(0, 1, 0, 0, 0, -1)),
    )
    found = looked(tmp_path, part(-1), *scouts)
    assert [series is not None for _, series, _ in found].count(True) == 1
    reasons = [reason for _, series, reason in found if not series]
    assert len(reasons) == 2
    for reason in reasons:
        assert reason.startswith("file ")
        assert reason.endswith(
            " differs in orientation, size or pixel spacing from the other 9 slices of its series, "
            "as a scout does, and is left out"
        )


def test_thin_slices_between_thick_ones_are_two_volumes(tmp_path: Path) -> None:
    """Reconstructions of one scan, whose places are not the same."""
    thick = part(-1, (0, 0, 0.75), spacing=(6.0, 1, 1), SliceThickness="6")
    thin = part(-2, slices=16, SliceThickness="3")
    assert volumes(tmp_path, thick, thin) == {-1: SHAPE, -2: (16, *SHAPE[1:])}


def test_a_step_that_changes_and_changes_back_is_one_volume(tmp_path: Path) -> None:
    """Thickness changes with it: what lies among other slices is no volume of its own."""
    parts = [
        part(5, (0, 0, start), spacing=(step, 1, 1), SliceThickness=str(step))
        for start, step in ((0, 3.0), (27, 6.0), (75, 3.0))
    ]
    [(_, series, _)] = looked(tmp_path, *parts)
    assert series is not None
    assert series.grid.shape[0] == (75 + 21) // 3 + 1


def report() -> Dataset:
    [made] = part(11, slices=1)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(made, keyword)
    return made


def test_a_report_without_a_place_is_left_out_in_words(tmp_path: Path) -> None:
    volume, beside = looked(tmp_path, part(-1), [report()])
    assert volume[1] is not None
    assert volume[1].grid.shape == SHAPE
    assert beside[1] is None
    assert beside[2].endswith(": no place in a body or in colour, as reports are; left out")


def coloured() -> Dataset:
    [made] = part(11, slices=1)
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
    made.PixelData = 3 * made.PixelData
    return made


def test_a_report_in_colour_is_left_out_wherever_it_says_it_lies(tmp_path: Path) -> None:
    volume, beside = looked(tmp_path, part(-1), [coloured()])
    assert volume[1] is not None
    assert volume[1].grid.shape == SHAPE
    assert beside[2].endswith(": no place in a body or in colour, as reports are; left out")


@pytest.mark.parametrize("made", [report, coloured])
def test_what_may_be_a_missing_slice_is_not_left_out(
    tmp_path: Path, made: Callable[[], Dataset]
) -> None:
    datasets = part(-1)
    del datasets[3]
    [(_, series, reason)] = looked(tmp_path, datasets, [made()])
    assert series is None
    assert reason.startswith("every slice must be grey and give its position, but file ")


def test_two_frames_of_reference_are_refused_with_their_files(tmp_path: Path) -> None:
    [(_, series, reason)] = looked(
        tmp_path,
        part(-1, FrameOfReferenceUID=lambda index: uid(9, index // 4)),
    )
    assert series is None
    assert reason.startswith("a series must have one frame of reference, but got 2, as file ")
    assert reason.endswith(" say; export the series again")


def test_one_frame_of_reference_where_some_give_none(tmp_path: Path) -> None:
    frames = part(-1, FrameOfReferenceUID=lambda index: uid(9, 1) if index % 2 else "")
    [(_, series, _)] = looked(tmp_path, frames)
    assert series is not None
    assert series.frame == uid(9, 1)
    assert series.images == {dataset.SOPInstanceUID for dataset in frames}


def test_a_set_is_drawn_on_the_stack_whose_images_it_names(root: Path) -> None:
    """Both stacks have one series UID, description and frame of reference."""
    affine = placed((6, 30, 40))
    stacks = []
    for number in (1, 2):
        volume = np.full((6, 30, 40), -1000)
        volume[:, 4:-4, 4:-4] = 10 * number
        stacks.append(series_datasets(volume, affine))
        for index, dataset in enumerate(stacks[-1]):
            dataset.AcquisitionNumber = number
            dataset.SOPInstanceUID = uid(5, number, index)
    save_series([*stacks[0], *stacks[1]], root)
    images = [dataset.SOPInstanceUID for dataset in stacks[1]]
    save(structure_dataset(BOTH, images=images, series=uid(1, 1, 1)), root / "rs.dcm")
    scan = only(root)
    assert scan.hu.max() == 20
    assert any("told apart by acquisition, this stack has 6" in note for note in scan.notes)


def test_files_that_make_several_are_not_one(tmp_path: Path) -> None:
    save_series([*part(-1, KVP="80"), *part(-2, KVP="140")], tmp_path / "in")
    with pytest.raises(Exception, match="slices must make one volume, but they make 2"):
        open_series(walk(tmp_path / "in", None))


@pytest.mark.parametrize("offset", [0.2, 1.0])
def test_slices_of_two_volumes_that_nothing_tells_apart_are_refused(
    tmp_path: Path, offset: float
) -> None:
    [(_, series, reason)] = looked(tmp_path, part(-1), part(-2, (0, 0, offset)))
    assert series is None
    assert reason.startswith("slices of a series must be of one volume, but some lie only ")
    assert f"{offset:.2f} mm apart, after 0.00" in reason
    assert reason.endswith(f"others lie {3 - offset:.2f} mm apart; export its volumes one by one")


def test_a_monitored_slice_beside_its_volume(tmp_path: Path) -> None:
    """Bolus tracking: one place over and over, told apart from the volume and then by time."""
    monitored = [
        dataset
        for time in range(4)
        for dataset in part(
            -10 - time, (0, 0, 6), 1, AcquisitionNumber=1, AcquisitionTime=f"11000{time}"
        )
    ]
    whole = part(-1, AcquisitionNumber=2, AcquisitionTime=lambda index: f"12000{index}")
    wanted = {-1: SHAPE} | {-10 - time: (1, *SHAPE[1:]) for time in range(4)}
    assert volumes(tmp_path, monitored, whole) == wanted


def turned(degrees: float) -> list[str]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return [f"{value:.10f}" for value in (c, s, 0, -s, c, 0)]


@pytest.mark.parametrize("drift", [True, False])
def test_slices_that_are_a_little_turned_are_no_other_volume(tmp_path: Path, drift: bool) -> None:
    """All by a little more than the one before, or one alone."""
    datasets = part(-1)
    for index, dataset in enumerate(datasets):
        if drift or index == 3:
            dataset.ImageOrientationPatient = turned(index * 0.03 if drift else 1.0)
    [(files, series, reason)] = looked(tmp_path, datasets)
    assert (files, series) == (8, None)
    assert reason.startswith("all slices of a series must have one orientation, size and pixel")
    assert reason.endswith(" differ from the others; export the series again")


def test_a_slice_of_another_spacing_that_leaves_a_gap_is_no_scout(tmp_path: Path) -> None:
    datasets = part(-1)
    datasets[3].PixelSpacing = [1, 1.5]
    [(_, series, reason)] = looked(tmp_path, datasets)
    assert series is None
    assert "size and pixel spacing, but file " in reason


def test_a_scout_among_uneven_slices_is_left_out(tmp_path: Path) -> None:
    upper, lower = part(-1, (0, 0, 48)), part(-2, spacing=(6.0, 1, 1))
    [volume, scout] = looked(tmp_path, upper, lower, part(9, (0, 0, 50), 1, orientation=CORONAL))
    assert volume[1] is not None
    assert "as a scout does" in scout[2]
