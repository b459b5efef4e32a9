"""ECE and Brier score beside torchmetrics, scikit-learn and cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss

from harness.metrics.extractors.guard import guard_torchvision
from harness.metrics.segmentation.calibration import BINS, calibration


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_both_are_those_of_other_libraries(sharpness: float) -> None:
    guard_torchvision()
    from torchmetrics.functional.classification import binary_calibration_error

    rng = np.random.default_rng(3)
    probabilities = (1 / (1 + np.exp(-sharpness * rng.normal(-1, 2, (5, 40, 40))))).astype("f4")
    truth = rng.random(probabilities.shape) < probabilities**1.5
    found = calibration(probabilities, truth)
    p, y = torch.from_numpy(probabilities.ravel()), torch.from_numpy(truth.ravel())
    expected = binary_calibration_error(p, y.int(), n_bins=BINS, norm="l1")
    assert found["ece"] == pytest.approx(float(expected), abs=1e-6)
    assert found["brier"] == pytest.approx(
        brier_score_loss(truth.ravel(), probabilities.ravel()), abs=1e-7
    )


def test_by_hand() -> None:
    """Bins of a fifteenth: 0.1 and 0.12 share the second one, 1.0 lies in the last."""
    probabilities, truth = np.array([0.1, 0.12, 0.7, 1.0]), np.array([0, 1, 1, 1])
    found = calibration(probabilities, truth)
    assert found["ece"] == pytest.approx((2 * abs(0.11 - 0.5) + 0.3 + 0.0) / 4)
    assert found["brier"] == pytest.approx((0.01 + 0.88**2 + 0.09) / 4)


def test_forecasts_that_are_right_as_often_as_they_say_are_calibrated() -> None:
    probabilities = np.repeat([0.25, 0.75], 400)
    truth = np.concatenate([np.arange(400) % 4 == 0, np.arange(400) % 4 != 0])
    found = calibration(probabilities, truth)
    assert found["ece"] == pytest.approx(0, abs=1e-12)
    assert found["brier"] == pytest.approx(0.25 * 0.75)


def test_labels_are_no_probabilities() -> None:
    labels = np.array([[0.0, 1.0], [1.0, 1.0]], np.float32)
    assert calibration(labels, labels > 0) == {"ece": None, "brier": None}
    assert calibration(np.zeros((0, 4, 4), np.float32), np.zeros((0, 4, 4))) == {
        "ece": None,
        "brier": None,
    }
