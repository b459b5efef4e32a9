"""Numbers of DICOM elements, however a writer put them: under another VR, with decimal commas."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
"""Of a rescale a comma may part thousands here; places and spacings are no thousands of mm."""
BINARY = ("FL", "FD", "SL", "SS", "SV", "UL", "US", "UV")
"""Representations of numbers that are no text."""


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...] | None:
    """An element's values; None where it is missing, empty, or not finite numbers for sure.

    A comma is a point where it is the only one of its value and the value has no point.
    """
    try:
        element: Any = dataset.get_item(keyword)
        if isinstance(element, RawDataElement) and not _is_text(element.VR, keyword):
            element = dataset[keyword]
        value = element.value if element is not None else None
        found = [_parsed(entry, keyword) for entry in _entries(value)]
    except Exception:  # noqa: BLE001 - elements are parsed when asked for
        return None
    return tuple(found) if found and all(map(math.isfinite, found)) else None


def number(dataset: Dataset, keyword: str) -> float | None:
    """The one value of an element, None where `numbers` has none or several."""
    found = numbers(dataset, keyword)
    return found[0] if found and len(found) == 1 else None


def whole(dataset: Dataset, keyword: str) -> int | None:
    """The one value of an element where it is a whole number."""
    found = number(dataset, keyword)
    return int(found) if found is not None and found == int(found) else None


def is_given(dataset: Dataset, keyword: str) -> bool:
    """Whether an element is there and not empty, number or not."""
    element: Any = dataset.get_item(keyword)
    return element is not None and bool(_entries(element.value))


def normalise(dataset: Dataset, keywords: Sequence[str]) -> None:
    """Give whole numbers the VR of the dictionary: decoders take them as they stand."""
    for keyword in keywords:
        value, tag = whole(dataset, keyword), tag_for_keyword(keyword)
        if value is not None and tag is not None:
            dataset.add_new(tag, dictionary_VR(tag), value)


def _is_text(vr: str | None, keyword: str) -> bool:
    known = dictionary_VR(keyword) if vr in (None, "UN") else vr
    return known not in BINARY and " or " not in str(known)


def _entries(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        return value.strip("\0 ").split("\\") if value.strip("\0 ") else ()
    return value if isinstance(value, Sequence) else (value,)


def _parsed(entry: Any, keyword: str) -> float:
    """Raises ValueError for text that is no number, or may be two."""
    if not isinstance(entry, str):
        return float(entry)
    words = entry.strip("\0 ")
    thousands = keyword.startswith("Rescale") and _THOUSANDS.fullmatch(words)
    if thousands or not _NUMBER.fullmatch(words):
        raise ValueError("number")
    return float(words.replace(",", "."))
