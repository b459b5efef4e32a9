"""Figures of the data as it came: volumes, voxel sizes, CT numbers; odd patients stand out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import numpy as np
from matplotlib.figure import Figure

from harness.base.text import MINUS
from harness.figures.style import (
    BLUE,
    FULL_WIDTH,
    GREY,
    INK,
    ORANGE,
    PANEL_SIZE,
    new_figure,
    plain_log,
    short_name,
    spread,
    styled,
)

MOST_NAMED = 8
LEAST_RATIO = 0.01
LEAST_HU, MOST_HU = -900, 1600


@styled
def volumes(found: Mapping[str, Mapping[str, float]], outliers: Mapping[str, Set[str]]) -> Figure:
    """Volume of each structure over its median: a dot per patient, outliers with their names.

    Args:
        found: structure -> patient -> ml.
        outliers: structure -> patients that stand out.
    """
    figure, axes = new_figure(FULL_WIDTH, 0.9 + 0.62 * len(found))
    names = []
    for row, (structure, of) in enumerate(found.items()):
        median = float(np.median(list(of.values()))) or 1.0
        names.append(f"{short_name(structure)}\n{median:.3g} ml")
        ratios = np.maximum(np.array(list(of.values())) / median, LEAST_RATIO)
        beside = row + np.clip(spread(np.log(ratios), 0.07, 0.02), -0.35, 0.35)
        odd = np.array([name in outliers.get(structure, ()) for name in of], bool)
        axes.scatter(ratios[~odd], beside[~odd], s=18, color=BLUE, alpha=0.7, linewidths=0)
        axes.scatter(ratios[odd], beside[odd], s=30, color=ORANGE, edgecolors=INK, linewidths=0.6)
        for place, index in enumerate(sorted(np.flatnonzero(odd), key=lambda n: ratios[n])):
            if place < MOST_NAMED:  # in turn above and below: neighbours would overlap
                above = place % 2 == 0
                axes.annotate(
                    list(of)[index], (ratios[index], beside[index]), (0, 6 if above else -6),
                    textcoords="offset points", ha="center", va="bottom" if above else "top",
                    fontsize=7.5,
                )  # fmt: skip
    axes.axvline(1.0, color=INK, linewidth=0.8)
    axes.set_xscale("log")
    plain_log(axes.xaxis)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.45), max(high, 2.2))
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("volume / median of the patients (below the name)")
    return figure


@styled
def voxel_sizes(found: Mapping[str, Sequence[float]], outliers: Set[str]) -> Figure:
    """Size in the slice against distance of slices, a dot per patient.

    Args:
        found: patient -> voxel size along slices, rows and columns, mm.
        outliers: patients that stand out.
    """
    figure, axes = new_figure(*PANEL_SIZE)
    here: dict[tuple[float, float], list[str]] = {}
    for patient, (step, row, column) in found.items():
        odd = patient in outliers
        place = (max(row, column), step)
        axes.scatter(
            *place, s=30 if odd else 18, alpha=1 if odd else 0.5,
            color=ORANGE if odd else BLUE, linewidths=0,
        )  # fmt: skip
        if odd:
            here.setdefault((round(place[0], 1), round(place[1], 1)), []).append(patient)
    for place, names in here.items():
        more = f" +{len(names) - 2}" if len(names) > 2 else ""
        axes.annotate(
            "\n".join(names[:2]) + more, place, (4, 4), textcoords="offset points", fontsize=7.5
        )
    axes.set_xlabel("pixel spacing, mm (the longer side)")
    axes.set_ylabel("slice spacing, mm")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    return figure


@styled
def ct_numbers(
    edges: Sequence[float], found: Mapping[str, Sequence[int]], outliers: Set[str]
) -> Figure:
    """Share of a scan's voxels by CT number, a line per patient; air outside left out.

    Args:
        edges: n + 1 edges of the bins, HU.
        found: patient -> voxels in each of the n bins.
        outliers: patients that stand out.
    """
    figure, axes = new_figure(*PANEL_SIZE)
    middles = (np.asarray(edges[1:], float) + np.asarray(edges[:-1], float)) / 2
    body = middles > LEAST_HU
    for patient in sorted(found, key=lambda name: name in outliers):
        counts = np.asarray(found[patient], float)[body]
        odd = patient in outliers
        axes.plot(
            middles[body], 100 * counts / max(counts.sum(), 1.0),
            color=ORANGE if odd else GREY, alpha=1 if odd else 0.45,
            linewidth=1.3 if odd else 0.8, label=patient if odd else None,
        )  # fmt: skip
    if outliers & set(found):
        axes.legend(loc="upper right", fontsize=7.5)
    axes.set_xlim(LEAST_HU, MOST_HU)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("CT number, HU")
    axes.set_ylabel(f"% of the voxels above {MINUS}{-LEAST_HU} HU")
    return figure
