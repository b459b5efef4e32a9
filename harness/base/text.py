"""Numbers in words: what is missing is a dash, a difference carries its sign."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from harness.base.counts import counted as counted

DASH = "\u2013"
MINUS = "\u2212"

# What the values of score jobs are called on the page: short name, unit or direction.
SCORE_WORDS: dict[str, tuple[str, str]] = {
    "quality/kid": ("KID", "lower is better"),
    "quality/fid": ("FID", "lower is better"),
    "quality/ssim": ("SSIM", "higher is better"),
    "quality/ms_ssim_4": ("MS-SSIM, 4 scales", "higher is better"),
    "quality/psnr_db": ("PSNR", "dB"),
    "quality/mae_hu": ("mean absolute error", "HU"),
    "cost/epochs": ("epochs a seed", "fewer is cheaper"),
    "quality/diversity": ("diversity of samples", "mean 1 - SSIM of pairs"),
    "quality/diversity_real": ("diversity of real ones", "mean 1 - SSIM of pairs"),
    "quality/area_ratio": ("mask area / real area", "1 is right"),
    "quality/components": ("regions per mask", "real structures: about 1"),
    "quality/empty_share": ("empty masks", "share"),
}
# Scores that mean nothing without the extractor that made the features.
WITH_EXTRACTOR = ("quality/kid", "quality/fid")


def number(value: float | None, digits: int = 3) -> str:
    """A plain number with fixed decimals; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """A difference with its sign."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:+.{digits}f}".replace("-", MINUS)


def short(value: Any) -> str:
    """A setting or score in about three digits; other things as text."""
    if value is None:
        return DASH
    if isinstance(value, bool | str | int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return DASH
        return (f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}").replace("-", MINUS)
    return str(value)


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


def size(count: float) -> str:
    """Bytes as people would say them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name that `name` was probably meant to be, whatever its capitals, or None."""
    folded = {option.casefold(): option for option in valid}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[close[0]] if close else None


def settings_text(params: Mapping[str, object]) -> str:
    """A trial's settings on one line, by the last part of their paths."""
    values = {path: f"{v:.3g}" if isinstance(v, float) else v for path, v in params.items()}
    return ", ".join(f"{path.rpartition('.')[2]} {value}" for path, value in values.items())


def day(seconds: float) -> str:
    """A date in UTC; empty before anything finished."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d") if seconds else ""


def score_name(name: str, extractor: str = "", n: int | None = None) -> str:
    """A score's name with unit or direction; KID and FID also with extractor and n."""
    word, unit = SCORE_WORDS.get(name, (name.rpartition("/")[2].replace("_", " "), ""))
    notes = [unit] if unit else []
    if name in WITH_EXTRACTOR:
        notes.append(extractor or "extractor not recorded")
    if n is not None:
        notes.append(f"n = {n}")
    return f"{word} ({'; '.join(notes)})" if notes else word


def axis_name(name: str, extractor: str = "", n: int | None = None) -> str:
    """`score_name` for an axis: name and direction above, extractor and n below."""
    first = score_name(name).replace("; extractor not recorded", "")
    second = [extractor] if name in WITH_EXTRACTOR and extractor else []
    second += [f"n = {n}"] if n is not None else []
    return f"{first}\n{', '.join(second)}" if second else first


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
