"""Whether a segmenter's probabilities are what they say: as often right as they are high.

Both look at every pixel as one forecast of "structure" (Brier 1950; the bins of Naeini et al. 2015,
of the probability of the structure, as torchmetrics' `BinaryCalibrationError` has it). Where most
pixels are plainly background both are small, so that arms compare, and not data sets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15
CALIBRATION = ("ece", "brier")
"""Names of the scores in tables; lower is better, 0 to 1."""


def calibration_error(probabilities: NDArray[Any], truth: NDArray[Any]) -> float:
    """Expected calibration error: over `BINS` bins of equal width, each with its upper edge in the
    next one (1 in the last), the mean of |mean probability - share of structure|, weighted by
    pixels.

    Args:
        probabilities: of the structure, in 0 to 1, any shape, one or more.
        truth: likewise, bool or 0 and 1.
    """
    p, y = np.ravel(probabilities).astype(np.float64), np.ravel(truth)
    places = np.minimum((p * BINS).astype(np.intp), BINS - 1)
    gaps = np.bincount(places, p - y, BINS)
    return float(np.abs(gaps).sum() / p.size)


def brier_score(probabilities: NDArray[Any], truth: NDArray[Any]) -> float:
    """Mean squared difference of probability and truth; arguments of `calibration_error`."""
    return float(np.mean((np.asarray(probabilities, np.float64) - truth) ** 2))


def calibration(probabilities: NDArray[Any], truth: NDArray[Any]) -> dict[str, float | None]:
    """Both by name; None where there is nothing but 0 and 1, labels rather than probabilities."""
    if not probabilities.size or ((probabilities == 0) | (probabilities == 1)).all():
        return dict.fromkeys(CALIBRATION)
    clipped = np.clip(probabilities, 0, 1)  # rounding may lead beyond
    return {"ece": calibration_error(clipped, truth), "brier": brier_score(clipped, truth)}
