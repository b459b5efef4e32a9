"""Axes of a search space: does each name a setting of its stage, and do its values fit there?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, cast

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from harness.base.errors import ConfigError
from harness.base.text import nearest
from harness.config.messages import problems_of
from harness.config.schema import Place, settings
from harness.config.section import Section

S = TypeVar("S", bound=Section)


class AxisConfig(Section):
    """One axis of a search space: `values`, or `low` and `high`."""

    values: tuple[float | int | str | bool, ...] | None = Field(None, description="categorical")
    low: float | None = Field(None, description="lower end of a range")
    high: float | None = Field(None, description="upper end of a range")
    log: bool = Field(False, description="search the range on a log scale")
    integer: bool = Field(False, description="whole numbers only")
    when: dict[str, tuple[float | int | str | bool, ...]] = Field(
        {},
        description="asked only where axes listed before have one of these values; elsewhere the "
        "setting keeps the value that the stage's section gives it",
    )

    @model_validator(mode="after")
    def _one_form(self) -> AxisConfig:
        ranged = self.low is not None and self.high is not None
        if (self.values is None) == (not ranged) or (self.values is not None and not self.values):
            raise ValueError("an axis needs either `values` or both `low` and `high`")
        if ranged and self.low >= self.high:  # type: ignore[operator]
            raise ValueError(f"low must be below high, but got {self.low} and {self.high}")
        if ranged and self.log and self.low <= 0:  # type: ignore[operator]
            raise ValueError(f"a log axis needs low > 0, but got {self.low}")
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """`low` and `high` of an axis without `values`."""
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high


def apply(settings: S, params: Mapping[str, Any]) -> S:
    """The stage's settings with a trial's values put in their places; validated again."""
    changed: dict[str, Any] = settings.model_dump()
    for path, value in params.items():
        *parents, last = path.split(".")
        section = changed
        for parent in parents:
            section = section[parent]
        section[last] = value
    try:
        return type(settings).model_validate(changed)
    except ValidationError as error:
        words = "; ".join(problem.sentence for problem in problems_of(error, type(settings)))
        raise ConfigError(
            f"a trial must have settings that fit together, but got {dict(params)} ({words}); "
            "change the space, for instance by `when`"
        ) from error


def axis_problems(stage: type[Section], space: Mapping[str, AxisConfig], name: str) -> list[str]:
    """One sentence per axis that does not fit, each with its full dotted path.

    Args:
        stage: the model of the stage's section.
        space: axes by dotted path inside that section.
        name: the section's name, `mask` or `image`.
    """
    places = dict(settings(stage))
    del places["network"]  # its settings would be others
    found: list[str] = []
    for key, axis in space.items():
        path = f"sweep.{name}.space.{key}"
        if key == "network":
            found.append(
                f"{path} must be no axis, for every network has settings of its own, but got one; "
                "run a sweep for each"
            )
            continue
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


def _value_problems(path: str, axis: AxisConfig, place: Place) -> list[str]:
    if axis.values is not None:
        return [
            f"{path}.values[{index}] must be {place.rule}, but got {value!r}"
            for index, value in enumerate(axis.values)
            if not _fits(value, place)
        ]
    if place.annotation is int and not axis.integer:
        return [f"{path}.integer must be true, for the setting is {place.rule}, but got false"]
    found: list[str] = []
    for end, value in zip(("low", "high"), axis.ends, strict=True):
        whole = axis.integer and value.is_integer()
        if axis.integer and not whole:
            found.append(f"{path}.{end} must be a whole number on such an axis, but got {value}")
        elif not _fits(int(value) if whole else value, place):
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
