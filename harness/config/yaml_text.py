"""YAML as the experiment file uses it: the core schema of YAML 1.2, strict about doubtful text.

PyYAML follows YAML 1.1, where `1e-4` is text, `no` is false, `010` is eight and `12:30` is 750.
Here numbers are what they look like, only `true` and `false` are truth values, and what no
experiment needs (anchors, tags, two documents, a key given twice) is refused with its line.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from harness.base.errors import ConfigError
from harness.config.schema import Keys

_TAG = "tag:yaml.org,2002:"
_WHOLE = r"(?:0|[1-9][0-9]*)"
_CORE: tuple[tuple[str, str, str], ...] = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", rf"[-+]?{_WHOLE}", "-+0123456789"),
    ("float", rf"[-+]?(?:\.[0-9]+|{_WHOLE}(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
)
_DEEPEST = 12
_MOST_DIGITS = 400


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own form)

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        for what, there in (
            ("an alias (*)", isinstance(event, yaml.AliasEvent)),
            ("an anchor (&)", getattr(event, "anchor", None) is not None),
            ("a tag (!)", getattr(event, "tag", None) is not None),
        ):
            if there:
                raise yaml.composer.ComposerError(
                    None, None, f"{what}, which experiments do without", event.start_mark
                )
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own form)

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_mapping(self, tag: str, mapping: Any, flow_style: Any = None) -> Any:
        return super().represent_mapping(tag, mapping, flow_style=False)

    def represent_text(self, text: str) -> yaml.ScalarNode:
        escaped = "".join(text.splitlines()) != text
        return self.represent_scalar(_TAG + "str", text, style='"' if escaped else None)


_Dumper.add_representer(str, _Dumper.represent_text)
for _name, _pattern, _first in _CORE:
    for _user in (_Loader, _Dumper):
        _user.add_implicit_resolver(
            _TAG + _name, re.compile(f"^(?:{_pattern})$"), [*_first, *([""] * (_name == "null"))]
        )


def read_yaml(text: str, name: str, typed: str = "") -> tuple[Any, dict[Keys, int]]:
    """Parse one YAML document.

    Args:
        text: the document.
        name: how messages call it.
        typed: of a value on the command line, how its text is quoted: it holds no comments.

    Returns:
        The value as plain data, and the line (from 1) at which each entry stands, by its keys.

    Raises:
        ConfigError: not YAML, or YAML with a key given twice, an alias, a tag or two documents, or
            a typed value with a comment.
    """
    lines: dict[Keys, int] = {}
    quote = f"; text is quoted for the shell and for YAML: {typed}" if typed else ""
    try:
        if typed and _has_comment(text):
            raise ConfigError(
                f"{name}: a typed value must hold no comment, but got '#' at its start or behind a "
                f"blank{quote}"
            )
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, lines
        _walk(node, (), lines, name)
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}, line {mark.line + 1}" if mark else name
        problem = " ".join(part for part in (error.context, error.problem) if part)
        hint = "; indent with spaces, not tabs" if "\\t" in str(problem) else ""
        if error.context_mark and re.search("flow (mapping|sequence)", error.context or ""):
            hint = f"; is the bracket or brace of line {error.context_mark.line + 1} closed?"
        if not typed and not name.endswith((".yaml", ".yml")):
            hint = hint or "; an experiment is a file such as harness init FOLDER writes"
        raise ConfigError(
            f"{where}: the text must be YAML, but reading stopped: {problem}{hint}{quote}"
        ) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        got = f"a character of code {error.character}"
        raise ConfigError(
            f"{name}, line {line}: the text must be printable, but got {got}"
        ) from error
    except RecursionError as error:
        raise ConfigError(_too_deep(name)) from error


def write_yaml(value: dict[str, Any]) -> str:
    """A mapping of plain data as YAML, in the given order, that `read_yaml` reads back equal.

    Lists of single values stay on one line; text with line breaks is written with escapes.
    """
    return yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=float("inf"),
    )


def _has_comment(text: str) -> bool:
    """Whether anything stands between the tokens of YAML, which would be passed over."""
    end = 0
    for token in yaml.scan(text, _Loader):
        if "#" in text[end : token.start_mark.index]:
            return True
        end = max(end, token.end_mark.index)
    return False


def _too_deep(name: str) -> str:
    return f"{name}: settings may be nested {_DEEPEST} deep, but got more"


def _walk(node: yaml.Node, keys: Keys, lines: dict[Keys, int], name: str) -> None:
    """Note the line of each entry below `node` and refuse what the schema leaves out."""
    if len(keys) > _DEEPEST:
        raise ConfigError(_too_deep(name))
    if node.tag == _TAG + "int" and len(node.value) > _MOST_DIGITS:
        raise ConfigError(
            f"{name}, line {node.start_mark.line + 1}: a number may have {_MOST_DIGITS} digits, "
            f"but got {len(node.value)}"
        )
    if isinstance(node, yaml.SequenceNode):
        for index, entry in enumerate(node.value):
            lines[(*keys, index)] = entry.start_mark.line + 1
            _walk(entry, (*keys, index), lines, name)
    if not isinstance(node, yaml.MappingNode):
        return
    for key, entry in node.value:
        line = key.start_mark.line + 1
        if key.tag != _TAG + "str":
            got = key.value if isinstance(key, yaml.ScalarNode) else "a list or a mapping"
            raise ConfigError(f"{name}, line {line}: a key must be text, but got {got}")
        here = (*keys, key.value)
        if here in lines:
            raise ConfigError(
                f"{name}, line {line}: a key may be given once, but got '{key.value}' again "
                f"(first on line {lines[here]}); keep one of them"
            )
        lines[here] = line
        _walk(entry, here, lines, name)
