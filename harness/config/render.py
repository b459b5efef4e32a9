"""The resolved experiment as a documented YAML text, and as plain data that may be stored."""

from __future__ import annotations

import textwrap
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from harness.config.data import DEFAULT_PATTERNS
from harness.config.experiment import Experiment, to_dict
from harness.config.messages import show
from harness.config.schema import of_field
from harness.config.section import Section
from harness.config.yaml_text import write_yaml

WIDTH = 100
ROOT_PLACEHOLDER = "<data.root>"
PATTERN_PLACEHOLDER = "<data.patterns>"


def render(experiment: Experiment) -> str:
    """Every setting as YAML, each with its meaning, allowed values and (if changed) default.

    The text loads back to an equal experiment.
    """
    return "\n".join(_section_lines(experiment, "")).strip("\n") + "\n"


def sanitised(experiment: Experiment) -> dict[str, Any]:
    """The experiment as plain data without paths of this machine and without credentials.

    `data.root` becomes `<data.root>`, `metrics.inception_weights`, `metrics.torchscript` and
    `decision.subgroups_file` their files' names, and `tracking.uri` loses user, password, query and
    local folders, `sweep.storage` user and query. Of `data.patterns` those that the user wrote
    become `<data.patterns>`, for they name ROIs, unless `privacy.roi_names` shows these.
    """
    stored = to_dict(experiment)
    if stored["data"]["root"] is not None:
        stored["data"]["root"] = ROOT_PLACEHOLDER
    if not experiment.privacy.roi_names:
        stored["data"]["patterns"] = {
            name: [p if p in DEFAULT_PATTERNS.get(name, ()) else PATTERN_PLACEHOLDER for p in those]
            for name, those in experiment.data.patterns.items()
        }
    weights = ("metrics", "inception_weights"), ("metrics", "torchscript")
    for section, name in (*weights, ("decision", "subgroups_file")):
        if stored[section][name] is not None:
            stored[section][name] = _file_name(stored[section][name])
    if stored["tracking"]["uri"] is not None:
        stored["tracking"]["uri"] = _public_uri(stored["tracking"]["uri"])
    if stored["sweep"]["storage"] is not None:
        stored["sweep"]["storage"] = _public_uri(stored["sweep"]["storage"])
    return stored


def _section_lines(section: Section, indent: str) -> list[str]:
    lines: list[str] = []
    after_section = False
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        place = of_field(field)
        meaning = field.description or ""
        if not indent and (after_section or isinstance(value, Section)):
            lines.append("")
        after_section = isinstance(value, Section)
        if isinstance(value, Section):
            lines += comment_lines(meaning, indent)
            lines += [f"{indent}{name}:", *_section_lines(value, indent + "  ")]
            continue
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        if default is not None and default != value and not isinstance(default, Section | dict):
            meaning += f" (default {show(_to_yaml(default))})"
        lines += _setting_lines(
            name, _to_yaml(value), f"{meaning}; {place.rule}".removesuffix("; text"), indent
        )
    return lines


def _setting_lines(name: str, value: Any, comment: str, indent: str) -> list[str]:
    text = textwrap.indent(write_yaml({name: value}).rstrip("\n"), indent)
    if "\n" not in text and len(text) + len(comment) + 4 <= WIDTH:
        return [f"{text}  # {comment}"]
    return [*comment_lines(comment, indent), *text.split("\n")]


def comment_lines(text: str, indent: str) -> list[str]:
    """A comment of YAML, on lines of at most `WIDTH` letters where its words allow it."""
    start = f"{indent}# "
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _to_yaml(value: Any) -> Any:
    """Tuples as lists and axes without the settings that they leave at their defaults."""
    if isinstance(value, Section):
        return _to_yaml(value.model_dump(exclude_defaults=True))
    if isinstance(value, dict):
        return {key: _to_yaml(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_to_yaml(entry) for entry in value]
    return value


def _file_name(path: str) -> str:
    return PurePath(path.replace("\\", "/")).name


def _public_uri(uri: str) -> str:
    parts = urlsplit(uri)
    if len(parts.scheme) < 2 or parts.scheme == "file" or parts.scheme.startswith("sqlite"):
        # A local file: its folder says where on this machine, which nobody else needs.
        prefix = f"{parts.scheme}:///" if len(parts.scheme) > 1 else ""
        return prefix + _file_name(uri.partition("?")[0])
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
