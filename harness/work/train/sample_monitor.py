"""Looking at a GAN's samples while it trains: are they varied, and do they still move?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLES = 32
"""Images measured; their inputs stay the same for the whole training."""


@dataclass(frozen=True)
class SampleMonitor:
    """Compares samples with real images, in pixels: cheap enough for every watched epoch.

    Attributes:
        real_spread: `spread` of as many real training images; 0 where they do not differ.
    """

    real_spread: float

    @classmethod
    def beside(cls, real: NDArray[np.floating]) -> SampleMonitor:
        """The monitor of a training on images like `real` (N, C, H, W)."""
        return cls(spread(real))

    def measure(self, samples: NDArray[np.floating]) -> dict[str, float]:
        """Journal values of samples (N, C, H, W) in [-1, 1].

        `vs_real/diversity` is their spread over the real one: 0 where all are one image, about 1
        where they vary as real ones do. `train/mean_output` is their mean grey: it stands still
        only where the samples do. Neither is given where the samples are not numbers.
        """
        if not np.isfinite(samples).all():
            return {}
        values = {"train/mean_output": float(np.mean(samples, dtype=np.float64))}
        if self.real_spread > 0:
            values["vs_real/diversity"] = spread(samples) / self.real_spread
        return values


def spread(images: NDArray[np.floating]) -> float:
    """Mean Euclidean distance in pixels over all pairs of images (N, C, H, W); NaN below 2."""
    flat = np.asarray(images, np.float64).reshape(len(images), -1)
    if len(flat) < 2:
        return float("nan")
    squares = (flat * flat).sum(axis=1)
    apart = squares[:, None] + squares[None, :] - 2 * flat @ flat.T
    above = np.triu_indices(len(flat), 1)
    return float(np.sqrt(np.maximum(apart[above], 0)).mean())
