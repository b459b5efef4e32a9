"""Trials of a search as figures want them: marks, best so far, the axis of the objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from harness.figures.style import BLUE, GREY, INK, RED, plain_log

# Ratio of largest to smallest value from which a logarithmic axis shows more.
LOG_FROM = 20.0
# Trials without a failed seed from which on these alone set the axis of the objective.
_ENOUGH = 3


@dataclass(frozen=True)
class TrialDot:
    """One trial.

    Attributes:
        seed_values: the objective of each seed; None where it is missing or not finite.
        failed: a seed failed (or gave no number): the trial cannot be chosen.
        params: value by axis of the search space; an axis that the trial does not have is missing.
        checkpoint_of: number of the longer trial that it was read out of.
        pruned: further seeds were left out: the trial cannot be chosen.
    """

    number: int
    batch_size: int
    learning_rate: float
    epochs: int
    seed_values: Sequence[float | None]
    failed: bool = False
    chosen: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)
    checkpoint_of: int | None = None
    pruned: bool = False

    @property
    def sound(self) -> bool:
        """Whether it could be chosen: it has a number, no seed failed and none was left out."""
        return not self.failed and not self.pruned and bool(self.numbers)

    @property
    def numbers(self) -> list[float]:
        """The values of the seeds that have one."""
        return [v for v in self.seed_values if v is not None and np.isfinite(v)]

    @property
    def mean(self) -> float:
        """Mean of the seeds that have a number; NaN without any."""
        return float(np.mean(self.numbers)) if self.numbers else float("nan")


def best_so_far(trials: Sequence[TrialDot], direction: str) -> list[tuple[int, float]]:
    """(trial number, best mean up to it) at each trial that improved on all before it.

    Trials that cannot be chosen are passed over.

    Args:
        direction: "minimize" or "maximize".
    """
    sign = 1.0 if direction == "minimize" else -1.0
    found: list[tuple[int, float]] = []
    for trial in sorted(trials, key=lambda t: t.number):
        if trial.sound and (not found or sign * trial.mean < sign * found[-1][1]):
            found.append((trial.number, trial.mean))
    return found


@dataclass(frozen=True)
class ValueAxis:
    """The axis of the objective: a failed trial far off the others must not flatten them.

    Attributes:
        low, high: its ends.
        log: whether it is logarithmic.
    """

    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, trials: Sequence[TrialDot]) -> ValueAxis:
        """Ends of the values of trials without a failed seed, at most a span further for others."""
        every = [v for trial in trials for v in trial.numbers]
        sound = [v for trial in trials if trial.sound for v in trial.numbers]
        if sum(trial.sound for trial in trials) < _ENOUGH:
            sound = every
        if not every:
            return cls(0.0, 1.0, False)
        span = (max(sound) - min(sound)) or abs(max(sound)) or 1.0
        low = max(min(every), min(sound) - span)
        high = min(max(every), max(sound) + span)
        if low > 0 and high / low >= LOG_FROM:
            return cls(low / 1.15, high * 1.15, True)
        room = 0.06 * ((high - low) or abs(high) or 1.0)
        return cls(low - room, high + room, False)

    def place(self, value: float) -> float:
        """Where a value stands: 0 at the lower end, 1 at the upper one; what lies beyond an end
        stands at it, and what is no number at the upper one."""
        if not np.isfinite(value):
            return 1.0
        scale = np.log if self.log else np.asarray
        kept = np.clip(value, self.low, self.high)
        low, high = float(scale(self.low)), float(scale(self.high))
        return float((scale(kept) - low) / (high - low))

    def set(self, axes: Axes, ylabel: str) -> None:
        """Make it the y axis."""
        if self.log:
            axes.set_yscale("log")
            plain_log(axes.yaxis)
        axes.set_ylim(self.low, self.high)
        axes.set_ylabel(ylabel)
        axes.grid(axis="y")


def draw(
    axes: Axes,
    trial: TrialDot,
    place: float,
    view: ValueAxis,
    marker: str = "o",
    colour: Any = BLUE,
) -> None:
    """A trial's mean over a bar of its seeds; a cross where a seed failed, at the edge of the axes
    where its value lies beyond them or is none; hollow where it was read out of a longer one, a
    small grey dot where seeds were left out."""
    within = bool(trial.numbers) and view.low <= trial.mean <= view.high
    if within:
        ends = min(trial.numbers), max(trial.numbers)
        axes.vlines(place, *ends, color="#bbbbbb", linewidth=1.1, zorder=1)
    if trial.failed or not trial.numbers:
        style: dict[str, Any] = {"color": RED, "markersize": 6.5, "markeredgewidth": 1.8}
        style["clip_on"] = False
        if within:
            axes.plot([place], [trial.mean], "x", zorder=3, **style)
        else:
            edge = 0.985 if view.place(trial.mean) > 0.5 else 0.015
            axes.plot([place], [edge], "x", transform=axes.get_xaxis_transform(), **style)
        return
    if trial.pruned:
        height = min(max(trial.mean, view.low), view.high)
        axes.plot([place], [height], "o", color=GREY, markersize=3.5, zorder=3)
        return
    if trial.chosen:
        axes.plot(
            [place], [trial.mean], "o", color="none", markeredgecolor=INK, markersize=12, zorder=4
        )
    hollow = trial.checkpoint_of is not None
    axes.plot(
        [place], [trial.mean], marker, color="white" if hollow else colour, zorder=3,
        markersize=5.5 if hollow else 6.5, markeredgecolor=colour if hollow else "white",
        markeredgewidth=1.3 if hollow else 0.5,
    )  # fmt: skip


def legend(trials: Sequence[TrialDot], colour: Any = BLUE) -> list[Line2D]:
    """Handles for the marks that are there."""
    there = {
        "trial": True,
        "checkpoint of a longer one": any(
            t.checkpoint_of is not None and not t.failed for t in trials
        ),
        "pruned": any(t.pruned and not t.failed for t in trials),
        "chosen": any(t.chosen for t in trials),
        "a seed failed": any(t.failed for t in trials),
    }
    looks: dict[str, dict[str, Any]] = {
        "trial": {"marker": "o", "color": colour, "markersize": 6},
        "checkpoint of a longer one": {
            "marker": "o", "color": "white", "markeredgecolor": colour, "markersize": 5.5,
        },
        "pruned": {"marker": "o", "color": GREY, "markersize": 3.5},
        "chosen": {"marker": "o", "color": "none", "markeredgecolor": INK, "markersize": 10},
        "a seed failed": {"marker": "x", "color": RED, "markeredgewidth": 1.8},
    }  # fmt: skip
    return [
        Line2D([], [], linestyle="", label=label, **looks[label])
        for label, shown in there.items()
        if shown
    ]
