"""The primary effect above what it is seen beside: its noise floor, or its subgroups."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.base.text import MINUS, signed
from harness.config.measures import DICE, Measure
from harness.figures.style import BLUE, FULL_WIDTH, INK, new_figure, styled
from harness.inference.contrasts import Contrast
from harness.inference.crossed_t import Inference

REACH = 4.0
"""A row that goes beyond so many times the primary effect's own reach does not widen the axis; its
mean, where it lies outside, is an arrow."""
GAP = 0.8
"""Between groups, in rows; their headings stand there."""
ONE_LINE = 36
"""Letters of a name."""
HEADINGS = {
    "control": "controls",
    "stage": "stages of the GAN",
    "factorial": "augmentation x extra pairs",
}


@styled
def noise_floor(
    name: str,
    primary: Inference,
    contrasts: Sequence[Contrast],
    margin: float,
    measured: Measure = DICE,
) -> Figure:
    """Estimates with 95 % intervals on one axis, with 0 and the margin.

    Args:
        name: of the primary comparison.
        primary: its estimate, drawn on top.
        contrasts: or subgroups, in order, a gap between groups; one without a mean (NaN) keeps its
            empty row.
        margin: the smallest difference that matters, in the unit of the measure.
        measured: what differs.
    """
    groups = ["", *(contrast.group for contrast in contrasts)]
    steps = [GAP * (one != other) + 1 for one, other in pairwise(groups)]
    places = np.cumsum([0.0, *steps])
    figure, axes = new_figure(FULL_WIDTH, 1.0 + 0.29 * float(places[-1]))
    rows = [primary, *(contrast.inference for contrast in contrasts)]
    (low, high), digits = _limits(rows, margin), measured.digits + 1
    axes.axvspan(-margin, margin, color="#ececec", zorder=0)
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
    axes.set_xlim(low, high)
    axes.set_ylim(float(places[-1]) + 0.6, -0.6)
    for place, row in zip(places, rows, strict=True):
        if not np.isfinite(row.mean):
            continue
        colour = INK if row is primary else BLUE
        if row.interval_95 is not None:
            axes.hlines(place, *row.interval_95, color=colour, linewidth=1.6)
        room = 0.025 * (high - low)  # for an arrow
        shown = float(np.clip(row.mean, low + room, high - room))
        mark = "D" if row is primary else "o"
        if shown != row.mean:
            mark = "<" if row.mean < low else ">"
        axes.plot(
            [shown], [place], mark, color="white", markeredgecolor=colour, markersize=6,
            clip_on=False,
        )  # fmt: skip
        axes.text(
            1.14, place, signed(row.mean, digits), transform=axes.get_yaxis_transform(), ha="right",
            va="center", fontsize=8.5, color=colour,
        )  # fmt: skip
    for (one, other), place in zip(pairwise(groups), places[1:], strict=True):
        if one != other:
            axes.text(
                -0.015, place - 0.85, HEADINGS.get(other, other), ha="right", va="center",
                transform=axes.get_yaxis_transform(), fontsize=8, color="#777777", style="italic",
            )  # fmt: skip
    labels = [name, *(contrast.name for contrast in contrasts)]
    axes.set_yticks(places, [_label(label) for label in labels])
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"difference in test {measured.words} (grey: within {margin:g})")
    return figure


def _label(name: str) -> str:
    """In two lines where one would take the room of the axis."""
    return name.replace(" - ", f" {MINUS} " if len(name) <= ONE_LINE else f"\n{MINUS} ")


def _limits(rows: Sequence[Inference], margin: float) -> tuple[float, float]:
    """Of the rows within `REACH`, the primary one, 0 and the margin."""
    near = [*(rows[0].interval_95 or (rows[0].mean,)), 1.3 * margin]
    reach = REACH * float(np.nanmax(np.abs(near)))
    values = [np.array([row.mean, *(row.interval_95 or ())]) for row in rows]
    kept = [ends for ends in values if (np.abs(ends) <= reach).all()]
    shown = np.concatenate([*kept, [-1.3 * margin, 1.3 * margin]])
    low, high = float(shown.min()), float(shown.max())
    room = 0.06 * (high - low)
    return low - room, high + room
