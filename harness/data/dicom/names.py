"""ROI names of planning systems -> structures of the experiment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from harness.base.errors import DataError
from harness.base.text import first_of
from harness.data.dicom.other_names import quoted
from harness.data.dicom.structures import Roi
from harness.data.dicom.usual_names import USUAL_NAMES

SHOWN = 20  # names that a message lists


def match(
    rois: Sequence[Roi], structures: Sequence[str], patterns: Mapping[str, Sequence[str]]
) -> dict[str, Roi]:
    """The ROI of each structure that is there.

    Args:
        rois: with contours or without; those without any match nothing.
        structures: wanted names.
        patterns: regular expressions per structure; a structure without any is looked up under its
            usual names, and one that has none under its own name, ignoring case.

    Raises:
        DataError: two ROIs match one structure, its ROI is `refused`, or no wanted structure is
            there; names are listed.
    """
    chosen = {}
    for structure, named in matches(rois, structures, patterns).items():
        with_contours = [roi for roi in named if roi.contours or roi.refused]
        if len(with_contours) > 1:
            both = ", ".join(quoted(roi.name) for roi in with_contours)
            raise DataError(
                f"one ROI must match {structure}, but got {both}; narrow data.patterns.{structure}"
            )
        if with_contours and with_contours[0].refused:
            called = quoted(with_contours[0].name)
            raise DataError(f"{structure} ({called}): {with_contours[0].refused}")
        if with_contours:
            chosen[structure] = with_contours[0]
    if not chosen:
        raise DataError(_none(rois, structures, patterns))
    return chosen


def matches(
    rois: Sequence[Roi], structures: Sequence[str], patterns: Mapping[str, Sequence[str]]
) -> dict[str, list[Roi]]:
    """All ROIs whose names match each structure, with contours or without; as of `match`."""
    return {
        structure: [roi for roi in rois if is_named(roi.name, structure, patterns)]
        for structure in structures
    }


def is_named(name: str, structure: str, patterns: Mapping[str, Sequence[str]]) -> bool:
    """Whether a ROI of this name is that structure; `patterns` as of `match`."""
    own = (f"(?i)^{re.escape(structure)}$",)
    expressions = patterns.get(structure) or USUAL_NAMES.get(structure, own)
    return any(re.search(expression, name) for expression in expressions)


def _none(
    rois: Sequence[Roi], structures: Sequence[str], patterns: Mapping[str, Sequence[str]]
) -> str:
    wanted = ", ".join(structures)
    if not any(roi.contours for roi in rois):
        return f"{wanted} must be contoured, but its structure set has no contours"
    names = listed(roi.name for roi in rois if roi.contours)
    own = [structure for structure in structures if patterns.get(structure)]
    instead = ", which stand in the place of the usual names" if own else ""
    return (
        f"{wanted} must be contoured, but its structure set has {names}; see data.patterns{instead}"
    )


def listed(names: Iterable[str]) -> str:
    """Names in a message, quoted and sorted, no more than `SHOWN`."""
    return first_of(sorted(map(quoted, names)), SHOWN)
