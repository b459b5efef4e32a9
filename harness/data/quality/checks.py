"""What about a patient's data would make a physicist look twice.

Each rule compares a patient with the others, or with what a CT must look like, and says so in
words. Nothing is excluded by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.dicom.notes import POSITIONS_DECIDE, at_stake
from harness.data.quality.scan_summary import AIR_HU, HU_EDGES, ScanSummary

LEAST_PATIENTS = 5
"""Below this many, the others are no yardstick."""

FACTOR = 2.0
"""A volume, or one side of a pair, within this factor of the usual never stands out."""

MADS = 3.0
"""Robust standard deviations (1.4826 x median absolute deviation) beyond which a value is odd."""

HU_RANGE = 100.0
"""A median inside a structure within this many HU of the usual never stands out."""

SOFT_HU = (-200.0, 200.0)
BODY_HU = -900.0
LEAST_AIR = 0.001
"""Of a scan's voxels, the share that air has at least."""

MOST_AIR = 0.1
"""Of a structure's voxels; the outlines of a structure at the skin hold a little."""

LEAST_SOFT = 0.3
"""Of a scan's voxels above air, the share that soft tissue has at least."""

SPACING_FACTOR = 1.5


@dataclass(frozen=True)
class QualityWarning:
    """One thing to look at.

    Attributes:
        of: "volume", "hu", "spacing", "side", "contours", or "positions" where nothing but
            positions says whose the contours are.
        structure: whose; "" for the whole scan.
        words: what, and what the others have.
    """

    of: str
    structure: str
    words: str


OF_AIR = (
    *("lung", "trachea", "carina", "bronch", "airway", "larynx", "pharynx", "oral_cavity"),
    *("body", "esophagus", "oesophagus", "stomach", "duodenum", "bowel", "colon", "sigmoid"),
    "rectum",
)
"""How the names of structures begin that hold air, or air and what is around it."""


@dataclass(frozen=True)
class Known:
    """What is known of a patient: summary, column of each structure's centre (growing to the
    patient's left), and notes of reading."""

    scan_summary: ScanSummary
    columns: Mapping[str, float]
    notes: Sequence[str] = ()


def warnings(patients: Mapping[str, Known]) -> dict[str, list[QualityWarning]]:
    """By patient, in the order given; patients without any are left out."""
    by_patient: dict[str, list[QualityWarning]] = {name: [] for name in patients}
    summaries = {name: known.scan_summary for name, known in patients.items()}
    for name, warning in [*_volumes(summaries), *_inside(summaries), *_spacings(summaries)]:
        by_patient[name].append(warning)
    medians = {
        structure: float(np.median(list(of.values())))
        for structure, of in _by_structure(summaries, "volumes_ml")
    }
    for name, known in patients.items():
        by_patient[name] += [*_scale(known.scan_summary), *_place(known), *_sides(known, medians)]
    return {name: listed for name, listed in by_patient.items() if listed}


def _by_structure(
    summaries: Mapping[str, ScanSummary], what: str
) -> Iterator[tuple[str, dict[str, float]]]:
    values = {name: getattr(summary, what) for name, summary in summaries.items()}
    for structure in dict.fromkeys(s for of in values.values() for s in of):
        yield structure, {name: of[structure] for name, of in values.items() if structure in of}


def _odd(
    summaries: Mapping[str, ScanSummary],
    what: str,
    least: float,
    scale: Callable[[Any], NDArray[np.float64]] = np.asarray,
) -> Iterator[tuple[str, str, float, float]]:
    """Patient, structure, value and the usual one, where the value is farther from the median, on
    that scale, than `MADS` robust deviations and than `least`."""
    for structure, of in _by_structure(summaries, what):
        if len(of) < LEAST_PATIENTS:
            continue
        scaled = scale(list(of.values()))
        away = np.abs(scaled - np.median(scaled))
        limit = max(MADS * 1.4826 * float(np.median(away)), least)
        usual = float(np.median(list(of.values())))
        for (name, value), odd in zip(of.items(), away > limit, strict=True):
            if odd:
                yield name, structure, value, usual


