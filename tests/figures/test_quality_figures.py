"""What figures of the data show: volumes over their median, voxel sizes, CT numbers, outliers."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_hex

from harness.figures.quality import ct_numbers, volumes, voxel_sizes
from harness.figures.style import BLUE, ORANGE


def test_volumes_are_over_their_median_and_outliers_are_named() -> None:
    found = {"parotid": {"a": 20.0, "b": 30.0, "c": 90.0}}
    (axes,) = volumes(found, {"parotid": {"c"}}).axes
    usual, odd = axes.collections
    np.testing.assert_allclose(sorted(usual.get_offsets()[:, 0]), [2 / 3, 1])
    np.testing.assert_allclose(odd.get_offsets()[:, 0], [3])
    assert [to_hex(dots.get_facecolor()[0]) for dots in (usual, odd)] == [BLUE, ORANGE]
    assert [text.get_text() for text in axes.texts] == ["c"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["parotid\n30 ml"]


def test_a_voxels_longer_side_stands_against_its_slice_distance() -> None:
    (axes,) = voxel_sizes({"a": (3.0, 1.0, 1.2), "b": (5.0, 0.9, 0.9)}, {"b"}).axes
    assert [dots.get_offsets()[0].tolist() for dots in axes.collections] == [[1.2, 3.0], [0.9, 5.0]]
    assert [text.get_text() for text in axes.texts] == ["b"]


def test_ct_numbers_are_shares_of_the_body() -> None:
    edges = [-1000, -950, -800, 0, 200]
    (axes,) = ct_numbers(edges, {"a": [500, 20, 60, 20], "b": [0, 0, 0, 0]}, {"a"}).axes
    empty, full = axes.lines  # outliers are drawn last
    assert full.get_xdata().tolist() == [-875, -400, 100]  # air outside does not count
    assert full.get_ydata().tolist() == [20, 60, 20]
    assert empty.get_ydata().tolist() == [0, 0, 0]
    assert full.get_color() == ORANGE
