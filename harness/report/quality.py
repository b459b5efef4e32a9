"""The quality page: every patient of a source, who is left out and why, what to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.base.files import write_json, write_text
from harness.base.text import counted
from harness.data.quality.checks import LEAST_PATIENTS, Known, QualityWarning, warnings
from harness.data.quality.scan_summary import HU_EDGES
from harness.figures import quality as figures
from harness.figures.pictures import read_picture
from harness.figures.scan_pictures import colours_of
from harness.report.page import render
from harness.report.patients import role_place
from harness.report.picture_budget import Picture, PictureBudget

PAGE = "index.html"
DATA = "quality.json"
PICTURES_BYTES = 6_000_000
SHEET_BYTES = (5_000, 26_000)
"""Least and most of one patient's picture."""


@dataclass(frozen=True, kw_only=True)
class Patient(Known):
    """A usable patient.

    Attributes:
        role: "not used" where `data.limit` leaves them out.
        picture: PNG of three slices.
    """

    name: str
    role: str
    picture: Path


@dataclass(frozen=True)
class QualityData:
    """Attributes:
    structures: wanted ones, in the order of the experiment.
    window: in which pictures are drawn, in words.
    labels: name of a contoured region -> (patients that have it, structure that it is or "").
    excluded: pseudonym -> reason.
    ignored: reason -> files that are not used for it.
    resolve: where pseudonyms and file numbers are looked up, in words; "" if nowhere.
    """

    name: str
    structures: Sequence[str]
    patients: Sequence[Patient]
    excluded: Mapping[str, str]
    window: str = ""
    labels: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    ignored: Mapping[str, int] = field(default_factory=dict)
    resolve: str = ""


@dataclass(frozen=True)
class Row:
    """A patient's line of the table: a volume per structure, None where it is not contoured."""

    patient: Patient
    volumes: Sequence[tuple[float | None, bool]]
    size: str
    warnings: Sequence[QualityWarning]
    picture: Picture


def write_quality(data: QualityData, folder: Path) -> Path:
    """Write the page and its data into `folder`; the same data give the same bytes.

    Returns:
        The page's path; it needs no other file, no script and no network.
    """
    odd = warnings({patient.name: patient for patient in data.patients})
    budget = PictureBudget(PICTURES_BYTES)
    text = render(
        "quality.html",
        data=data,
        summary=summary(data, odd),
        figures=_figures(data, odd, budget),  # before the rows: the budget goes to these first
        rows=_rows(data, odd, budget),
        odd=odd,
        missing=_missing(data),
        colours=colours_of(data.structures),
        window=data.window,
    )
    write_json(folder / DATA, _plain(data, odd))
    write_text(folder / PAGE, text)
    return folder / PAGE


def summary(data: QualityData, odd: Mapping[str, Any]) -> str:
    """`12 patients, 9 kept (2 of them to look at), 3 excluded`."""
    kept = len(data.patients)
    few = f"fewer than {LEAST_PATIENTS}, too few to tell which stands out"
    quiet = few if kept < LEAST_PATIENTS else "none of them stands out"
    look = f"{len(odd)} of them to look at" if odd else quiet
    if first := sum(map(_by_positions, odd.values())):
        look += f", first the {first} whose contours are placed by positions alone"
    return (
        f"{counted(kept + len(data.excluded), 'patient')}, {kept} kept"
        f"{f' ({look})' if kept else ''}, {len(data.excluded) or 'none'} excluded"
    )


def _by_positions(warnings: Sequence[QualityWarning]) -> bool:
    return any(warning.of == "positions" for warning in warnings)


def _missing(data: QualityData) -> list[tuple[str, int]]:
    """Structures that patients lack: how many."""
    of = [patient.scan_summary.volumes_ml for patient in data.patients]
    lacking = {name: sum(name not in volumes for volumes in of) for name in data.structures}
    return [(name, count) for name, count in lacking.items() if count]


def _rows(
    data: QualityData, odd: Mapping[str, Sequence[QualityWarning]], budget: PictureBudget
) -> list[Row]:
    """Patients to look at first, of these those placed by positions alone; then by role."""

    def place(p: Patient) -> tuple[bool, bool, int, str]:
        found = odd.get(p.name, ())
        return not _by_positions(found), not found, role_place(p.role), p.name

    ordered = sorted(data.patients, key=place)
    share = PICTURES_BYTES * 3 // 4 // max(1, len(ordered)) * 3 // 4  # base64 takes a third more
    most = min(max(share, SHEET_BYTES[0]), SHEET_BYTES[1])
    rows = []
    for patient in ordered:
        summed, found = patient.scan_summary, odd.get(patient.name, ())
        marked = {warning.structure for warning in found if warning.of == "volume"}
        volumes = [(summed.volumes_ml.get(name), name in marked) for name in data.structures]
        edges = " x ".join(f"{edge:.3g}" for edge in summed.spacing_mm)
        size = f"{summed.shape[0]} slices, {edges} mm"
        alt = f"Two axial slices and a coronal one of {patient.name} with contours"
        picture = budget.image(read_picture(patient.picture), alt, most=most)
        rows.append(Row(patient, volumes, size, found, picture))
    return rows


def _figures(
    data: QualityData, odd: Mapping[str, Sequence[QualityWarning]], budget: PictureBudget
) -> dict[str, Picture]:
    if not data.patients:
        return {}
    of: dict[str, dict[str, float]] = {}
    for name in data.structures:
        for p in data.patients:
            if name in p.scan_summary.volumes_ml:
                of.setdefault(name, {})[p.name] = p.scan_summary.volumes_ml[name]

    def who(what: str, structure: str | None = None) -> set[str]:
        """Patients that stand out in this, in the structure where one is named."""
        return {
            patient
            for patient, listed in odd.items()
            if any(s.of == what and structure in (None, s.structure) for s in listed)
        }

    standing = {name: who("volume", name) for name in of}
    sizes = {p.name: p.scan_summary.spacing_mm for p in data.patients}
    histograms = {p.name: p.scan_summary.histogram for p in data.patients}
    numbers = figures.ct_numbers(HU_EDGES.tolist(), histograms, who("hu"))
    return {
        "volumes": budget.figure(figures.volumes(of, standing), "Volumes of the structures"),
        "sizes": budget.figure(figures.voxel_sizes(sizes, who("spacing")), "Voxel sizes"),
        "numbers": budget.figure(numbers, "CT numbers of every patient"),
    }


def _plain(data: QualityData, odd: Mapping[str, Sequence[QualityWarning]]) -> dict[str, Any]:
    """The page as data."""
    return {
        "summary": summary(data, odd),
        "patients": [
            {
                "patient": p.name,
                "role": p.role,
                "volumes_ml": dict(p.scan_summary.volumes_ml),
                "median_hu": dict(p.scan_summary.median_hu),
                "shape": list(p.scan_summary.shape),
                "spacing_mm": list(p.scan_summary.spacing_mm),
                "look_at": [warning.words for warning in odd.get(p.name, ())],
                "notes": list(p.notes),
            }
            for p in data.patients
        ],
        "excluded": dict(data.excluded),
        "roi_names": {
            name: {"patients": count, "structure": structure or None}
            for name, (count, structure) in data.labels.items()
        },
        "ignored_files": dict(data.ignored),
    }
