"""A grid of sample pictures over two axes of a search: how the samples depend on the settings."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from harness.figures.axes import SearchAxis, value_words
from harness.figures.cells import Cells
from harness.figures.style import BLUE, GREY, INK, RED, new_panels, short_name, styled
from harness.figures.trials import TrialDot

DPI = 150
MOST_PIXELS = 1600
_MARGIN = 0.85
_BELOW = 0.5
_CELL = 1.75

Load = Callable[[TrialDot], NDArray[np.uint8] | None]


@styled
def settings_grid(cells: Cells, load: Load, objective: str) -> Figure:
    """The newest samples of each cell's trial, its settings and objective below.

    The frame says what became of the trial: blue is the chosen one, red has a failed seed. Drawn
    for `DPI`, where it is at most `MOST_PIXELS` wide.

    Args:
        load: the samples (H, W) of a trial's first seed; None where it has none.
        objective: its short name, e.g. "KID".
    """
    rows, columns = len(cells.rows), len(cells.columns)
    images = {cell: load(trial) for cell, trial in cells.shown.items()}
    there = [image for image in images.values() if image is not None]
    tall = max((image.shape[0] / image.shape[1] for image in there), default=1.0)
    room = (MOST_PIXELS / DPI - _MARGIN) / columns
    edge = min(_CELL / math.sqrt(min(tall, 1.0)), room)  # low pictures are drawn wider
    size = (_MARGIN + columns * edge, _MARGIN + rows * (edge * tall + _BELOW))
    figure, panels = new_panels((max(size[0], 3.6), size[1]), rows, columns, dpi=DPI)
    for row in range(rows):
        for column in range(columns):
            panel, trial = panels[row, column], cells.shown.get((row, column))
            image = images.get((row, column))
            if image is not None:
                panel.imshow(image, cmap="gray", vmin=0, vmax=255)
            else:
                _empty(panel, "no samples" if trial else "no trial", tall)
            if trial is not None:
                _say(panel, trial, cells, (row, column), objective)
            if row == 0:
                panel.set_title(short_name(cells.columns[column].words, 18), fontsize=9)
            if column == 0 and cells.down is not None:
                panel.set_ylabel(short_name(cells.rows[row].words, 20), fontsize=9)
    heading = f"columns: {short_name(cells.across.name, 30)}"
    heading += f"; rows: {short_name(cells.down.name, 30)}" if cells.down else ""
    figure.suptitle(heading, fontsize=9.5)
    return figure


def _empty(panel: Axes, words: str, tall: float) -> None:
    panel.set_xlim(0, 1)
    panel.set_ylim(0, tall)
    panel.set_aspect("equal")
    panel.text(0.5, tall / 2, words, ha="center", va="center", fontsize=8, color=GREY)
    _frame(panel, "#d8d8d8", 0.8)


def _say(panel: Axes, trial: TrialDot, cells: Cells, cell: tuple[int, int], objective: str) -> None:
    colour, width = (RED, 2.6) if trial.failed else (BLUE, 3.4) if trial.chosen else (GREY, 0.8)
    _frame(panel, colour, width)
    known = np.isfinite(trial.mean)
    value = f"{objective} {value_words(trial.mean)}" if known else "no number"
    state = ", failed" if trial.failed else ", chosen" if trial.chosen else ""
    of = cells.counts[cell]
    lines = [f"{value}{state}", f"trial {trial.number}, {trial.epochs} epochs"]
    # A range says which of its values the picture is of.
    inexact = [
        f"{_brief(axis)} {value_words(trial.params[axis.path])}"
        for axis, span in (
            (cells.across, cells.columns[cell[1]]),
            (cells.down, cells.rows[cell[0]]),
        )
        if axis is not None and span.value is None
    ]
    last = ", ".join(inexact + ([f"1 of {of} trials"] if of > 1 else []))
    panel.set_xlabel("\n".join([*lines, last] if last else lines), fontsize=8, labelpad=3)
    panel.xaxis.label.set_color(RED if trial.failed else INK)
    panel.xaxis.label.set_fontweight("bold" if trial.chosen else "normal")


def _brief(axis: SearchAxis) -> str:
    """A setting's initials where its name has several words: "lr"."""
    words = axis.name.split()
    return "".join(word[0] for word in words) if len(words) > 1 else axis.name


def _frame(panel: Axes, colour: str, width: float) -> None:
    panel.set_xticks([])
    panel.set_yticks([])
    for spine in panel.spines.values():
        spine.set_visible(False)
    panel.add_patch(
        Rectangle(
            (0, 0), 1, 1, transform=panel.transAxes, fill=False, edgecolor=colour,
            linewidth=width, clip_on=False, zorder=5,
        )
    )  # fmt: skip


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """The drawn figure as (H, W, 3)."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
