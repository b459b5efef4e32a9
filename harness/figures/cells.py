"""Trials put into the cells of a table over two axes of the search space."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from harness.figures.axes import SearchAxis, is_number, value_words
from harness.figures.trials import TrialDot

MOST, FEWEST = 6, 3
PREFERRED = ("batch_size", "optimiser.learning_rate")


@dataclass(frozen=True)
class Span:
    """One column or row: a single value, or numbers from `low` up to `high`.

    Attributes:
        value: the single value; None for a range of numbers.
        log: whether the middle of the range is that of a logarithmic scale.
    """

    value: Any = None
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    def holds(self, value: Any, last: bool = False) -> bool:
        """Whether a value belongs here; the upper end does only in the last range."""
        if self.value is not None:
            return bool(value == self.value)
        return self.low <= value < self.high or (last and value == self.high)

    def off_middle(self, value: Any) -> float:
        """How far a value is from the middle, in widths of the range; 0 for a single value."""
        if self.value is not None:
            return 0.0
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return abs(at - (low + high) / 2) / (high - low)

    @property
    def words(self) -> str:
        """What is written beside the column or row."""
        if self.value is not None:
            return value_words(self.value)
        return f"{value_words(self.low)} to {value_words(self.high)}"


@dataclass(frozen=True)
class Cells:
    """A table of trials.

    Attributes:
        columns, rows: ascending.
        shown: the trial that stands for a cell, by (row, column); cells without one are missing.
        counts: trials by cell.
        left_out: trials outside of every cell: they lack an axis, or their value has no column.
    """

    across: SearchAxis
    down: SearchAxis | None
    columns: tuple[Span, ...]
    rows: tuple[Span, ...]
    shown: Mapping[tuple[int, int], TrialDot]
    counts: Mapping[tuple[int, int], int]
    left_out: int


def make_cells(trials: Sequence[TrialDot], axes: Sequence[SearchAxis]) -> Cells | None:
    """Batch size across and learning rate down where the search varied both, else the first two
    axes that it varied; None where it varied nothing.

    A cell is stood for by the chosen trial if it has it, else by the trial nearest to its middle,
    of equally near ones by the longest, of these by the newest.
    """
    varied = [axis for axis in axes if len({t.params.get(axis.path) for t in trials} - {None}) > 1]
    preferred = [axis for path in PREFERRED for axis in varied if axis.path == path]
    picked = preferred if len(preferred) == len(PREFERRED) else varied[:2]
    if not picked:
        return None
    across, down = picked[0], picked[1] if picked[1:] else None
    columns = spans(across, [t.params.get(across.path) for t in trials])
    # As many rows as the trials could fill, so that few trials do not leave a table of gaps.
    most = min(MOST, max(FEWEST, -(-len(trials) // len(columns))))
    rows = spans(down, [t.params.get(down.path) for t in trials], most) if down else (Span(""),)
    groups: dict[tuple[int, int], list[TrialDot]] = {}
    for trial in trials:
        row = _find(rows, trial.params.get(down.path) if down else "")
        column = _find(columns, trial.params.get(across.path))
        if row is not None and column is not None:
            groups.setdefault((row, column), []).append(trial)

    def rank(trial: TrialDot, row: Span, column: Span) -> tuple[bool, float, int, int]:
        off = column.off_middle(trial.params[across.path])
        off += row.off_middle(trial.params[down.path]) if down else 0.0
        return not trial.chosen, round(off, 9), -trial.epochs, -trial.number

    shown = {
        (r, c): min(mates, key=lambda t: rank(t, rows[r], columns[c]))
        for (r, c), mates in groups.items()
    }
    counts = {cell: len(mates) for cell, mates in groups.items()}
    left_out = len(trials) - sum(counts.values())
    return Cells(across, down, columns, rows, shown, counts, left_out)


def spans(axis: SearchAxis, values: Sequence[Any], most: int = MOST) -> tuple[Span, ...]:
    """Columns for the values that were tried.

    Up to `most` different values have one each. More numbers share `most` ranges, equally wide on
    the axis's scale (a list's is logarithmic above 0), from the smallest to the largest; of more
    words, the `most` most frequent ones have a column.

    Args:
        values: None where a trial lacks the axis.
    """
    there = [value for value in values if value is not None]
    found = SearchAxis.listed(axis.path, there).values
    if len(found) <= most:
        return tuple(Span(value) for value in found)
    if not all(map(is_number, found)):
        frequent = {value for value, _ in Counter(there).most_common(most)}
        return tuple(Span(value) for value in found if value in frequent)
    low, high = float(found[0]), float(found[-1])
    log = (axis.log or bool(axis.values)) and low > 0
    if log:
        inner = [low * (high / low) ** (place / most) for place in range(1, most)]
    else:
        inner = [low + (high - low) * place / most for place in range(1, most)]
    return tuple(Span(None, a, b, log) for a, b in pairwise([low, *inner, high]))


def _find(among: Sequence[Span], value: Any) -> int | None:
    if value is None:
        return None
    places = range(len(among))
    return next((p for p in places if among[p].holds(value, last=p == len(among) - 1)), None)
