"""Euclidean distances between rows of features, and random halves of patients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
Labels = Sequence[Any] | NDArray[Any]
"""Whose each image is."""

ROUNDING = 1e-12
"""A squared distance below this share of the squared norms is rounding, and counts as 0."""


def distances(x: Array, y: Array) -> Array:
    """Distances, n x d and m x d -> n x m, by differences: to the last digit."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(x, y), np.float64)


def fast_distances(x: Array, y: Array) -> Array:
    """The same by inner products: many times as fast; copies are exactly 0 apart all the same.

    Digits are lost to an offset that all rows share; subtract it first.
    """
    size = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1)[None, :]
    squared = size - 2 * x @ y.T
    return np.asarray(np.sqrt(np.where(squared <= ROUNDING * size, 0.0, squared)), np.float64)


def to_others(own: Array, groups: NDArray[Any] | None = None) -> Array:
    """Distances n x n within a set, infinite within each of `groups` (None: image and itself)."""
    codes = np.arange(len(own)) if groups is None else groups
    return np.where(codes[:, None] == codes[None, :], math.inf, own)


def patient_halves(codes: Rows, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Row numbers of two disjoint halves of the patients 0, 1, ..., one of them in each code."""
    count = int(codes.max()) + 1
    chosen = np.isin(codes, rng.permutation(count)[: count // 2])
    return np.flatnonzero(chosen), np.flatnonzero(~chosen)
