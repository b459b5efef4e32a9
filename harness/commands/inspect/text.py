"""What `harness inspect` prints: one table of series, one of the regions of each structure set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from harness.base.text import DASH, counted, first_of
from harness.commands.inspect.command import LISTING

MOST_FILES = 5
"""Ignored files that are named for each reason."""


def show(found: Mapping[str, Any], stream: TextIO) -> None:
    """Print what was found; a pipe or file gets lines of any length."""
    from rich.console import Console

    width = None if stream.isatty() else 200
    console = Console(file=stream, highlight=False, markup=False, width=width)
    console.print(
        f"{counted(len(found['patients']), 'patient')}, {len(found['series'])} series, "
        f"{counted(len(found['structure_sets']), 'structure set')}"
    )
    if found["series"]:
        console.print(_table(SERIES, [_series(entry) for entry in found["series"]]))
    for entry in found["structure_sets"]:
        console.print()
        of = f"series {entry['series']}" if entry["series"] else "no series"
        console.print(
            f"structure set {entry['number']} of {entry['patient']} on {of}: {entry['file']}"
        )
        for warning in entry["warnings"]:
            console.print(f"  warning: {warning}")
        if entry["rois"]:
            console.print(_table(ROIS, [_roi(roi) for roi in entry["rois"]]))
    if found["used"]:
        console.print()
    for entry in found["used"]:
        taken = CT_ALONE if entry["ct_alone"] else _taken(entry["structures"])
        console.print(f"prepare takes of {entry['patient']}: {taken}")
        for note in entry["notes"]:
            console.print(f"  {note}")
    if found["names"] == LISTING:
        console.print(
            "patients are named for this listing alone; a work folder that has prepared patients "
            "(--workdir) lends its names"
        )
    if found["ignored"]:
        console.print()
        for line in _ignored(found["ignored"]):
            console.print(line)


CT_ALONE = "its CT alone (data.without_structures), unless it has a structure after all"


def _taken(structures: Mapping[str, int]) -> str:
    """Structures by the set that they are taken from."""
    names: dict[int, list[str]] = {}
    for name, number in structures.items():
        names.setdefault(number, []).append(name)
    return "; ".join(f"{', '.join(own)} of set {n}" for n, own in names.items()) or "nothing"


WRAPPED = ("folder", "warnings")
SERIES = (
    "series",
    "patient",
    "image",
    "slices",
    "rows x columns",
    "spacing mm",
    "plane",
    "folder",
    "warnings",
)
ROIS = ("ROI", "type", "contours", "voxels", "ml", "structure", "warnings")
_NUMBERS = ("series", "slices", "contours", "voxels", "ml")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in _NUMBERS else "left",
            no_wrap=column not in WRAPPED,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*row)
    return table


def _series(entry: Mapping[str, Any]) -> list[str]:
    shape, spacing = entry["shape"], entry["spacing_mm"]
    return [
        str(entry["number"]),
        entry["patient"],
        entry["modality"],
        str(shape[0] if shape else entry["files"]),
        f"{shape[1]} x {shape[2]}" if shape else DASH,
        " x ".join(f"{edge:.3g}" for edge in spacing) if spacing else DASH,
        entry["orientation"] or DASH,
        ", ".join(entry["folders"][:2]) + (" ..." if len(entry["folders"]) > 2 else ""),
        "; ".join(entry["warnings"]),
    ]


def _roi(roi: Mapping[str, Any]) -> list[str]:
    volume = roi["volume_ml"]
    return [
        roi["name"],
        roi["type"] or DASH,
        str(roi["contours"]),
        DASH if roi["voxels"] is None else str(roi["voxels"]),
        DASH if volume is None else f"{volume:.2f}" if volume < 100 else f"{volume:.0f}",
        roi["structure"] or "",
        "; ".join(roi["warnings"]),
    ]


def _ignored(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    reasons = Counter(entry["reason"] for entry in entries)
    for reason, count in reasons.most_common():
        files = [entry["file"] for entry in entries if entry["reason"] == reason]
        lines.append(f"{counted(count, 'file')} ignored ({reason}): {first_of(files, MOST_FILES)}")
    return lines
