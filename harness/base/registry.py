"""One way to find a thing by name: no duplicates, and a miss lists what is near and valid."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import Generic, TypeVar

from harness.base.errors import ConfigError

T = TypeVar("T")


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name that `name` was probably meant to be, whatever its capitals, or None."""
    folded = {option.casefold(): option for option in valid}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[close[0]] if close else None


class Registry(Generic[T]):
    """Names to things. Built-ins register in code, other packages by an entry-point group.

    Args:
        noun: what one entry is called in messages, e.g. "source".
        group: entry-point group that other packages use, e.g. "harness.sources".
    """

    def __init__(self, noun: str, group: str) -> None:
        self.noun = noun
        self.group = group
        self._known: dict[str, T] = {}
        self._looked_outside = False

    def add(self, name: str, thing: T) -> T:
        """Register `thing`; a second thing of the same name is a bug, said at once."""
        if name in self._known:
            raise ConfigError(f"each {self.noun} needs a name of its own, but got '{name}' twice")
        self._known[name] = thing
        return thing

    def _load_outside(self) -> None:
        if self._looked_outside:
            return
        self._looked_outside = True
        for point in metadata.entry_points(group=self.group):
            self.add(point.name, point.load())

    def get(self, name: str) -> T:
        """The thing called `name`, else a ConfigError that lists near and valid names."""
        if name not in self._known:
            self._load_outside()
        if name in self._known:
            return self._known[name]
        near = nearest(name, self._known)
        hint = f"; did you mean '{near}'?" if near else ""
        valid = ", ".join(sorted(self._known))
        raise ConfigError(f"{self.noun} must be one of: {valid}; but got '{name}'{hint}")

    def __iter__(self) -> Iterator[str]:
        self._load_outside()
        return iter(sorted(self._known))
