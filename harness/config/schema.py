"""What a setting may be: walking the models by path, and saying a field's rule in words."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from harness.config.choices import OneOf
from harness.config.section import Section

Key = str | int
Keys = tuple[Key, ...]


@dataclass(frozen=True)
class Place:
    """One spot of the experiment: its type, its constraints, and the field it belongs to."""

    annotation: Any
    metadata: tuple[Any, ...] = ()
    field: FieldInfo | None = None

    @property
    def section(self) -> type[Section] | None:
        """The section that lies here (a nullable one too), or None for a single setting."""
        for option in _options(self.annotation):
            if isinstance(option, type) and issubclass(option, Section):
                return option
        return None

    @property
    def rule(self) -> str:
        """The allowed values in words, e.g. `a whole number >= 1`."""
        extra = self.field.json_schema_extra if self.field else None
        if isinstance(extra, dict) and "allowed" in extra:
            return str(extra["allowed"])
        return describe(self.annotation, self.metadata)

    def child(self, key: Key) -> Place | None:
        """The place below `key`, or None where there is none (an unknown key, a union's label)."""
        if self.section is not None:
            field = self.section.model_fields.get(str(key))
            return None if field is None else of_field(field)
        for option in _options(self.annotation):
            origin, inner = get_origin(option), get_args(option)
            if origin is dict and isinstance(key, str):
                return _unnamed(inner[1])
            if origin is tuple and isinstance(key, int):
                entries = [entry for entry in inner if entry is not Ellipsis]
                return _unnamed(entries[min(key, len(entries) - 1)])
        return None


def of_field(field: FieldInfo) -> Place:
    """The place of a model's field."""
    return Place(field.annotation, tuple(field.metadata), field)


def resolve(place: Place, parts: Sequence[str]) -> tuple[str, ...] | None:
    """The keys that a dotted path means, or None if it leads nowhere.

    Keys of mappings may hold dots themselves (`sweep.mask.space.optimiser.learning_rate.low`).
    """
    if not parts:
        return ()
    is_mapping = any(get_origin(option) is dict for option in _options(place.annotation))
    for taken in range(1, len(parts) + 1 if is_mapping else 2):
        key = ".".join(parts[:taken])
        below = place.child(key)
        rest = None if below is None else resolve(below, parts[taken:])
        if rest is not None:
            return (key, *rest)
    return None


def settings(section: type[Section], prefix: str = "") -> Iterator[tuple[str, Place]]:
    """Every single setting of a section by dotted path, those of its sections included."""
    for name, field in section.model_fields.items():
        place = of_field(field)
        if place.section is None:
            yield prefix + name, place
        else:
            yield from settings(place.section, f"{prefix}{name}.")


def dotted(keys: Sequence[Key]) -> str:
    """`data.phantom.spacing_mm[1]`."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def describe(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """The rule of a type and its constraints in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        place = _unnamed(annotation)
        return describe(place.annotation, (*place.metadata, *metadata))
    registered = next((note for note in metadata if isinstance(note, OneOf)), None)
    if registered is not None:
        return registered.rule()
    if origin in (Union, types.UnionType):
        return " or ".join(describe(option, metadata) for option in inner)
    if origin is Literal:
        return f"'{inner[0]}'" if len(inner) == 1 else f"one of: {', '.join(map(str, inner))}"
    if origin is tuple:
        return _describe_list(inner, _bounds(metadata).get("min_length"))
    if origin is dict:
        return f"a mapping, each value {describe(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "a mapping of settings"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    name = words.get(annotation, "null" if annotation in (None, type(None)) else str(annotation))
    return name + (_range(_bounds(metadata)) if annotation in (int, float) else "")


def choices(annotation: Any, metadata: Sequence[Any] = ()) -> list[str]:
    """The names that a setting may be: of a Literal or of a registry; [] for any other setting."""
    if get_origin(annotation) is Annotated:
        place = _unnamed(annotation)
        return choices(place.annotation, place.metadata)
    if get_origin(annotation) is Literal:
        return [str(option) for option in get_args(annotation)]
    return next((note.names() for note in metadata if isinstance(note, OneOf)), [])


def _describe_list(inner: tuple[Any, ...], least: Any) -> str:
    if inner[-1] is Ellipsis:
        size = f" of at least {least}" if least else ""
        return f"a list{size}, each {describe(inner[0])}"
    entries = [describe(entry) for entry in inner]
    if len(set(entries)) == 1:
        return f"a list of {len(entries)}, each {entries[0]}"
    return f"a list of {len(entries)}: {'; '.join(entries)}"


def _bounds(metadata: Sequence[Any]) -> dict[str, Any]:
    names = ("ge", "gt", "le", "lt", "min_length")
    return {
        name: getattr(item, name)
        for item in metadata
        for name in names
        if getattr(item, name, None) is not None
    }


def _range(bounds: dict[str, Any]) -> str:
    low = bounds.get("ge", bounds.get("gt"))
    high = bounds.get("le", bounds.get("lt"))
    if low is not None and high is not None:
        return f" in {'[' if 'ge' in bounds else '('}{low}, {high}{']' if 'le' in bounds else ')'}"
    if low is not None:
        return f" {'>=' if 'ge' in bounds else '>'} {low}"
    if high is not None:
        return f" {'<=' if 'le' in bounds else '<'} {high}"
    return ""


def _unnamed(annotation: Any) -> Place:
    """A place without a field of its own: an entry of a list or a value of a mapping."""
    if get_origin(annotation) is not Annotated:
        return Place(annotation)
    base, *notes = get_args(annotation)
    metadata: list[Any] = []
    for note in notes:
        metadata += note.metadata if isinstance(note, FieldInfo) else [note]
    return Place(base, tuple(metadata))


def _options(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a union, else the type itself."""
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)
