"""Pictures of generated images beside the training images that they come closest to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.base.files import write_with
from harness.figures.style import new_panels, short_name, styled

PER_ROW = 4
_TILE = 1.5


@dataclass(frozen=True)
class Likeness:
    """A generated image, its nearest training image (H x W in [0, 1]), their names.

    Attributes:
        share: their distance, as a share of the distance between that training image and the
            nearest one of another patient.
    """

    synthetic: NDArray[np.floating]
    training: NDArray[np.floating]
    synthetic_name: str
    training_name: str
    share: float


@styled
def closest_pairs_figure(pairs: Sequence[Likeness]) -> Figure:
    """Pairs side by side, nearest first: synthetic left, training right."""
    rows = max(1, -(-len(pairs) // PER_ROW))
    # A narrow empty column keeps pairs apart.
    widths = ([1.0, 1.0, 0.12] * PER_ROW)[:-1]
    size = (sum(widths) * _TILE, rows * (_TILE + 0.5))
    figure, grid = new_panels(size, rows, len(widths), width_ratios=widths)
    for axes in grid.flat:
        axes.set_axis_off()
    for index, pair in enumerate(pairs):
        row, column = divmod(index, PER_ROW)
        left, right = grid[row, 3 * column], grid[row, 3 * column + 1]
        left.imshow(pair.synthetic, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        right.imshow(pair.training, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        left.set_title(f"synthetic\n{_tail(pair.synthetic_name)}", fontsize=6)
        right.set_title(f"training, {pair.share:.2f}\n{_tail(pair.training_name)}", fontsize=6)
    return figure


def _tail(name: str) -> str:
    """The end of a long name, where the number is."""
    return short_name(name) if len(name) <= 22 else "\u2026" + short_name(name[-21:])


def write_png(path: Path, figure: Figure, dpi: int = 150) -> None:
    """Write a figure as a PNG file."""
    write_with(path, lambda part: figure.savefig(part, format="png", dpi=dpi))
