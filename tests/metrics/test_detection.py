"""Calibrations on simulated patients: planted failures are caught, and rates are what they say."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from harness.metrics.calibration.detection import (
    COLLAPSED,
    FRESH,
    Cell,
    calibrate_collapse,
    calibrate_memorisation,
)
from harness.metrics.calibration.planted import COLLAPSING, SUBTLE

SIZE = 32
COLLAPSE_N, MEMORISATION_N = 80, 36
Patients = tuple[np.ndarray, np.ndarray]


def blobs(seed: int, patients: int, slices: int) -> Patients:
    """Masks of three lobes each; a patient's lie about the same places, with rough edges."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    n, (rows, columns) = patients * slices, np.indices((SIZE, SIZE))
    rough = ndimage.gaussian_filter(rng.normal(size=(n, SIZE, SIZE)), (0, 3, 3))
    masks = np.zeros((n, SIZE, SIZE), bool)
    for _ in range(3):
        places = np.repeat(rng.uniform(5.5, 25.5, (patients, 2)), slices, axis=0)
        row, column = (places + rng.normal(0, 4, (n, 2))).T[:, :, None, None]
        radius = np.repeat(rng.uniform(4, 8, patients), slices) + rng.normal(0, 1, n)
        edge = radius[:, None, None] + rough / rough.std()
        masks |= np.hypot(rows - row, columns - column) < edge
    return masks, np.repeat([f"p{i}" for i in range(patients)], slices)


@pytest.fixture(scope="module")
def many() -> Patients:
    return blobs(0, 24, 10)


@pytest.fixture(scope="module")
def collapse(many: Patients) -> list[Cell]:
    done: list[int] = []
    found = calibrate_collapse(*many, COLLAPSE_N, 12, np.random.default_rng(1), done.append)
    assert not isinstance(found, str)
    assert done == list(range(1, 13))
    return found


@pytest.fixture(scope="module")
def copying() -> list[Cell]:
    done: list[int] = []
    found = calibrate_memorisation(
        *blobs(0, 24, 6), MEMORISATION_N, 6, np.random.default_rng(1), done.append
    )
    assert not isinstance(found, str)
    assert done == list(range(1, 7))
    return found


def of_kind(cells: list[Cell], kind: str) -> dict[str, float]:
    return {cell.name: cell.detected / cell.repeats for cell in cells if cell.kind == kind}


def test_planted_collapse_is_detected_and_fresh_patients_pass(collapse: list[Cell]) -> None:
    failures, honest = of_kind(collapse, "failure"), of_kind(collapse, "honest")
    assert set(failures) == set(COLLAPSING)
    assert set(of_kind(collapse, "subtle")) == set(SUBTLE)
    assert min(failures.values()) >= 0.6, failures
    assert np.mean(list(failures.values())) > 0.9
    assert list(honest) == [FRESH]
    assert honest[FRESH] <= 0.2
    assert all((cell.n, cell.repeats) == (COLLAPSE_N, 12) for cell in collapse)


def test_what_is_nearer_to_health_is_detected_less(collapse: list[Cell]) -> None:
    rates = {cell.name: cell.detected for cell in collapse}
    for gentler in (
        ["spread 0.3", "spread 0.5", "spread 0.7", "spread 0.9"],
        ["1 mode", "4 modes", "20 modes", "100 modes"],
    ):
        found = [rates[name] for name in gentler]
        assert found == sorted(found, reverse=True)
        assert found[-1] < found[0]


def test_the_words_say_how_it_failed(collapse: list[Cell]) -> None:
    words = {cell.name: cell.words for cell in collapse}
    assert words["spread 0.3"].most_common(1)[0][0] == "mode collapse"
    assert words["spread 0.7"].most_common(1)[0][0] == "partial collapse"
    assert words[FRESH].most_common(1)[0][0] == "healthy"


