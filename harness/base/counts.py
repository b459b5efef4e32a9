"""Counts in words."""

from __future__ import annotations

from collections.abc import Sequence


def some(count: int, things: str) -> str:
    """`3 contours left out`, or `1 contour left out`: for one, the first plural loses its s."""
    if count == 1:
        words = things.split(" ")
        index = next((n for n, word in enumerate(words) if word.endswith("s")), None)
        if index is not None:
            words[index] = words[index][:-1]
        things = " ".join(words)
    return f"{count} {things}"


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def first_of(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
