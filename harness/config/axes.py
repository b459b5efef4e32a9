"""Does each axis of a search space name a setting of its stage, and do its values fit there?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Protocol, cast

from pydantic import TypeAdapter, ValidationError

from harness.base.registry import nearest
from harness.config.schema import Place, settings
from harness.config.section import Section


class Axis(Protocol):
    """What is read of an axis: `AxisConfig` has it."""

    @property
    def values(self) -> tuple[float | int | str | bool, ...] | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def integer(self) -> bool: ...


def axis_problems(stage: type[Section], space: Mapping[str, Axis], name: str) -> list[str]:
    """One sentence per axis that does not fit, each with its full dotted path.

    Args:
        stage: the model of the stage's section.
        space: axes by dotted path inside that section.
        name: the section's name, `mask` or `image`.
    """
    places = dict(settings(stage))
    found: list[str] = []
    for key, axis in space.items():
        path = f"sweep.{name}.space.{key}"
        if key in places:
            found += _value_problems(path, axis, places[key])
            continue
        near = nearest(key, places) or nearest(key, [full.split(".")[-1] for full in places])
        meant = next((full for full in places if near in (full, full.split(".")[-1])), None)
        hint = f"; did you mean '{meant}'?" if meant else ""
        found.append(
            f"{path} must name a setting of `{name}`, one of: {', '.join(places)}; "
            f"but got '{key}'{hint}"
        )
    return found


def _value_problems(path: str, axis: Axis, place: Place) -> list[str]:
    if axis.values is not None:
        return [
            f"{path}.values[{index}] must be {place.rule}, but got {value!r}"
            for index, value in enumerate(axis.values)
            if not _fits(value, place)
        ]
    if place.annotation is int and not axis.integer:
        return [f"{path}.integer must be true, for the setting is {place.rule}, but got false"]
    found: list[str] = []
    for end, value in (("low", axis.low), ("high", axis.high)):
        whole = axis.integer and value is not None and value.is_integer()
        if axis.integer and not whole:
            found.append(f"{path}.{end} must be a whole number on such an axis, but got {value}")
        elif not _fits(int(value) if whole and value is not None else value, place):
            found.append(f"{path}.{end} must be {place.rule}, but got {value}")
    return found


def _fits(value: Any, place: Place) -> bool:
    # An unused note keeps Annotated legal for settings without constraints.
    kind = cast(Any, Annotated)[(place.annotation, *place.metadata, "axis")]
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True