def test_planted_copies_are_detected_and_fresh_patients_pass(copying: list[Cell]) -> None:
    failures, honest = of_kind(copying, "failure"), of_kind(copying, "honest")
    assert set(failures) == {
        "copies, as they are",
        "copies, jittered",
        "copies, mirrored",
        "copies, mirrored, jittered",
    }
    assert failures["copies, as they are"] == failures["copies, mirrored"] == 1
    assert min(failures.values()) >= 0.6, failures
    assert list(honest) == [FRESH]
    assert honest[FRESH] <= 0.2
    fewer = of_kind(copying, "subtle")
    assert (
        failures["copies, jittered"]
        >= fewer["50 % copies, jittered"]
        >= fewer["20 % copies, jittered"]
        >= fewer["10 % copies, jittered"]
    )


def test_a_rate_by_hand() -> None:
    words = Counter({"healthy": 2, "mode collapse": 5, "convergence failure": 1, "undecided": 3})
    cell = Cell("4 modes", "failure", 100, words, COLLAPSED)
    assert (cell.repeats, cell.detected) == (11, 6)
    plain = json.loads(json.dumps(cell.to_dict()))
    assert plain["planted"] == "4 modes"
    assert (plain["detected"], plain["repeats"], plain["n"]) == (6, 11, 100)
    assert plain["words"] == dict(words)


@pytest.mark.parametrize(("detected", "repeats"), [(0, 1), (0, 20), (6, 11), (19, 20), (20, 20)])
def test_the_interval_is_wilsons(detected: int, repeats: int) -> None:
    words = Counter({"memorised": detected, "no memorisation seen": repeats - detected})
    plain = Cell("copies", "failure", 50, words, ("memorised",)).to_dict()
    oracle = stats.binomtest(detected, repeats).proportion_ci(method="wilson")
    assert (plain["low"], plain["high"]) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


def test_of_no_repeat_nothing_is_known() -> None:
    plain = Cell("copies", "failure", 50, Counter(), ("memorised",)).to_dict()
    assert (plain["low"], plain["high"], plain["repeats"]) == (0, 1, 0)


def test_the_same_seed_gives_the_same_rates() -> None:
    few = blobs(10, 12, 8)
    for calibrate in (calibrate_collapse, calibrate_memorisation):
        one, other = (calibrate(*few, 24, 1, np.random.default_rng(2)) for _ in range(2))
        assert not isinstance(one, str)
        assert one == other


def test_too_few_patients_or_images_are_said() -> None:
    def rng() -> np.random.Generator:
        return np.random.default_rng(3)

    # Two thirds of 6 play training patients.
    few = blobs(4, 6, 20)
    assert calibrate_collapse(*few, 20, 3, rng()) == (
        "a calibration needs 6 real patients, 3 a side, but got 4"
    )
    # 8 training patients of 4 images, 16 a side.
    small = blobs(5, 12, 4)
    assert calibrate_collapse(*small, 20, 3, rng()) == (
        "a calibration needs 20 real images a side, but got 16"
    )
    # 8 of 6: 24 a side; 4 fresh ones have 24 as well.
    assert calibrate_collapse(*blobs(6, 12, 6), 40, 3, rng()) == (
        "40 images a side need more real images: a third of the patients has 24"
    )
    # A quarter of 12 patients: 3 of 4 images.
    assert calibrate_memorisation(*small, 30, 3, rng()) == (
        "30 images need more real images: a quarter of the patients has 12"
    )
    # Of a patient with many images, 16 count: 3 patients have 48, enough for 96.
    assert calibrate_memorisation(*blobs(7, 12, 20), 97, 3, rng()) == (
        "97 images need more real images: a quarter of the patients has 48"
    )


def test_grey_images_are_calibrated_as_masks_are() -> None:
    masks, owners = blobs(8, 18, 8)
    grey = (0.2 + 0.6 * masks).astype(np.float32)
    found = calibrate_collapse(grey, owners, 48, 2, np.random.default_rng(9))
    assert not isinstance(found, str)
    rates = {cell.name: cell.detected for cell in found}
    assert rates["1 mode"] == rates["blank"] == rates["checkerboard"] == 2
    assert rates["spread 0.3"] == 2
    assert rates[FRESH] == 0
