"""What figures of verdicts show: ratios by epoch in the verdict's colour, shares, names."""

from __future__ import annotations

import numpy as np
import pytest

from harness.figures.collapse import (
    LOOKS,
    SeedCurve,
    SeedPicture,
    Share,
    collapse_shares,
    how_early,
    seed_sheet,
)
from harness.figures.copies import Likeness, closest_pairs_figure


def test_a_training_is_a_line_in_its_verdicts_colour() -> None:
    curves = [
        SeedCurve([1, 4, 16], [0.5, 0.0, 0.1], "mode collapse"),
        SeedCurve([1, 16], [0.9, 1.1], "healthy"),
    ]
    figure = how_early(curves, 0.3, "Vendi score / real")
    (axes,) = figure.axes
    real, severe, first, second = axes.lines
    assert (real.get_ydata(), severe.get_ydata()) == ([1.0, 1.0], [0.3, 0.3])
    points = [line.get_xydata().tolist() for line in (first, second)]
    assert points == [[[1, 0.5], [16, 0.1]], [[1, 0.9], [16, 1.1]]]  # 0 has no logarithm
    looks = [(line.get_color(), line.get_marker()) for line in (first, second)]
    assert looks == [LOOKS["mode collapse"], LOOKS["healthy"]]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["mode collapse", "healthy"]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_shares_stand_in_their_intervals() -> None:
    shares = [Share("6", 1, 4, (0.05, 0.7)), Share("64", 4, 4, (0.5, 1.0))]
    (axes,) = collapse_shares(shares, "batch size").axes
    assert [line.get_ydata() for line in axes.lines] == [[0.25], [1.0]]
    bars = [bars.get_segments()[0][:, 1].tolist() for bars in axes.collections]
    assert bars == [[0.05, 0.7], [0.5, 1.0]]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["6\n1 of 4", "64\n4 of 4"]


def test_every_seed_has_its_picture_under_its_name_and_verdict() -> None:
    pictures = [SeedPicture(np.full((8, 8), n, np.uint8), f"seed {n}", "healthy") for n in range(7)]
    panels = seed_sheet(pictures).axes
    shown = [(int(p.images[0].get_array()[0, 0]), p.get_title()) for p in panels if p.images]
    assert shown == [(n, f"seed {n}\nhealthy") for n in range(7)]


def test_a_synthetic_image_stands_left_of_its_training_image() -> None:
    pairs = [
        Likeness(np.full((4, 4), 0.1 * n), np.full((4, 4), 0.1 * n + 0.05), f"s{n}", f"t{n}", 0.5)
        for n in range(5)
    ]
    panels = [axes for axes in closest_pairs_figure(pairs).axes if axes.images]
    values = [float(axes.images[0].get_array()[0, 0]) for axes in panels]
    assert values == pytest.approx([0.05 * n for n in range(10)])
    assert [axes.get_title() for axes in panels[:2]] == ["synthetic\ns0", "training, 0.50\nt0"]
