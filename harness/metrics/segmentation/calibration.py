"""Whether a segmenter's probabilities are what they say: as often right as they are high.

Every pixel is one forecast of "structure" (Brier 1950; bins of Naeini et al. 2015, as torchmetrics'
`BinaryCalibrationError` has them). Where most are plainly background both scores are small.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15
CALIBRATION = ("ece", "brier")
"""Names of the scores in tables; lower is better, 0 to 1."""


def calibration(probabilities: NDArray[Any], truth: NDArray[Any]) -> dict[str, float | None]:
    """ECE: over `BINS` bins of equal width, an edge in the upper one, |mean probability - share of
    structure|, weighted by pixels. Brier score: mean squared difference. None where there is
    nothing but 0 and 1, labels rather than probabilities.

    Args:
        probabilities: of the structure, in 0 to 1 up to rounding, any shape.
        truth: likewise, bool or 0 and 1.
    """
    p, y = np.clip(np.ravel(probabilities), 0, 1).astype(np.float64), np.ravel(truth)
    if ((p == 0) | (p == 1)).all():
        return dict.fromkeys(CALIBRATION)
    places = np.minimum((p * BINS).astype(np.intp), BINS - 1)
    error = np.abs(np.bincount(places, p - y, BINS)).sum() / p.size
    return {"ece": float(error), "brier": float(np.mean((p - y) ** 2))}
