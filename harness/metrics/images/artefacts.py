"""Faults of generated CT that the eye sees at once and averages hide: repeated bands, broken edges.

Images are N x H x W in [0, 1].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics.distances import Array
from harness.metrics.score import Score, undefined

LEAST_BANDS = 4
"""Bands across a frame: fewer are anatomy."""
AROUND = 6
"""Frequencies on either side with which a peak is compared."""
EDGE_PX = 8


def bands_db(generated: NDArray[Any], real: NDArray[Any]) -> Score:
    """How far the highest peak of the spectrum along rows or columns stands out, in dB.

    The power spectrum of rows (Hann window, mean removed), averaged over rows and images, is set
    beside that of real images, frequency by frequency; a peak is what lies above the median of its
    neighbours. So neither sharpness nor anatomy count. Bands of one pattern repeated every p pixels
    have a peak at H / p or W / p. About 0.3 to 1 between halves of real images.
    """
    n = min(len(generated), len(real))
    edge = min(generated.shape[1:])
    if not n or edge < 4 * LEAST_BANDS + 2 * AROUND:
        return undefined("too few images, or too small ones", n)
    peaks = [_peak(spectrum(generated, axis), spectrum(real, axis)) for axis in (1, 2)]
    return Score(max(peaks), None, n, "images")


def spectrum(images: NDArray[Any], axis: int) -> Array:
    """Power by bands across the frame, 0 to half its edge, along an axis of N x H x W."""
    lines = np.moveaxis(np.asarray(images, np.float64), axis, -1)
    window = np.hanning(lines.shape[-1] + 1)[:-1]
    found = np.fft.rfft((lines - lines.mean(-1, keepdims=True)) * window)
    return np.asarray((np.abs(found) ** 2).mean(axis=(0, 1)))


def _peak(generated: Array, real: Array) -> float:
    least = np.finfo(np.float64).tiny
    excess = 10 * np.log10(np.maximum(generated, least) / np.maximum(real, least))
    above = [
        excess[f] - np.median(excess[max(1, f - AROUND) : f + AROUND + 1])
        for f in range(LEAST_BANDS, len(excess))
    ]
    return float(max(above))


def checkerboard_db(images: NDArray[Any]) -> Score:
    """How far the spectrum of images rises where strides of 2 leave checkerboards, in dB.

    The power along rows and along columns at 1/2, 1/4 and 1/8 of a cycle a pixel, each over the
    median of its neighbours; the highest. Near 0 without a pattern.
    """
    n, edge = len(images), min(images.shape[1:])
    if not n or edge % 8 or edge < 4 * AROUND:
        return undefined("too few images, or no edge of a multiple of 8 px", n)
    peaks = []
    for axis in (1, 2):
        power = spectrum(images, axis)
        level = 10 * np.log10(np.maximum(power, np.finfo(np.float64).tiny))
        for f in (images.shape[axis] // parts for parts in (2, 4, 8)):
            near = [g for g in range(f - AROUND, f + AROUND + 1) if 0 < g < len(level) and g != f]
            peaks.append(level[f] - np.median(level[near]))
    return Score(float(max(peaks)), None, n, "images")


def edge_error(generated: NDArray[Any], real: NDArray[Any]) -> Score:
    """Mean absolute error within `EDGE_PX` of the border over that in the middle, of pairs."""
    n = min(len(generated), len(real))
    if not n or min(real.shape[1:]) <= 2 * EDGE_PX:
        return undefined("no images, or all border", n)
    error = np.abs(np.asarray(generated, np.float64) - np.asarray(real, np.float64))
    middle = np.zeros(error.shape[1:], bool)
    middle[EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX] = True
    inside = float(error[:, middle].mean())
    if not inside:
        return undefined("no error in the middle", n)
    return Score(float(error[:, ~middle].mean()) / inside, None, n, "images")