def _volumes(summaries: Mapping[str, ScanSummary]) -> Iterator[tuple[str, QualityWarning]]:
    for name, structure, ml, usual in _odd(summaries, "volumes_ml", float(np.log(FACTOR)), np.log):
        words = f"{structure} has {ml:.1f} ml, the median is {usual:.1f} ml"
        yield name, QualityWarning("volume", structure, words)


def _inside(summaries: Mapping[str, ScanSummary]) -> Iterator[tuple[str, QualityWarning]]:
    for name, structure, hu, usual in _odd(summaries, "median_hu", HU_RANGE):
        words = (
            f"{structure} has a median of {hu:.0f} HU, of the others it is {usual:.0f} HU: are the "
            "contours in place, is the rescale right?"
        )
        yield name, QualityWarning("hu", structure, words)


def _spacings(summaries: Mapping[str, ScanSummary]) -> Iterator[tuple[str, QualityWarning]]:
    if len(summaries) < LEAST_PATIENTS:
        return
    sizes = {name: np.asarray(p.spacing_mm) for name, p in summaries.items()}
    usual = np.median(list(sizes.values()), axis=0)
    for name, size in sizes.items():
        ratio = np.maximum(size / usual, usual / size)
        if (ratio > SPACING_FACTOR + 1e-6).any():
            words = (
                f"voxels of {_size(size)} mm (slices, rows, columns), of the others {_size(usual)}"
            )
            yield name, QualityWarning("spacing", "", words)


def _size(size: NDArray[np.float64]) -> str:
    return " x ".join(f"{edge:.3g}" for edge in size)


def _scale(scan_summary: ScanSummary) -> Iterator[QualityWarning]:
    """Every CT of a body shows air, and is mostly soft tissue beside it."""
    middles = (HU_EDGES[1:] + HU_EDGES[:-1]) / 2
    counts = np.asarray(scan_summary.histogram, float)
    if counts[middles < AIR_HU].sum() < LEAST_AIR * counts.sum():
        words = f"hardly a voxel is air (below {AIR_HU:.0f} HU): are the values HU?"
        yield QualityWarning("hu", "", words)
    body = counts[middles > BODY_HU].sum()
    soft = counts[(middles > SOFT_HU[0]) & (middles < SOFT_HU[1])].sum()
    share = soft / body if body else 0.0
    if share < LEAST_SOFT:
        words = (
            f"only {100 * share:.0f} % of the voxels above {BODY_HU:.0f} HU are soft tissue "
            f"({SOFT_HU[0]:.0f} to {SOFT_HU[1]:.0f} HU): are the values HU?"
        )
        yield QualityWarning("hu", "", words)


def _place(known: Known) -> Iterator[QualityWarning]:
    """Contours must lie in the body, on every slice that the structure crosses."""
    for structure, share in known.scan_summary.air.items():
        if share > MOST_AIR and not structure.startswith(OF_AIR):
            words = (
                f"{100 * share:.0f} % of {structure} is air (below {AIR_HU:.0f} HU): do its "
                "contours lie in the body?"
            )
            yield QualityWarning("contours", structure, words)
    for note in known.notes:
        if at_stake(note):
            of = "positions" if note == POSITIONS_DECIDE else "contours"
            yield QualityWarning(of, "", note)


def _sides(known: Known, medians: Mapping[str, float]) -> Iterator[QualityWarning]:
    volumes = known.scan_summary.volumes_ml
    for left in [name for name in volumes if name.endswith("_left")]:
        right = left.removesuffix("left") + "right"
        if right not in volumes:
            continue
        if known.columns[left] < known.columns[right]:
            words = f"{left} lies to the patient's right of {right}: are the sides swapped?"
            yield QualityWarning("side", left, words)
        small, large = sorted((left, right), key=lambda name: volumes[name])
        if volumes[large] > FACTOR * volumes[small]:
            # Marked is the one that is less like the others' of its side.
            odd = max((small, large), key=lambda name: abs(np.log(volumes[name] / medians[name])))
            words = (
                f"{odd} has {volumes[odd]:.1f} ml (median {medians[odd]:.1f}), the other side "
                f"{volumes[small if odd == large else large]:.1f} ml"
            )
            yield QualityWarning("volume", odd, words)
