"""What typer refuses of a command line, as one sentence like any other error's."""

from __future__ import annotations

import errno
import os
import re
from typing import Any

from harness.base.denied import denied_words
from harness.base.text import meant

EXTRA = "; leave it out, or quote a value that has blanks in it"
SETTINGS = (
    *("arms", "compute", "conclusive", "data", "decision", "dose_response", "image", "mask"),
    *("learning_curve", "legacy", "metrics", "name", "observations", "privacy", "question"),
    *("replicates", "seed", "segmentation", "sweep", "synthesis", "tracking"),
)
"""Settings at the top of an experiment that look like options where they are typed with "--"."""
_WORDS = {
    "Input should be": "must be",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "greater than or equal to": ">=",
    "less than or equal to": "<=",
}


def usage_sentence(error: Any) -> str:
    """The rule, what was typed, what to type instead.

    Args:
        error: typer's `UsageError`, or click's; versions differ in where the classes lie, not in
            their names.
    """
    kind, said, context = type(error).__name__, error.format_message().rstrip("."), error.ctx
    command = context.command_path if context is not None else "harness"
    look = f"; type {command} --help"
    unknown = re.match(r"No such command '(.*?)'", said)
    closed = re.search(r"(?i)(?:path|file|directory) '(.*)' is not (?:read|writ)able", said)
    extra = re.search(r"unexpected extra argument\(?s?\)? \((.*)\)", said)
    if unknown is not None:
        names = list(context.command.commands)
        hint = meant(unknown[1], names, look)
        return f"a command must be one of: {', '.join(names)}; but got '{unknown[1]}'{hint}"
    if closed is not None:
        return denied_words(PermissionError(errno.EACCES, os.strerror(errno.EACCES), closed[1]))
    if kind == "NoSuchOption":
        known = [name for param in context.command.get_params(context) for name in param.opts]
        hint = meant(error.option_name, known, look)
        word = error.option_name.lstrip("-")
        if "--set" in known and word in SETTINGS:
            hint = f"; a setting of the experiment is given by -s {word}=..."
        return f"an option of {command} must be one it has, but got '{error.option_name}'{hint}"
    if kind == "MissingParameter":
        return f"{command} needs {_name(error.param)}, but got none{look}"
    if extra is not None:
        hint = f"; did you mean '-s {extra[1]}'?" if "=" in extra[1] else EXTRA
        if extra[1].startswith("="):
            hint = "; write a setting without spaces: -s SETTING=VALUE"
        return f"{command} must get no further argument, but got '{extra[1]}'{hint}"
    if kind == "BadOptionUsage" and "requires" in said:
        many = re.search(r"\d+", said.rpartition("requires")[2])
        rule = f"{many[0]} values, but got fewer" if many else "a value, but got none"
        return f"{error.option_name} needs {rule}; add it"
    if kind == "BadOptionUsage":
        return f"{error.option_name} takes no value, but got one; leave it out"
    if kind == "BadParameter" and hasattr(error.__cause__, "errors"):  # pydantic's
        first = error.__cause__.errors()[0]
        rule = first["msg"].partition(",")[0]
        for theirs, ours in _WORDS.items():
            rule = rule.replace(theirs, ours)
        return f"{_name(error.param)} {rule}, but got '{first['input']}'"
    return said[:1].lower() + said[1:] + look


def _name(param: Any) -> str:
    """What the person types for a parameter, or reads in the help."""
    if param.param_type_name == "option":
        return str(max(param.opts, key=len))
    return str(param.metavar or param.name.upper())
