"""From a YAML file and overrides to an `Experiment`, or to one sentence per broken rule."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from harness.base.denied import why
from harness.base.errors import ConfigError
from harness.base.text import meant
from harness.config.experiment import Experiment, model_of, to_dict
from harness.config.messages import QUOTE, Problem, problems_of, show
from harness.config.render import ROOT_PLACEHOLDER
from harness.config.schema import Keys, Place, of_field, resolve
from harness.config.section import Section
from harness.config.yaml_text import read_yaml

_PATHS = ("data", "root"), ("decision", "subgroups_file")  # seen from the file's folder


@dataclass(frozen=True)
class Override:
    """`a.b.c=VALUE` from the command line."""

    path: str
    keys: tuple[str, ...]
    value: Any


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read, override and check an experiment file.

    A relative `data.root` or `decision.subgroups_file` is seen from the file's folder; in an
    override, as in any command, from the current one.

    Args:
        path: the YAML file.
        overrides: `a.b.c=VALUE`, VALUE as YAML; later ones win.

    Raises:
        ConfigError: one line per broken rule, each with the file and line, or the override.
    """
    return parse_experiment(_read_text(path), path.name, overrides, path.parent)


def parse_experiment(
    text: str, name: str, overrides: Sequence[str] = (), folder: Path | None = None
) -> Experiment:
    """As `load_experiment`, from a text; `name` is what messages call it. Without a `folder` its
    `data.root` stays as it is written."""
    tree, lines = read_yaml(text, name)
    if not isinstance(tree, dict):
        got = "nothing" if tree is None else show(tree)
        raise ConfigError(f"{name}: the file must be a mapping (`name: ...`), but got {got}")
    if folder is not None:
        tree = _with_root(tree, (), folder)
    model: type[Experiment] = Experiment
    given: list[Override] = []
    for _ in range(2):  # overrides may name other networks, whose settings have other paths
        model = model_of(_overridden(tree, given, model))
        given = [_parse_override(override, model) for override in overrides]
    tree = _overridden(tree, given, model)
    # JSON is the one form in which strict pydantic takes lists for tuples; strict, because a
    # quoted number or `true` for 1 is more often a slip than a wish.
    completed = json.dumps(_complete(tree, model))
    try:
        return model.model_validate_json(completed, strict=True)
    except ValidationError as error:
        problems = problems_of(error, model)
    raise ConfigError("\n".join(_sentence(p, _origin(p, name, lines, given)) for p in problems))


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path.name}: the file must be UTF-8 text, but got byte "
            f"{error.object[error.start]:#x} at position {error.start}; save it as UTF-8"
        ) from error
    except FileNotFoundError as error:
        folder = path.parent
        there = [file.name for file in folder.glob("*.y*ml")] if folder.is_dir() else []
        raise ConfigError(
            f"the experiment must be an existing YAML file, but got '{path.name}'"
            f"{meant(path.name, there, '; check the path')}"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"the experiment must be a readable YAML file, but got '{path.name or path}' "
            f"({why(error)})"
            + "; harness init FOLDER writes one"
            * isinstance(error, IsADirectoryError)
        ) from error


def _overridden(
    tree: dict[str, Any], overrides: Sequence[Override], model: type[Experiment]
) -> dict[str, Any]:
    changed = copy.deepcopy(tree)
    for override in overrides:
        _set(changed, override, model)
    return changed


def _parse_override(text: str, model: type[Experiment]) -> Override:
    path, separator, value = text.partition("=")
    path = path.strip()
    if not separator or not path:
        raise ConfigError(
            "an override must read KEY=VALUE without blanks, such as mask.width=32, but got "
            f"'{text}'"
        )
    parts = path.split(".")
    # An unknown path is set all the same: the models then name it, as they do in the file.
    keys = resolve(Place(model), parts) or tuple(parts)
    read, _ = read_yaml(value, f"-s {path}", _quoted(path))
    return Override(path, keys, _with_root(read, keys, Path()))


def _quoted(path: str) -> str:
    """How text is typed that the shell and YAML shall leave as it is."""
    return f"-s '{path}=\"TEXT\"'"


def _with_root(value: Any, keys: tuple[str, ...], folder: Path) -> Any:
    """What stands at `keys`, with a relative path in it made absolute from `folder`."""
    if keys in _PATHS:
        written = isinstance(value, str) and value not in ("", ROOT_PLACEHOLDER)
        return str(Path(folder, value).absolute()) if written and value[0] != "~" else value
    for path in _PATHS:
        below = path[len(keys)] if keys == path[: len(keys)] else None
        if below is not None and isinstance(value, dict) and below in value:
            value = {**value, below: _with_root(value[below], (*keys, below), folder)}
    return value


def _set(tree: dict[str, Any], override: Override, model: type[Experiment]) -> None:
    """Put the value in place; a mapping that the file leaves out starts from its defaults."""
    place: Place | None = Place(model)
    spot = tree
    for key in override.keys[:-1]:
        place = None if place is None else place.child(key)
        if not isinstance(spot.get(key), dict):
            spot[key] = _default_mapping(place)
        spot = spot[key]
    spot[override.keys[-1]] = override.value


def _default_mapping(place: Place | None) -> dict[str, Any]:
    default = _default(place)
    if isinstance(default, Section):  # the rest may depend on what is now set
        return default.model_dump(mode="json", exclude_unset=True)
    return dict(to_jsonable_python(default)) if isinstance(default, dict) else {}


def _default(place: Place | None) -> Any:
    if place is None or place.field is None or place.field.is_required():
        return None
    return place.field.get_default(call_default_factory=True, validated_data={})


def _complete(tree: dict[str, Any], model: type[Experiment]) -> dict[str, Any]:
    """Fill required settings of sections given in part from the section's own default.

    `sweep: {mask: {trials: 2}}` keeps the default space of the mask stage.
    """
    filled = dict(tree)
    for name, field in model.model_fields.items():
        default = _default(of_field(field))
        if isinstance(default, Section) and isinstance(tree.get(name), dict):
            filled[name] = _complete_section(default, tree[name])
    return filled


def _complete_section(default: Section, given: dict[str, Any]) -> dict[str, Any]:
    filled = dict(given)
    defaults = to_dict(default)
    for name, field in type(default).model_fields.items():
        value = getattr(default, name)
        if name not in given and field.is_required():
            filled[name] = defaults[name]
        elif isinstance(value, Section) and isinstance(given.get(name), dict):
            filled[name] = _complete_section(value, given[name])
    return filled


def _sentence(problem: Problem, origin: str) -> str:
    """With the quotes as they are typed, where an override lacks them: the shell takes one pair."""
    typed = origin.startswith("-s ") and problem.sentence.endswith(QUOTE)
    how = f" for the shell and for YAML: {_quoted(origin.removeprefix('-s '))}" if typed else ""
    return f"{origin}: {problem.sentence}{how}"


def _origin(
    problem: Problem, name: str, lines: Mapping[Keys, int], overrides: Sequence[Override]
) -> str:
    """Who broke the rule: an override, or the file at a line, or both together."""
    for override in reversed(overrides):
        if problem.keys[: len(override.keys)] == override.keys:
            return f"-s {override.path}"
    below = [
        override.path
        for override in overrides
        if override.keys[: len(problem.keys)] == problem.keys
    ]
    if below:
        return f"{name} with {' '.join(f'-s {path}' for path in dict.fromkeys(below))}"
    for length in range(len(problem.keys), 0, -1):
        if problem.keys[:length] in lines:
            return f"{name}, line {lines[problem.keys[:length]]}"
    return name
