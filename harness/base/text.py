"""Numbers, counts and names in words: what is missing is a dash, a difference has its sign."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

DASH = "\u2013"
MINUS = "\u2212"


def first_of(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def number(value: float | None, digits: int = 3, sign: str = "") -> str:
    """A plain number with fixed decimals (with `sign` "+" always signed); a dash where none is."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:{sign}.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """A difference with its sign."""
    return number(value, digits, "+")


def short(value: Any) -> str:
    """A setting or score in about three digits; other things as text."""
    if value is None:
        return DASH
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value):
        return DASH
    return (f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}").replace("-", MINUS)


def interval(
    ends: tuple[float, float] | None, digits: int = 3, show: Callable[[float, int], str] = signed
) -> str:
    """Both ends of an interval, of differences unless `show` is `number`."""
    return DASH if ends is None else f"{show(ends[0], digits)} to {show(ends[1], digits)}"


def probability(value: float | None) -> str:
    """A p value; below 0.001 it is not spelled out."""
    if value is None or not math.isfinite(value):
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def percent(share: float | None) -> str:
    """A share as a whole percentage."""
    return DASH if share is None or not math.isfinite(share) else f"{100 * share:.0f} %"


def typeset(sentence: str) -> str:
    """A sentence with true minus signs before its numbers."""
    return re.sub(r"(?<![\w-])-(?=\d)", MINUS, sentence)


def glued(text: Any) -> str:
    """Text whose percent signs stay on the line of their number."""
    return str(text).replace(" %", "\u00a0%")


def duration(seconds: float) -> str:
    """Seconds as the unit that people would say."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def size(count: float, digits: int = 0) -> str:
    """Bytes as people would say them; `digits` after the point of megabytes."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.{digits}f} MB"


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


NEAR = 0.65
"""Likeness from which on a name is one mistyped: at 0.6, 'parotid_left' would be 'Patient'."""


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name that `name` was probably meant to be, whatever its capitals, or None."""
    folded = {option.casefold(): option for option in valid}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=NEAR)
    return folded[close[0]] if close else None


def meant(name: str, valid: Iterable[str], otherwise: str = "") -> str:
    """How a sentence that refuses `name` ends: with the nearest valid one, if any is near."""
    near = nearest(name, valid)
    return f"; did you mean '{near}'?" if near else otherwise


def settings_text(params: Mapping[str, object]) -> str:
    """A trial's settings on one line, by the last part of their paths, in words."""
    values = {path: f"{v:.3g}" if isinstance(v, float) else v for path, v in params.items()}
    names = {path: path.rpartition(".")[2].replace("_", " ") for path in params}
    return ", ".join(f"{names[path]} {value}" for path, value in values.items())


def aligned(
    rows: Sequence[Sequence[str]], others: Callable[[str, int], str] = str.rjust
) -> Iterator[str]:
    """Columns of one width: the first to the left, the others to the right, or as told."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [first.ljust(widths[0])]
        cells += [others(text, width) for text, width in zip(rest, widths[1:], strict=True)]
        yield "  " + "   ".join(cells).rstrip()


def day(seconds: float) -> str:
    """A date in UTC; empty before anything finished."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d") if seconds else ""


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as lines of (name in words, value)."""
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            lines += flat(value, f"{name}: ")
        elif isinstance(value, list | tuple):
            lines.append((name, ", ".join(short(entry) for entry in value) or DASH))
        else:
            lines.append((name, short(value)))
    return lines
