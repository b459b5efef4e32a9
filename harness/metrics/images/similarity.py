"""How like two images are, pixel by pixel: SSIM, MS-SSIM, PSNR, mean absolute error; and, from
SSIM, how unlike generated images are to one another.

Images are N x H x W in [0, 1]; the data range is 1 always (an inferred range would change the score
with the picture). The definitions:

- SSIM: Gaussian window of sigma 1.5 (11 px), population covariance, averaged where the window lies
  wholly inside the image (5 px off each edge). Computed by scikit-image in float64; torchmetrics
  has the same map, averages its mirrored border in as well, and takes a hundred times as long in
  float64.
- `ms_ssim_4`: torchmetrics' multi-scale SSIM over 4 scales with the first four published weights,
  divided by their sum; in float32 (off by at most some 2e-5, twenty times as fast). The published
  five scales need more than 160 px: not comparable with those.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.metrics.distances import Array
from harness.metrics.extractors.guard import guard_torchvision
from harness.metrics.score import Score, undefined

BORDER_PX = 5
SSIM: dict[str, Any] = {
    "data_range": 1.0,
    "gaussian_weights": True,
    "sigma": 1.5,
    "use_sample_covariance": False,
}
"""The definition above, for scikit-image."""
MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363)
MS_SMALLEST_PX = 99
"""4 scales of an 11 px window, as torchmetrics counts them: a ninth of the edge must exceed 10."""
_CHUNK = 8


def _checked(first: NDArray[Any], second: NDArray[Any]) -> tuple[Array, Array]:
    # Contiguous, since torch takes no views with negative strides.
    a, b = (np.ascontiguousarray(side, np.float64) for side in (first, second))
    if a.ndim != 3 or a.shape != b.shape:
        raise DataError(
            "similarity needs two arrays N x H x W of one shape, "
            f"but got {a.shape} and {b.shape}; pair the images first"
        )
    for side in (a, b):
        if side.size and not (side.min() >= -1e-6 and side.max() <= 1 + 1e-6):
            raise DataError(
                "similarity needs images in [0, 1], but got values from "
                f"{side.min():g} to {side.max():g}; map the window to [0, 1] first"
            )
    return a, b


def ssim(first: NDArray[Any], second: NDArray[Any]) -> Array:
    """SSIM of each pair: N x H x W twice -> N, in [-1, 1]; edges of at least 11 px."""
    from skimage.metrics import structural_similarity

    a, b = _checked(first, second)
    if min(a.shape[1:]) < 2 * BORDER_PX + 1:
        raise DataError(
            f"SSIM needs edges of at least {2 * BORDER_PX + 1} px, but got {a.shape[1:]}; "
            "use larger images"
        )
    pairs = zip(a, b, strict=True)
    return np.array([structural_similarity(*pair, **SSIM) for pair in pairs], np.float64)


def ms_ssim_4(first: NDArray[Any], second: NDArray[Any]) -> Array:
    """MS-SSIM over 4 scales of each pair: N x H x W twice -> N; NaN below 99 px."""
    import torch

    a, b = _checked(first, second)
    if min(a.shape[1:]) < MS_SMALLEST_PX:
        return np.full(len(a), math.nan)
    guard_torchvision()
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    values = [np.empty(0)]
    for start in range(0, len(a), _CHUNK):
        rows = slice(start, start + _CHUNK)
        chunk = multiscale_structural_similarity_index_measure(
            torch.from_numpy(a[rows, None]).float(),
            torch.from_numpy(b[rows, None]).float(),
            sigma=1.5,
            kernel_size=11,
            data_range=1.0,
            reduction="none",
            betas=tuple(weight / sum(MS_WEIGHTS) for weight in MS_WEIGHTS),
            normalize="relu",
        )
        values.append(chunk.numpy().astype(np.float64))
    return np.concatenate(values)


def mae(first: NDArray[Any], second: NDArray[Any], where: NDArray[np.bool_] | None = None) -> Array:
    """Mean absolute error of each pair, in [0, 1]; times the window's width it is in HU.

    Args:
        first, second: N x H x W.
        where: N x H x W, the pixels that count; None counts all. An image without any is NaN.
    """
    a, b = _checked(first, second)
    counted = np.ones(a.shape, bool) if where is None else np.asarray(where, bool)
    pixels = counted.sum(axis=(1, 2)).astype(np.float64)
    sums = np.where(counted, np.abs(a - b), 0.0).sum(axis=(1, 2))
    return np.divide(sums, pixels, out=np.full(len(a), math.nan), where=pixels > 0)


def psnr_db(first: NDArray[Any], second: NDArray[Any]) -> Array:
    """Peak signal-to-noise ratio of each pair in dB, peak 1; infinite for equal images."""
    a, b = _checked(first, second)
    error = ((a - b) ** 2).mean(axis=(1, 2))
    with np.errstate(divide="ignore"):
        return -10.0 * np.log10(error)


@dataclass(frozen=True)
class Similarity:
    """Per-pair scores of N pairs, each float64 of length N, and their means."""

    ssim: Array
    ms_ssim_4: Array
    psnr_db: Array
    mae: Array

    def means(self) -> dict[str, Score]:
        """Mean of each, by name; NaN with the reason where a mean does not exist."""
        return {name: _mean(values, name) for name, values in vars(self).items()}


def _mean(values: Array, name: str) -> Score:
    n = len(values)
    if n == 0:
        return undefined("no pairs", 0)
    if np.isnan(values).any():
        return undefined(f"{name} needs edges of at least {MS_SMALLEST_PX} px", n)
    if np.isinf(values).any():
        return undefined("some pairs are equal pixel for pixel: infinite", n)
    return Score(float(values.mean()), None, n, "images")


def paired_similarity(real: NDArray[Any], synthetic: NDArray[Any]) -> Similarity:
    """All similarities of paired images, N x H x W twice, in [0, 1]."""
    return Similarity(*(score(real, synthetic) for score in (ssim, ms_ssim_4, psnr_db, mae)))


def ssim_diversity(images: NDArray[Any], pairs: int, rng: np.random.Generator) -> Score:
    """How unlike the images of one set are: mean of 1 - SSIM over pairs of different images.

    0 is a set of copies. Read it beside the same number of real images, never alone.

    Args:
        images: N x H x W in [0, 1].
        pairs: pairs to draw without replacement; all pairs where there are no more than that.
        rng: draws the pairs.
    """
    n = len(images)
    if n < 2:
        return undefined(f"needs 2 images, but got {n}", n)
    rows, columns = np.triu_indices(n, 1)
    drawn = len(rows)
    if pairs < drawn:
        chosen = rng.choice(drawn, pairs, replace=False)
        rows, columns, drawn = rows[chosen], columns[chosen], pairs
    values = ssim(images[rows], images[columns])
    return Score(float((1.0 - values).mean()), None, n, f"{drawn} pairs")
