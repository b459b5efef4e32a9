"""Precision, recall, density, coverage against the authors' package, torch-fidelity and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from harness.base.errors import DataError
from harness.metrics.extractors.guard import guard_torchvision
from harness.metrics.fidelity.prdc import NAMES, prdc


def values(found: dict[str, Any]) -> dict[str, float]:
    return {name: score.value for name, score in found.items()}


@pytest.mark.parametrize(
    ("n", "m", "d", "k", "shift"),
    [(120, 90, 16, 5, 0.3), (60, 80, 256, 3, 0.05), (7, 9, 4, 5, 0.0), (50, 50, 2, 1, 2.0)],
)
def test_equals_the_authors_package(n: int, m: int, d: int, k: int, shift: float) -> None:
    from prdc import compute_prdc

    rng = np.random.default_rng(n)
    real, fake = rng.normal(size=(n, d)), rng.normal(shift, 0.9, size=(m, d))
    oracle = compute_prdc(real, fake, k)
    # Shares of at most 120 images: any disagreement about one would show.
    assert values(prdc(real, fake, k)) == pytest.approx(oracle, abs=1e-12)


def test_equals_the_authors_package_on_float32_features_with_copies() -> None:
    from prdc import compute_prdc

    rng = np.random.default_rng(0)
    real = np.abs(rng.normal(size=(70, 40))).astype(np.float32)
    fake = np.concatenate([real[:25], np.abs(rng.normal(size=(30, 40))).astype(np.float32)])
    assert values(prdc(real, fake)) == pytest.approx(compute_prdc(real, fake, 5), abs=1e-12)


def test_precision_and_recall_equal_torch_fidelity() -> None:
    guard_torchvision()
    from torch_fidelity.metric_prc import prc_features_to_metric

    rng = np.random.default_rng(1)
    real, fake = rng.normal(size=(150, 32)), rng.normal(0.1, 0.8, size=(100, 32))
    oracle = prc_features_to_metric(
        torch.from_numpy(fake), torch.from_numpy(real), prc_neighborhood=3, verbose=False
    )
    found = prdc(real, fake, 3)
    for name in ("precision", "recall"):
        assert found[name].value == pytest.approx(oracle[name], abs=1e-6)  # float32 means


def test_on_a_line_by_hand() -> None:
    # k = 1: real radii 1, 1, 3, 3; synthetic radii 0.5, 0.5, 20.
    real = np.array([[0.0], [1.0], [10.0], [13.0]])
    fake = np.array([[0.25], [0.75], [20.75]])
    found = values(prdc(real, fake, 1))
    # 20.75 lies in no real ball. Its own ball (to 0.75) holds 1, 10 and 13; that of 0.25 holds 0.
    assert found == pytest.approx(
        {"precision": 2 / 3, "recall": 1.0, "density": 4 / 3, "coverage": 0.5}
    )


def test_what_a_collapsed_and_a_noisy_generator_score() -> None:
    rng = np.random.default_rng(2)
    real = rng.normal(size=(200, 8))
    collapsed = 0.01 * rng.normal(size=(200, 8))
    far = rng.normal(30, 1, size=(200, 8))
    narrow, wrong = values(prdc(real, collapsed)), values(prdc(real, far))
    assert narrow["precision"] == 1.0
    assert narrow["recall"] < 0.05
    assert narrow["coverage"] < 0.5
    assert wrong == dict.fromkeys(NAMES, 0.0)
    # Nothing learnt about the spread is no interval of width 0.
    found = prdc(real, far)["precision"]
    assert (found.interval, found.note) == (None, "no deletion changes the value: no interval")


def test_the_order_of_images_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    real, fake = rng.normal(size=(60, 6)), rng.normal(size=(50, 6))
    owners = np.arange(60) % 12
    order = rng.permutation(60)
    a, b = prdc(real, fake, 5, owners), prdc(real[order], fake, 5, owners[order])
    for name in NAMES:
        assert a[name].value == pytest.approx(b[name].value)
        assert a[name].interval == pytest.approx(b[name].interval)


def test_intervals_by_deleting_images_and_recomputing() -> None:
    rng = np.random.default_rng(4)
    real, fake = rng.normal(size=(40, 3)), rng.normal(0.5, 1, size=(30, 3))
    owners, fake_owners = np.arange(40) % 8, np.arange(30) % 6
    found = prdc(real, fake, 4, owners, fake_owners)
    without_real = [values(prdc(real[owners != p], fake, 4)) for p in range(8)]
    without_fake = [values(prdc(real, fake[fake_owners != p], 4)) for p in range(6)]
    for name, highest in zip(NAMES, (1, 1, math.inf, 1), strict=True):
        variance = 7 * np.var([v[name] for v in without_real])
        variance += 5 * np.var([v[name] for v in without_fake])
        # t quantile of 5 degrees of freedom, from a printed table.
        half = 2.570582 * math.sqrt(variance)
        value = found[name].value
        assert found[name].interval == pytest.approx(
            (max(0, value - half), min(highest, value + half)), rel=1e-6
        )
        assert found[name].units == "8 patients, 6 patients"
        assert found[name].n == 30


def test_few_images_say_so() -> None:
    rng = np.random.default_rng(5)
    real, fake = rng.normal(size=(5, 3)), rng.normal(size=(9, 3))
    found = prdc(real, fake)
    assert math.isnan(found["coverage"].value)
    assert found["coverage"].note == "coverage needs more than k = 5 real images, but got 5"
    assert math.isfinite(found["recall"].value)
    assert found["recall"].units == "5 blocks, 9 blocks"
    # Six images have a value; with one of them deleted they have none.
    six = prdc(rng.normal(size=(6, 3)), fake)["precision"]
    assert math.isfinite(six.value)
    assert six.note == "a set without one group is too small: no interval"
    two = prdc(rng.normal(size=(12, 3)), fake, patients=["a", "b"] * 6)["precision"]
    assert two.note == "fewer than 3 groups on a side: no interval"
    assert prdc(np.full((9, 3), np.nan), fake)["recall"].note == "features are not finite"


def test_what_is_refused() -> None:
    x = np.zeros((9, 3))
    with pytest.raises(DataError, match="k must be at least 1, but got 0"):
        prdc(x, x, 0)
    with pytest.raises(DataError, match="of one d, but got shapes"):
        prdc(x, x[:, :2])
    with pytest.raises(DataError, match="per real image, but got 2 labels for 9 images"):
        prdc(x, x, patients=["a", "b"])
