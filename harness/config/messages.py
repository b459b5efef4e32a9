"""pydantic's errors as sentences: the dotted path, the rule, what was found, what was meant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError

from harness.base.text import nearest
from harness.config.choices import OneOf
from harness.config.schema import Keys, Place, choices, dotted, resolve, settings
from harness.config.section import Section

LONGEST_VALUE = 60
QUOTE = "; put it in quotes"


@dataclass(frozen=True)
class Problem:
    """One broken rule: where, and the sentence (which names the place itself)."""

    keys: Keys
    sentence: str


def problems_of(error: ValidationError, model: type[Section]) -> list[Problem]:
    """Every broken rule once, in the order of the models."""
    found: dict[tuple[Keys, str], Problem] = {}
    short = set()
    for item in error.errors(include_url=False):
        for problem in _problems(item, model):
            if item["type"] == "too_short":
                short.add(problem.keys)
            found.setdefault((problem.keys, problem.sentence), problem)
    # Settings of a network that is not known are not known either: its name says it.
    strange = {keys[:1] for keys, _ in found if keys[1:] == ("network",)}
    found = {at: p for at, p in found.items() if at[0][:1] not in strange or "network" in at[0]}
    # A list whose entries are wrong is also found too short: the entries say it.
    inner = {keys[:depth] for keys, _ in found for depth in range(len(keys))}
    return [p for p in found.values() if not (p.keys in short and p.keys in inner)]


def show(value: Any) -> str:
    """A value as it would be typed, cut to a readable length."""
    if isinstance(value, str):
        text = repr(value)
    elif value is None or isinstance(value, bool | int | float):
        text = json.dumps(value)
    else:
        text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def _problems(item: Any, model: type[Section]) -> list[Problem]:
    kind, value, location = item["type"], item["input"], item["loc"]
    if kind == "extra_forbidden":
        return [Problem(location, unknown_key(model, location))]
    keys, place = _clean(model, location)
    path = dotted(keys)
    if kind == "value_error":
        return [Problem(keys, f"{path}: {item['ctx']['error']}" if path else item["msg"][13:])]
    if kind == "full_sentences":
        return [Problem(_named(model, line) or keys, line) for line in item["msg"].splitlines()]
    if kind == "missing" and isinstance(keys[-1], str):
        return [Problem(keys, f"{path} must be {place.rule}, but it is missing; add it")]
    if kind == "missing":
        keys, place = _clean(model, location[:-1])
        path = dotted(keys)
    sentence = f"{path} must be {place.rule}, but got {show(value)}"
    return [Problem(keys, sentence + _hint(place, value))]


def _named(model: type[Section], sentence: str) -> Keys | None:
    """The keys of the dotted path with which a full sentence begins."""
    path = sentence.partition(" ")[0].partition("[")[0]
    return resolve(Place(model), path.split("."))


def unknown_key(model: type[Section], keys: Sequence[str | int]) -> str:
    """The sentence for a key that a section does not have, with the nearest one it has."""
    section = _clean(model, keys[:-1])[1].section or model
    owner, key = dotted(keys[:-1]), str(keys[-1])
    valid = list(section.model_fields)
    # The same word elsewhere is a better guess than another word of this section.
    meant = [path for path, _ in settings(model) if path.split(".")[-1] == key]
    meant = [path for path in meant if path.startswith(f"{owner}.")] or meant
    network = _network_of(model, keys)
    if network:
        meant = [path for path in meant if path.startswith(f"{owner}.")]
    near = nearest(key, valid)
    if near is not None and not meant:
        meant = [dotted((*keys[:-1], near))]
    hint = f"; did you mean {' or '.join(repr(path) for path in meant)}?" if meant else ""
    whose = f"keys of `{owner}`{network}" if owner else "keys of the experiment"
    return (
        f"{whose} must be one of: {', '.join(valid)}; but got '{dotted((*keys[:-1], key))}'{hint}"
    )


def _network_of(model: type[Section], keys: Sequence[str | int]) -> str:
    """Whose settings a section's keys are, where a network decides that."""
    field = _clean(model, keys[:1])[1].field
    name = getattr(field.default, "network", None) if field is not None else None
    usual = field is None or name is None or name == field.default.__class__().network
    return "" if usual else f" with network '{name}'"


def _hint(place: Place, value: Any) -> str:
    if isinstance(value, str):
        named = choices(place.annotation, place.metadata)
        for option in get_args(place.annotation):
            named += choices(option)
        near = nearest(value, named)
        if near is not None:
            listed = f"; put it in a list: [{value}]"
            return listed if near == value else f"; did you mean '{near}'?"
        if any(isinstance(note, OneOf) for note in place.metadata):
            return "; if a package adds it, install that package"
        if value.lower() in ("yes", "no", "on", "off") and "true or false" in place.rule:
            return f"; did you mean {'true' if value.lower() in ('yes', 'on') else 'false'}?"
    elif isinstance(value, bool | int | float | dict) and place.rule.startswith("text"):
        return QUOTE
    return ""


def _clean(model: type[Section], location: Sequence[str | int]) -> tuple[Keys, Place]:
    """The keys that lead into the file, without pydantic's labels for a union's members."""
    keys: list[str | int] = []
    place = Place(model)
    for key in location:
        below = place.child(key)
        if below is None:
            break
        keys.append(key)
        place = below
    return tuple(keys), place
