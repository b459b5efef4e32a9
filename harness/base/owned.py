"""Whoever owns a folder looks, before every change below it, whether it still does.

An owner (`jobs.lease`) has its look asked for while it owns the folder. `base.files` looks before a
file appears; whoever changes files otherwise (appends, removes, a database) calls `look_before`.
Of folders that this process does not own nothing is asked.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

_OWNED: list[tuple[str, Callable[[], None]]] = []


@contextlib.contextmanager
def owning(folder: Path, look: Callable[[], None]) -> Iterator[None]:
    """While the block runs, `look` is called before this process changes a file below `folder`; it
    raises where the folder has another owner by now."""
    entry = os.path.join(os.path.abspath(folder), ""), look
    _OWNED.append(entry)
    try:
        yield
    finally:
        _OWNED.remove(entry)


def look_before(path: Path) -> None:
    """Look before a change of `path`, or below it.

    Raises:
        Lost: another owner has taken over since; nothing may be written there any more.
    """
    place = os.path.join(os.path.abspath(path), "")
    for folder, look in tuple(_OWNED):
        if place.startswith(folder):
            look()
