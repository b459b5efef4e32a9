"""What about a patient's data would make a physicist look twice.

Each rule compares a patient with the others, or with what a CT must look like, and says so in
words. Nothing is excluded by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.quality.scan_summary import AIR_HU, HU_EDGES, Portrait

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
"""Of a structure's voxels; the outlines of a gland at the skin hold a little."""

LEAST_SOFT = 0.3
"""Of a scan's voxels above air, the share that soft tissue has at least."""

SPACING_FACTOR = 1.5


@dataclass(frozen=True)
class Suspicion:
    """One thing to look at.

    Attributes:
        of: "volume", "hu", "spacing", "side" or "contours".
        structure: whose; "" for the whole scan.
        words: what, and what the others have.
    """

    of: str
    structure: str
    words: str


@dataclass(frozen=True)
class Known:
    """What is known of a patient: portrait, column of each structure's centre (growing to the
    patient's left), and notes of reading."""

    portrait: Portrait
    columns: Mapping[str, float]
    notes: Sequence[str] = ()


def suspicions(patients: Mapping[str, Known]) -> dict[str, list[Suspicion]]:
    """By patient, in the order given; patients without any are left out."""
    found: dict[str, list[Suspicion]] = {name: [] for name in patients}
    portraits = {name: known.portrait for name, known in patients.items()}
    for name, suspicion in [*_volumes(portraits), *_inside(portraits), *_spacings(portraits)]:
        found[name].append(suspicion)
    medians = {
        structure: float(np.median(list(of.values())))
        for structure, of in _by_structure(portraits, "volumes_ml")
    }
    for name, known in patients.items():
        found[name] += [*_scale(known.portrait), *_place(known), *_sides(known, medians)]
    return {name: listed for name, listed in found.items() if listed}


def _by_structure(
    portraits: Mapping[str, Portrait], what: str
) -> Iterator[tuple[str, dict[str, float]]]:
    structures = dict.fromkeys(s for p in portraits.values() for s in getattr(p, what))
    for structure in structures:
        yield (
            structure,
            {
                name: getattr(p, what)[structure]
                for name, p in portraits.items()
                if structure in getattr(p, what)
            },
        )


def _odd(values: Sequence[float], least: float) -> list[int]:
    """Places of values farther from the median than `MADS` robust deviations and than `least`."""
    if len(values) < LEAST_PATIENTS:
        return []
    away = np.abs(np.asarray(values) - np.median(values))
    limit = max(MADS * 1.4826 * float(np.median(away)), least)
    return np.flatnonzero(away > limit).tolist()


def _volumes(portraits: Mapping[str, Portrait]) -> Iterator[tuple[str, Suspicion]]:
    for structure, of in _by_structure(portraits, "volumes_ml"):
        usual = float(np.median(list(of.values())))
        for place in _odd(np.log(list(of.values())).tolist(), float(np.log(FACTOR))):
            name = list(of)[place]
            words = f"{structure} has {of[name]:.1f} ml, the median is {usual:.1f} ml"
            yield name, Suspicion("volume", structure, words)


def _inside(portraits: Mapping[str, Portrait]) -> Iterator[tuple[str, Suspicion]]:
    for structure, of in _by_structure(portraits, "median_hu"):
        usual = float(np.median(list(of.values())))
        for place in _odd(list(of.values()), HU_RANGE):
            name = list(of)[place]
            words = (
                f"{structure} has a median of {of[name]:.0f} HU, of the others it is {usual:.0f} "
                "HU: are the contours in place, is the rescale right?"
            )
            yield name, Suspicion("hu", structure, words)


def _spacings(portraits: Mapping[str, Portrait]) -> Iterator[tuple[str, Suspicion]]:
    if len(portraits) < LEAST_PATIENTS:
        return
    sizes = {name: np.asarray(p.spacing_mm) for name, p in portraits.items()}
    usual = np.median(list(sizes.values()), axis=0)
    for name, size in sizes.items():
        ratio = np.maximum(size / usual, usual / size)
        if (ratio > SPACING_FACTOR + 1e-6).any():
            words = (
                f"voxels of {_size(size)} mm (slices, rows, columns), of the others {_size(usual)}"
            )
            yield name, Suspicion("spacing", "", words)


def _size(size: NDArray[np.float64]) -> str:
    return " x ".join(f"{edge:.3g}" for edge in size)


def _scale(portrait: Portrait) -> Iterator[Suspicion]:
    """Every CT of a body shows air, and is mostly soft tissue beside it."""
    middles = (HU_EDGES[1:] + HU_EDGES[:-1]) / 2
    counts = np.asarray(portrait.histogram, float)
    if counts[middles < AIR_HU].sum() < LEAST_AIR * counts.sum():
        words = f"hardly a voxel is air (below {AIR_HU:.0f} HU): are the values HU?"
        yield Suspicion("hu", "", words)
    body = counts[middles > BODY_HU].sum()
    soft = counts[(middles > SOFT_HU[0]) & (middles < SOFT_HU[1])].sum()
    if body == 0 or soft / body < LEAST_SOFT:
        share = 0.0 if body == 0 else soft / body
        yield Suspicion(
            "hu",
            "",
            f"only {100 * share:.0f} % of the voxels above {BODY_HU:.0f} HU are soft tissue "
            f"({SOFT_HU[0]:.0f} to {SOFT_HU[1]:.0f} HU): are the values HU?",
        )


def _place(known: Known) -> Iterator[Suspicion]:
    """Contours must lie in the body, on every slice that the structure crosses."""
    for structure, share in known.portrait.air.items():
        if share > MOST_AIR:
            words = (
                f"{100 * share:.0f} % of {structure} is air (below {AIR_HU:.0f} HU): do its "
                "contours lie in the body?"
            )
            yield Suspicion("contours", structure, words)
    for note in known.notes:
        if note.endswith("without any"):  # slices between contours
            yield Suspicion("contours", "", note)


def _sides(known: Known, medians: Mapping[str, float]) -> Iterator[Suspicion]:
    volumes = known.portrait.volumes_ml
    for left in [name for name in volumes if name.endswith("_left")]:
        right = left.removesuffix("left") + "right"
        if right not in volumes:
            continue
        if known.columns[left] < known.columns[right]:
            words = f"{left} lies to the patient's right of {right}: are the sides swapped?"
            yield Suspicion("side", left, words)
        small, large = sorted((left, right), key=lambda name: volumes[name])
        if volumes[large] > FACTOR * volumes[small]:
            # Marked is the one that is less like the others' of its side.
            odd = max((small, large), key=lambda name: abs(np.log(volumes[name] / medians[name])))
            words = (
                f"{odd} has {volumes[odd]:.1f} ml (median {medians[odd]:.1f}), the other side "
                f"{volumes[small if odd == large else large]:.1f} ml"
            )
            yield Suspicion("volume", odd, words)
