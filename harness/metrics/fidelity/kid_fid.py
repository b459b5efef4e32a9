"""How far synthetic images lie from real ones, in the eyes of a feature extractor: KID and FID.

Both take feature arrays (n x d), compute in float64, and are the canonical definitions, comparable
with others (KID over all images at once: the usual random subsets add noise, and their "std" is no
interval of the score). KID takes slices of one patient, which are near copies, for independent
images: `by_patient` has the estimator that does not.

Sources: KID Binkowski et al. 2018, FID Heusel et al. 2017, both as in torch-fidelity.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.metrics.distances import Array
from harness.metrics.score import Score, undefined


def pair_features(first: NDArray[Any], second: NDArray[Any]) -> tuple[Array, Array]:
    """Both sides in float64, after a check of their shapes."""
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise DataError(
            "features must be two arrays n x d of one d, "
            f"but got shapes {x.shape} and {y.shape}; use one extractor for both sides"
        )
    return x, y


def trouble(x: Array, y: Array) -> Score | None:
    """The undefined score, with its reason, where both sides allow no distance; else None."""
    n = min(len(x), len(y))
    if n < 2:
        return undefined(f"needs 2 images on each side, but got {len(x)} and {len(y)}", n)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return undefined("features are not finite", n)
    return None


def cubic_kernel(x: Array, y: Array) -> Array:
    """Polynomial kernel of degree 3, gamma 1/d, coefficient 1."""
    return (x @ y.T / x.shape[1] + 1.0) ** 3


def kid(real: NDArray[Any], synthetic: NDArray[Any]) -> Score:
    """Canonical KID: unbiased squared MMD with the cubic kernel, all images as one subset.

    Of n x d and m x d; without an interval, and may be slightly negative at no distance.
    """
    x, y = pair_features(real, synthetic)
    bad = trouble(x, y)
    if bad is not None:
        return bad
    value = _off_diagonal_mean(cubic_kernel(x, x)) + _off_diagonal_mean(cubic_kernel(y, y))
    value -= 2 * float(cubic_kernel(x, y).mean())
    return Score(value, None, min(len(x), len(y)), "images")


def _off_diagonal_mean(kernel: Array) -> float:
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))


def fid(real: NDArray[Any], synthetic: NDArray[Any]) -> Score:
    """Frechet distance between Gaussians fitted to both sides (covariances with n - 1).

    Of n x d and m x d; without an interval (`by_patient.fid_with_interval` has one). Its bias
    depends on n: compare at equal n only.
    """
    x, y = pair_features(real, synthetic)
    bad = trouble(x, y)
    if bad is not None:
        return bad
    n, d = min(len(x), len(y)), x.shape[1]
    note = (
        None if n > d else f"{n} images for {d} features: biased upwards, compare at equal n only"
    )
    return Score(frechet(x, y), None, n, "images", note)


def frechet(x: Array, y: Array) -> float:
    """The distance itself, of finite n x d and m x d, n and m at least 2.

    With centred features A (n x d) and B (m x d), covariances are A'A and B'B up to a factor and
    tr sqrt(A'A B'B) is the sum of singular values of A B': exact, fast, and fine with n below d.
    """
    mean_gap = x.mean(axis=0) - y.mean(axis=0)
    a, b = _root(x), _root(y)
    overlap = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    value = float(mean_gap @ mean_gap + (a * a).sum() + (b * b).sum() - 2 * overlap)
    return max(0.0, value)  # a squared distance; below 0 by rounding only


def _root(x: Array) -> Array:
    """A matrix R with R'R the covariance of `x`, with at most d rows."""
    centred: Array = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
    if len(x) > x.shape[1]:
        centred = np.asarray(np.linalg.qr(centred, mode="r"))
    return centred
