"""Distances against SciPy's, and what copies get."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from harness.metrics.distances import distances, fast_distances, to_others


def test_both_ways_are_the_distances_and_copies_are_exactly_0_apart() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 200))
    y = np.concatenate([x[::3], rng.normal(size=(5, 200))])
    for found in (distances(x, y), fast_distances(x, y)):
        np.testing.assert_allclose(found, cdist(x, y), atol=1e-6)
        assert (found[::3, :10].diagonal() == 0).all()


def test_neighbours_are_others() -> None:
    own = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]])
    inf = np.inf
    assert to_others(own).tolist() == [[inf, 1, 2], [1, inf, 3], [2, 3, inf]]
    assert to_others(own, np.array(["a", "a", "b"])).tolist() == [
        [inf, inf, 2], [inf, inf, 3], [2, 3, inf],
    ]  # fmt: skip
