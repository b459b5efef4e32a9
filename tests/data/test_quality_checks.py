"""Who stands out: found where it was planted, and nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.data.quality.checks import Known, QualityWarning, warnings
from harness.data.quality.scan_summary import HU_EDGES, ScanSummary

MIDDLES = (HU_EDGES[1:] + HU_EDGES[:-1]) / 2


def histogram(centre: float) -> tuple[int, ...]:
    body = 1000 * np.exp(-(((MIDDLES - centre) / 60) ** 2))
    air = np.where(MIDDLES < -950, 5000, 0)
    return tuple((body + air).astype(int).tolist())


def patients(count: int = 12) -> dict[str, Known]:
    """Structures of 20 to 31 ml, as many sizes as in a clinic."""
    found = {}
    for n in range(count):
        scan_summary = ScanSummary(
            shape=(40, 256, 256),
            spacing_mm=(3.0, 1.0 + 0.01 * n, 1.0 + 0.01 * n),
            volumes_ml={"parotid_left": 20.0 + n, "parotid_right": 31.0 - n},
            median_hu={"parotid_left": -10.0 + 3 * n, "parotid_right": -12.0 + 3 * n},
            air={"parotid_left": 0.01, "parotid_right": 0.0},
            histogram=histogram(30),
            metal_ml=0.0,
            labels=(),
        )
        found[f"p-{n:02d}"] = Known(scan_summary, {"parotid_left": 170.0, "parotid_right": 90.0})
    return found


def with_one(changes: Mapping[str, Any], columns: Mapping[str, float] | None = None) -> Any:
    made = patients()
    known = made["p-05"]
    made["p-05"] = Known(replace(known.scan_summary, **changes), columns or known.columns)
    return warnings(made)


def test_ordinary_patients_do_not_stand_out() -> None:
    assert warnings(patients()) == {}


def test_nobody_at_all() -> None:
    assert warnings({}) == {}


@pytest.mark.parametrize(
    ("changes", "of", "structure", "words"),
    [
        (
            {"volumes_ml": {"parotid_left": 3.0, "parotid_right": 4.0}},
            "volume",
            "parotid_left",
            "parotid_left has 3.0 ml, the median is 25.0 ml",
        ),
        (
            {"median_hu": {"parotid_left": -700.0, "parotid_right": 0.0}},
            "hu",
            "parotid_left",
            "parotid_left has a median of -700 HU, of the others it is",
        ),
        (
            {"histogram": histogram(1064)},
            "hu",
            "",
            "only 0 % of the voxels above -900 HU are soft tissue (-200 to 200 HU): are the values",
        ),
        (
            {"histogram": (0,) * 20 + (1000,) * 20 + (0,) * 56},
            "hu",
            "",
            "hardly a voxel is air (below -500 HU): are the values HU?",
        ),
        (
            {"spacing_mm": (6.0, 1.0, 1.0)},
            "spacing",
            "",
            "voxels of 6 x 1 x 1 mm (slices, rows, columns), of the others 3 x 1.0",
        ),
        (
            {"volumes_ml": {"parotid_left": 30.0, "parotid_right": 13.0}},
            "volume",
            "parotid_right",
            "parotid_right has 13.0 ml (median 24.5), the other side 30.0 ml",
        ),
        (
            {"volumes_ml": {"parotid_left": 45.0, "parotid_right": 18.0}},
            "volume",
            "parotid_left",
            "parotid_left has 45.0 ml (median 26.5), the other side 18.0 ml",
        ),
        (
            {"air": {"parotid_left": 0.25, "parotid_right": 0.0}},
            "contours",
            "parotid_left",
            "25 % of parotid_left is air (below -500 HU): do its contours lie in the body?",
        ),
    ],
)
def test_one_who_differs_is_found_and_said(
    changes: Mapping[str, Any], of: str, structure: str, words: str
) -> None:
    found = with_one(changes)
    assert list(found) == ["p-05"]
    [first, *_] = [s for s in found["p-05"] if (s.of, s.structure) == (of, structure)]
    assert first.words.startswith(words)


@pytest.mark.parametrize("holds", ["lung_left", "body", "esophagus", "bowel_bag", "stomach"])
def test_what_holds_air_may_hold_it(holds: str) -> None:
    assert with_one({"air": {holds: 0.88, "parotid_right": 0.0}}) == {}


@pytest.mark.parametrize(
    "note",
    [
        "parotid_left: 3 slices between its contours without any",
        "parotid_left: 9 of 18 contours lie up to 1.50 mm off their slices",
        "parotid_left: on 2 slices (at 3.00 mm, 6.00 mm) some of its contours overlap in part: 0.1 "
        "ml that two of them enclose is left out; data.dicom.overlap: union takes it",
        "parotid_left: on 1 slice (at 3.00 mm) some of its contours run over themselves: 0.10 ml "
        "that one goes around twice is left out; draw them again",
        "parotid_left: 1 contour of another number of points than they state",
    ],
)
def test_volume_at_stake_is_a_reason_to_look(note: str) -> None:
    made = patients()
    made["p-05"] = replace(made["p-05"], notes=("a note", note))
    assert warnings(made) == {"p-05": [QualityWarning("contours", "", note)]}


def test_swapped_sides() -> None:
    found = with_one({}, {"parotid_left": 90.0, "parotid_right": 170.0})
    words = "parotid_left lies to the patient's right of parotid_right: are the sides swapped?"
    assert found == {"p-05": [QualityWarning("side", "parotid_left", words)]}


def test_with_few_patients_only_what_is_odd_in_itself_is_said() -> None:
    few = dict(list(patients(4).items()))
    first = few["p-00"]
    tiny = replace(first.scan_summary, volumes_ml={"parotid_left": 0.5, "parotid_right": 0.6})
    few["p-00"] = Known(tiny, first.columns)
    assert warnings(few) == {}
