"""Figures of the verdicts on collapse: how early it shows, how often it happens, every seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from harness.figures.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PANEL_SIZE,
    RED,
    new_figure,
    new_panels,
    plain_log,
    short_name,
    styled,
)

# A verdict keeps its colour and marker in every figure, worst first.
LOOKS = {
    "convergence failure": (INK, "x"),
    "mode collapse": (RED, "v"),
    "partial collapse": (ORANGE, "s"),
    "healthy": (BLUE, "o"),
    "undecided": (GREY, "d"),
}
SHEET_COLUMNS = 6
_TILE = 1.5


@dataclass(frozen=True)
class SeedCurve:
    """One training: a sign relative to real images by scored epoch, and its last verdict."""

    epochs: Sequence[int]
    ratios: Sequence[float]
    word: str


@dataclass(frozen=True)
class Share:
    """Collapsed trainings of those under one setting; `interval` of the share, 0 to 1."""

    label: str
    collapsed: int
    of: int
    interval: tuple[float, float]


@dataclass(frozen=True)
class SeedPicture:
    """One seed's samples (H, W) with its name and verdict."""

    image: NDArray[np.uint8]
    name: str
    word: str


@styled
def how_early(curves: Sequence[SeedCurve], severe: float, ylabel: str) -> Figure:
    """Ratio to real by epoch, both logarithmic: a line per training, its verdict as colour."""
    figure, axes = new_figure(*PANEL_SIZE)
    axes.axhline(1.0, color=INK, linewidth=0.9, zorder=0)
    axes.axhline(severe, color=RED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    for curve in curves:
        colour, marker = LOOKS.get(curve.word, (GREY, "d"))
        kept = [place for place, ratio in enumerate(curve.ratios) if ratio > 0]
        axes.plot(
            [curve.epochs[place] for place in kept], [curve.ratios[place] for place in kept],
            color=colour, marker=marker, markersize=3.5, linewidth=0.9, alpha=0.75,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    ratios = [ratio for curve in curves for ratio in curve.ratios if ratio > 0]
    axes.set_ylim(min([0.2, *ratios]) / 1.15, max([1.3, *ratios]) * 1.15)
    epochs = [epoch for curve in curves for epoch in curve.epochs] or [1]
    axes.set_xlim(min(epochs) / 1.15, max(epochs) * 1.15)
    plain_log(axes.xaxis)
    plain_log(axes.yaxis)
    for level, text in ((1.0, "real"), (severe, f"{severe:g}")):
        axes.annotate(
            text, (1, level), (3, 0), xycoords=("axes fraction", "data"), fontsize=8,
            textcoords="offset points", va="center", color=INK if level == 1 else RED,
        )  # fmt: skip
    axes.set_xlabel("epoch (scored ones)")
    axes.set_ylabel(ylabel)
    found = {curve.word for curve in curves}
    marks = [
        Line2D([], [], color=colour, marker=marker, markersize=4, label=word)
        for word, (colour, marker) in LOOKS.items()
        if word in found
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=2, handletextpad=0.4)
    return figure


@styled
def collapse_shares(shares: Sequence[Share], xlabel: str) -> Figure:
    """Share of trainings that collapsed, by setting, with its interval and counts."""
    figure, axes = new_figure(*PANEL_SIZE)
    for place, share in enumerate(shares):
        axes.vlines(place, *share.interval, color=INK, linewidth=1.6)
        axes.plot(
            [place], [share.collapsed / share.of], "o", color=BLUE, markersize=7,
            markeredgecolor="white", markeredgewidth=0.6, zorder=3, clip_on=False,
        )  # fmt: skip
    names = [f"{short_name(s.label, 12)}\n{s.collapsed} of {s.of}" for s in shares]
    axes.set_xticks(range(len(shares)), names)
    axes.set_xlim(-0.6, len(shares) - 0.4)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    axes.set_ylabel("trainings that collapsed (%)")
    axes.set_xlabel(f"{xlabel} (below: collapsed of judged)")
    axes.grid(axis="y")
    return figure


@styled
def seed_sheet(pictures: Sequence[SeedPicture]) -> Figure:
    """The samples of every seed side by side, each under its name and verdict."""
    columns = min(SHEET_COLUMNS, max(len(pictures), 1))
    rows = max(1, -(-len(pictures) // columns))
    tallest = max((p.image.shape[0] / p.image.shape[1] for p in pictures), default=1.0)
    size = (columns * _TILE, rows * (_TILE * tallest + 0.35))
    figure, panels = new_panels(size, rows, columns)
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, picture in zip(panels.flat, pictures, strict=False):
        axes.imshow(picture.image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        colour = LOOKS.get(picture.word, (GREY, ""))[0]
        axes.set_title(f"{picture.name}\n{picture.word}", fontsize=6.5, color=colour)
    return figure
