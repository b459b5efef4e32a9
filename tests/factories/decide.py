"""Scores on disk for `harness decide`."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.float64]
AB = ("--baseline", "A", "--candidate", "B")


def vector(patients: int = 10, replicates: int = 5) -> Cells:
    """Published with every digit for 10 patients and 5 replicates."""
    p, r = np.mgrid[:patients, :replicates]
    return (
        0.012
        + 0.003 * ((7 * p + 3) % 11 - 5)
        + 0.004 * (2 * r % 5 - 2)
        + 0.002 * ((3 * p + 5 * r + p * r) % 7 - 3)
    )


def unpaired_vectors() -> tuple[Cells, Cells]:
    """Published with every digit: 10 patients, 5 replicates of one arm and 6 of the other."""
    p, r, s = np.arange(10)[:, None], np.arange(5)[None], np.arange(6)[None]
    one = 0.7 + 0.01 * (3 * p % 7 - 3) + 0.004 * ((3 * r + 1) % 5 - 2)
    one = one + 0.002 * ((2 * p + 3 * r + p * r) % 5 - 2)
    other = 0.712 + 0.01 * (3 * p % 7 - 3) + 0.0006 * (5 * p % 11 - 5)
    other = other + 0.003 * ((5 * s + 2) % 7 - 3) + 0.002 * ((p + 4 * s + p * s) % 5 - 2)
    return one, other


def write(path: Path, arms: Mapping[str, Cells], base: float = 0.7, skip: Any = ()) -> Path:
    """Arm `A`, and others as their difference from it; `skip`: (patient, replicate, arm)."""
    shape = next(iter(arms.values())).shape
    first = base + 0.01 * np.arange(shape[0])[:, None] - 0.002 * np.arange(shape[1])[None, :]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("patient", "replicate", "arm", "value"))
        for arm, values in {"A": first, **{n: first + d for n, d in arms.items()}}.items():
            for p in range(shape[0]):
                for r in range(shape[1]):
                    if (p, r, arm) not in skip:
                        writer.writerow((f"pt_{p}", r, arm, repr(float(values[p, r]))))
    return path
