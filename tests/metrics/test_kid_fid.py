"""KID and FID against torch-fidelity, torchmetrics and MONAI, and against closed forms."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
import torch

from harness.base.errors import DataError
from harness.metrics.extractors.guard import guard_torchvision
from harness.metrics.fidelity.kid_fid import fid, kid


@pytest.fixture(scope="module")
def sides() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(64, 64)) / 8
    return rng.normal(size=(500, 64)), rng.normal(size=(500, 64)) @ mixing + 0.2


def test_kid_equals_torch_fidelity(sides: tuple[np.ndarray, np.ndarray]) -> None:
    guard_torchvision()
    from torch_fidelity.metric_kid import kid_features_to_metric

    oracle = kid_features_to_metric(
        *map(torch.from_numpy, sides), kid_subset_size=500, kid_subsets=1, verbose=False
    )
    assert kid(*sides).value == pytest.approx(
        oracle["kernel_inception_distance_mean"], rel=1e-12, abs=1e-14
    )


def test_fid_equals_torch_fidelity_and_monai(sides: tuple[np.ndarray, np.ndarray]) -> None:
    guard_torchvision()
    from monai.metrics.fid import FIDMetric
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    tensors: list[Any] = [torch.from_numpy(side) for side in sides]
    statistics = [fid_features_to_statistics(tensor) for tensor in tensors]
    oracle = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert fid(*sides).value == pytest.approx(oracle, rel=1e-10)
    assert fid(*sides).value == pytest.approx(float(FIDMetric()(*tensors)), rel=1e-10)


def test_fid_below_the_feature_dimension_equals_torch_fidelity() -> None:
    guard_torchvision()
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    rng = np.random.default_rng(1)
    few = rng.normal(size=(40, 128)), rng.normal(0.3, 1.5, size=(25, 128))
    statistics = [fid_features_to_statistics(torch.from_numpy(side)) for side in few]
    oracle = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    found = fid(*few)
    assert found.value == pytest.approx(oracle, rel=1e-6)
    assert found.n == 25
    assert found.note == "25 images for 128 features: biased upwards, compare at equal n only"


def test_fid_of_one_feature_is_the_textbook_formula() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(1, 2, (300, 1)), rng.normal(-1, 0.5, (200, 1))
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert fid(a, b).value == pytest.approx(expected)


def test_fid_of_2048_features_takes_well_under_a_second() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 300, 2048))
    start = time.perf_counter()
    assert fid(a, b).value > 0
    assert time.perf_counter() - start < 1.0


def test_kid_by_the_definition_written_as_loops() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(6, 3)), rng.normal(0.5, 1, size=(4, 3))

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 3 + 1) ** 3)

    xx = [k(x[i], x[j]) for i in range(6) for j in range(6) if i != j]
    yy = [k(y[i], y[j]) for i in range(4) for j in range(4) if i != j]
    xy = [k(a, b) for a in x for b in y]
    assert kid(x, y).value == pytest.approx(np.mean(xx) + np.mean(yy) - 2 * np.mean(xy))


def test_scores_do_not_depend_on_the_order_of_images(
    sides: tuple[np.ndarray, np.ndarray],
) -> None:
    a, b = sides
    order = np.random.default_rng(5).permutation(len(a))
    assert kid(a[order], b).value == pytest.approx(kid(a, b).value, rel=1e-12)
    assert fid(a[order], b).value == pytest.approx(fid(a, b).value, rel=1e-9)


def test_a_set_against_itself_is_no_distance(sides: tuple[np.ndarray, np.ndarray]) -> None:
    assert fid(sides[0], sides[0]).value == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("score", [kid, fid])
def test_too_few_images_give_a_reason_and_no_number(score: Any) -> None:
    found = score(np.zeros((1, 8)), np.zeros((9, 8)))
    assert math.isnan(found.value)
    assert found.note == "needs 2 images on each side, but got 1 and 9"
    assert found.to_dict()["value"] is None
    two = score(np.eye(2, 8), np.eye(2, 8) + 1)
    assert math.isfinite(two.value)


def test_features_that_are_not_finite_give_a_reason() -> None:
    bad = np.full((5, 8), np.nan)
    assert kid(bad, np.zeros((5, 8))).note == "features are not finite"


def test_two_extractors_are_refused() -> None:
    with pytest.raises(DataError, match="of one d, but got shapes \\(5, 8\\) and \\(5, 9\\)"):
        kid(np.zeros((5, 8)), np.zeros((5, 9)))
