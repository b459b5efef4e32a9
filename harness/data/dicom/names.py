"""ROI names of planning systems -> structures of the experiment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from harness.base.errors import DataError
from harness.data.dicom.structures import Roi

SHOWN = 20  # names that a message lists


def match(
    rois: Sequence[Roi], structures: Sequence[str], patterns: Mapping[str, Sequence[str]]
) -> dict[str, Roi]:
    """The ROI of each structure that is there.

    Args:
        rois: with contours or without; those without any match nothing.
        structures: wanted names.
        patterns: regular expressions per structure; a structure without any is looked up under its
            own name, ignoring case.

    Raises:
        DataError: two ROIs match one structure, or no wanted structure is there; names are listed.
    """
    found = {}
    for structure in structures:
        expressions = patterns.get(structure) or (f"(?i)^{re.escape(structure)}$",)
        named = [roi for roi in rois if any(re.search(p, roi.name) for p in expressions)]
        with_contours = [roi for roi in named if roi.contours]
        if len(with_contours) > 1:
            both = ", ".join(f"'{roi.name}'" for roi in with_contours)
            raise DataError(
                f"one ROI must match {structure}, but got {both}; narrow data.patterns.{structure}"
            )
        if with_contours:
            found[structure] = with_contours[0]
    if not found:
        raise DataError(_none(rois, structures))
    return found


def _none(rois: Sequence[Roi], structures: Sequence[str]) -> str:
    wanted = ", ".join(structures)
    if not any(roi.contours for roi in rois):
        return f"{wanted} must be contoured, but its structure set has no contours"
    names = sorted(f"'{roi.name}'" for roi in rois if roi.contours)
    listed = ", ".join(names[:SHOWN]) + (
        f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    )
    return f"{wanted} must be contoured, but its structure set has {listed}; see data.patterns"
