"""Axes of a search space as figures want them: where a value stands, and what is written there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SearchAxis:
    """One axis.

    Attributes:
        path: dotted path of the setting.
        values: what is listed, in the order of the axis; () for a range.
        low, high: ends of a range.
        log: whether a range is searched on a logarithmic scale.
    """

    path: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 1.0
    log: bool = False

    @classmethod
    def listed(cls, path: str, values: Sequence[Any]) -> SearchAxis:
        """An axis of single values: numbers ascending, words in the order given."""
        found = list(dict.fromkeys(values))
        return cls(path, tuple(sorted(found) if all(map(is_number, found)) else found))

    @property
    def name(self) -> str:
        """The setting in words, e.g. "learning rate"."""
        return self.path.rpartition(".")[2].replace("_", " ")

    def place(self, value: Any) -> float | None:
        """Where a value stands, 0 to 1; None for one that the axis does not have."""
        if self.values:
            if value not in self.values:
                return None
            return self.values.index(value) / (len(self.values) - 1) if self.values[1:] else 0.5
        if not is_number(value) or not self.low <= value <= self.high:
            return None
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return (at - low) / (high - low) if high > low else 0.5

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """At most about `most` places with what is written there."""
        if self.values:
            step = -(-len(self.values) // max(most, 8))
            return [(self.place(v) or 0.0, value_words(v)) for v in self.values[::step]]
        shown = self._log_ticks(most) if self.log else self._even_ticks(most)
        return [(self.place(v) or 0.0, value_words(v)) for v in shown]

    def _log_ticks(self, most: int) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for lead in ((1, 2, 5), (1, 3), (1,)):
            found = [float(f"{n}e{d}") for d in decades for n in lead]
            found = [v for v in found if self.low <= v <= self.high]
            if 2 <= len(found) <= most:
                return found
        if len(found) > most:
            return found[:: -(-len(found) // most)]
        return [self.low, self.high]

    def _even_ticks(self, most: int) -> list[float]:
        from matplotlib.ticker import MaxNLocator

        found = MaxNLocator(most - 1).tick_values(self.low, self.high)
        return [float(v) for v in found if self.low <= v <= self.high]


def is_number(value: Any) -> bool:
    """Whether a value can be ordered by size."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def value_words(value: Any) -> str:
    """A setting in few letters: two digits, very small and very large numbers by their power."""
    if not is_number(value):
        return str(value)
    if isinstance(value, int) and abs(value) < 100_000:
        return str(value)
    if value and not 1e-3 <= abs(value) < 1e5:
        digits, _, power = f"{value:.1e}".partition("e")
        return f"{digits.removesuffix('.0')}e{int(power)}"
    return f"{value:.3g}"
