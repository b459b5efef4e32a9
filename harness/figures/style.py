"""One style for every figure: quiet axes, colour-blind-safe colours, readable on a phone.

Figures are made without pyplot, so that threads do not share state, and nothing needs a display.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from harness.config.arms import arm_of, known_arms

P = ParamSpec("P")
R = TypeVar("R")

# Inches. A full figure stands alone; a panel shares a row with another where there is room.
FULL_WIDTH = 5.6
PANEL_SIZE = (4.3, 2.9)

# Seaborn's palette "colorblind"; importing it takes two seconds, which every command would pay.
_COLOURS = (
    "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc",
    "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9",
)  # fmt: skip
BLUE, ORANGE, GREEN, RED = _COLOURS[:4]
GREY, INK = "#9a9a9a", "#222222"

# Any: matplotlib types the keys as one long literal.
_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 8.5,
    "axes.edgecolor": "#555555",
    "axes.linewidth": 0.8,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # Names are printed as they are, "$" included.
    "text.parse_math": False,
    "svg.fonttype": "none",
    # Element ids of an SVG come from this, so that the same data give the same file.
    "svg.hashsalt": "harness",
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Matplotlib's settings while a figure is drawn or written.

    A letter that the font lacks is no fault: text stays text, and the reader's fonts show it.
    """
    with matplotlib.rc_context(_RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        yield


def short_name(name: str, most: int = 22) -> str:
    """A name of bounded length without the control characters that XML does not allow."""
    name = "".join(letter if letter.isprintable() else "?" for letter in name)
    return name if len(name) <= most else name[: most - 1] + "…"


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Draw under the style."""

    @functools.wraps(function)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with style():
            return function(*args, **kwargs)

    return drawn


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty figure with one pair of axes; sizes in inches."""
    figure, panels = new_panels((width, height), 1, 1)
    return figure, panels[0, 0]


def new_panels(
    size: tuple[float, float], rows: int, columns: int, dpi: float | None = None, **how: Any
) -> tuple[Figure, NDArray[Any]]:
    """An empty figure with a table of axes; its width and height in inches.

    Args:
        how: further arguments of `Figure.subplots`.
    """
    figure = Figure(figsize=size, layout="constrained", dpi=dpi)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **how)


def plain_log(axis: Axis) -> None:
    """A logarithmic axis (already set) with ticks as plain numbers at 1, 2 and 5."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def colour_of(arm: str, index: int) -> str:
    """An arm's own colour, the same in every figure; the `index`-th of the palette for a name that
    is no arm of an experiment."""
    return arm_of(arm).colour if arm in known_arms() else _COLOURS[index % len(_COLOURS)]


def spread(values: Sequence[float] | NDArray[np.float64], step: float, near: float) -> list[float]:
    """Offsets that keep dots on a line apart: values closer than `near` are put `step` apart.

    Deterministic (no jitter): dots fill 0, +step, -step, +2 step ... in the order of their values.
    """
    order = np.argsort(np.asarray(values), kind="stable")
    offsets = [0.0] * len(order)
    placed: list[tuple[float, int]] = []
    for index in order:
        value = float(values[index])
        taken = {slot for other, slot in placed if value - other < near}
        slot = next(s for s in range(len(order) + 1) if s not in taken)
        placed.append((value, slot))
        offsets[index] = step * ((slot + 1) // 2) * (1 if slot % 2 else -1)
    return offsets
