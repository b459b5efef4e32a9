"""One way to find a thing by name: no duplicates, and a miss lists what is near and valid."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any, Generic, TypeVar

from harness.base.errors import ConfigError, EnvironmentFault
from harness.base.text import meant

T = TypeVar("T")
NAME = re.compile("[a-z0-9][a-z0-9_-]*")
"""Of what another package adds: such names need no quotes anywhere, and parts of arms are told."""


def load_place(place: str) -> Any:
    """The object at "module:object"."""
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


def call_place(place: str, *given: Any) -> Any:
    """What the function at "module:function" returns."""
    return load_place(place)(*given)


class Registry(Generic[T]):
    """Names to things: a table of built-ins, and what other packages add by entry points.

    Nothing is imported before it is asked for, so that a table may name what lies in rooms above.

    Args:
        noun: what one entry is called in messages, e.g. "data.source".
        group: entry-point group that other packages use, e.g. "harness.sources".
        built_in: things, or "module:object" where they lie.
        record: "module:class" that others' things must be of; "" for any.
    """

    def __init__(
        self, noun: str, group: str, built_in: Mapping[str, T | str], record: str = ""
    ) -> None:
        self.noun = noun
        self.group = group
        self._known: dict[str, Any] = dict(built_in)
        self._record = record
        self._looked_outside = False
        self._outside: set[str] = set()

    def add(self, name: str, thing: T | str, hint: str = "") -> None:
        """Register `thing`; a second thing of the same name is refused at once, with the hint."""
        if name in self._known:
            raise ConfigError(
                f"each {self.noun} needs a name of its own, but got '{name}' twice{hint}"
            )
        self._known[name] = thing

    def names(self) -> list[str]:
        """All names: built-ins in their order, then others'."""
        if not self._looked_outside:
            self._looked_outside = True
            points = sorted(metadata.entry_points(group=self.group), key=lambda point: point.name)
            for point in points:
                package = point.dist.name if point.dist else point.value
                if not NAME.fullmatch(point.name):
                    raise ConfigError(
                        f"the name of a {self.noun} must be small letters, digits, '_' and '-', "
                        f"but got '{point.name}' of the package '{package}'; rename or uninstall it"
                    )
                self.add(point.name, point.value, f"; uninstall the package '{package}'")
                self._outside.add(point.name)
        return list(self._known)

    def get(self, name: str) -> T:
        """The thing called `name`.

        Raises:
            ConfigError: there is none; the sentence lists near and valid names.
            EnvironmentFault: another package's cannot be imported.
        """
        if name not in self._known and name not in self.names():
            raise ConfigError(
                f"{self.noun} must be one of: {', '.join(self._known)}; but got '{name}'"
                f"{meant(name, self._known)}"
            )
        place = self._known[name]
        if isinstance(place, str):
            try:
                thing = load_place(place)
            except (ImportError, AttributeError) as error:
                if name not in self._outside:
                    raise
                raise EnvironmentFault(
                    f"{self.noun} '{name}' must be importable, but got '{error}' from '{place}'; "
                    "mend or uninstall its package"
                ) from error
            others = name in self._outside and self._record
            if others and not isinstance(thing, load_place(self._record)):
                raise EnvironmentFault(
                    f"{self.noun} '{name}' must be a {self._record.partition(':')[2]}, but got a "
                    f"{type(thing).__name__} from '{place}'; mend or uninstall its package"
                )
            self._known[name] = thing
        return self._known[name]  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())
