"""How many different images a set holds: the numbers that a collapsed generator lowers.

All of them are of Euclidean distances n x n between feature vectors of one extractor, n at least 1,
and depend on n; read them beside real images of the same number.
"""

from __future__ import annotations

import numpy as np

from harness.metrics.distances import Array


def vendi_score(distances: Array, bandwidth: float) -> float:
    """Vendi score: the effective number of different images, from 1 (copies) to n.

    exp of the entropy of the eigenvalues of K / n with the Gaussian kernel
    K = exp(-distance^2 / (2 bandwidth^2)). Not with the cosine, as is usual: features behind a ReLU
    are never negative and share a large mean, so to the cosine even unlike slices are alike and the
    score stops growing early (150 OpenKBP slices of 11 patients, EfficientNet-Lite0: mean cosine
    0.63, score 8; with this kernel 29 at the typical distance, 136 at half of it).

    Args:
        distances: n x n.
        bandwidth: distance at which two images begin to count as different, above 0; e.g. the
            median over real images of the distance to the nearest one of another patient.

    Source: Friedman and Dieng 2023.
    """
    kernel = np.exp(-(distances**2) / (2 * bandwidth**2))
    shares = np.linalg.eigvalsh(kernel / len(kernel))
    # 0 log 0 is 0; below 0 by rounding only.
    shares = shares[shares > 0]
    value = float(np.exp(-(shares * np.log(shares)).sum()))
    return min(max(value, 1.0), float(len(kernel)))


def mean_distance(distances: Array) -> float:
    """Mean over all pairs of different images, n at least 2; 0 for copies."""
    return float(distances[np.triu_indices(len(distances), 1)].mean())


def non_duplicates(distances: Array, radius: float) -> int:
    """Images that are different: clusters left when images nearer than `radius` are joined.

    Single linkage: a chain of near images is one cluster, however long; so it counts few where
    images fill the space densely, and is a number to watch for collapse, not a number of modes.
    """
    from scipy.sparse.csgraph import connected_components

    return int(connected_components(distances < radius, directed=False, return_labels=False))
