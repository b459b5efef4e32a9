"""A package's public names, imported when they are first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def door(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose names lie elsewhere.

    Args:
        package: its `__name__`.
        names: public name -> "module:object".
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        module, _, thing = names[name].partition(":")
        return getattr(importlib.import_module(module), thing)

    return find
