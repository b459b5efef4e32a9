"""KID that knows whose image is whose, with an interval over patients and a real-real floor.

Slices of one patient are near copies. The canonical estimator takes them for independent images,
so pairs within a patient inflate its real-real term: with 20 patients of 8 slices and no distance
at all it reports 0.10 where leaving these pairs out gives 0.00 (simulated).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.metrics.fidelity import cubic_kernel, kid, pair_features, trouble
from harness.metrics.score import Score, undefined

Array = NDArray[np.float64]

SYNTHETIC_BLOCKS = 20
"""Blocks of synthetic images that the jackknife deletes in turn."""


@dataclass(frozen=True)
class _Side:
    """One side's kernel sums, gathered by the groups that the jackknife deletes.

    Attributes:
        within: groups x groups, sums of the kernel over the pairs that count.
        pairs: groups x groups, numbers of these pairs.
        sizes: images per group.
    """

    within: Array
    pairs: Array
    sizes: Array


def _codes(labels: Sequence[Any] | NDArray[Any]) -> NDArray[np.intp]:
    codes: NDArray[np.intp] = np.unique(np.asarray(labels), return_inverse=True)[1]
    return codes


def _one_hot(codes: NDArray[np.intp]) -> Array:
    return np.eye(int(codes.max()) + 1)[codes]


def _side(x: Array, members: Array, same: NDArray[np.bool_]) -> _Side:
    """Gather the kernel by group, leaving out the pairs marked in `same` (n x n)."""
    counted = ~same
    return _Side(
        members.T @ np.where(counted, cubic_kernel(x, x), 0.0) @ members,
        members.T @ counted.astype(np.float64) @ members,
        members.sum(axis=0),
    )


def _mmd(first: _Side, second: _Side, cross: Array, left_1: Array, left_2: Array) -> float:
    """Squared MMD from gathered sums; `left_*` is 1 for groups that stay, 0 for a deleted one."""
    real = left_1 @ first.within @ left_1 / (left_1 @ first.pairs @ left_1)
    synthetic = left_2 @ second.within @ left_2 / (left_2 @ second.pairs @ left_2)
    between = left_1 @ cross @ left_2 / ((left_1 @ first.sizes) * (left_2 @ second.sizes))
    return float(real + synthetic - 2 * between)


def _jackknife(values: Array) -> float:
    """Variance by deleting one group at a time."""
    g = len(values)
    return float((g - 1) / g * ((values - values.mean()) ** 2).sum())


def kid_by_patient(
    real: NDArray[Any],
    synthetic: NDArray[Any],
    patients: Sequence[Any] | NDArray[Any],
    synthetic_patients: Sequence[Any] | NDArray[Any] | None = None,
) -> Score:
    """KID with pairs of one patient left out, and its 95 % interval over patients.

    The variance is a delete-one-patient jackknife on the real side plus, on the synthetic side, a
    delete-one-block jackknife over 20 blocks of images (they are independent draws); the interval
    uses t with (smaller number of groups - 1) degrees of freedom.

    Args:
        real: n x d.
        synthetic: m x d.
        patients: n labels, whose real image it is.
        synthetic_patients: m labels where the second side is real as well; None for independent
            images.

    Returns:
        Score; NaN with the reason for fewer than 2 patients, no interval below 3.
    """
    x, y = pair_features(real, synthetic)
    if len(patients) != len(x):
        raise DataError(
            "patients must name one patient per real image, "
            f"but got {len(patients)} labels for {len(x)} images; pass one label each"
        )
    bad = trouble(x, y)
    if bad is not None:
        return bad
    owners = _codes(patients)
    if synthetic_patients is None:
        same_y = np.eye(len(y), dtype=bool)
        blocks = np.arange(len(y)) % min(SYNTHETIC_BLOCKS, len(y))
        unit = "blocks"
    else:
        blocks = _codes(synthetic_patients)
        same_y = blocks[:, None] == blocks[None, :]
        unit = "patients"
    n, groups = min(len(x), len(y)), (int(owners.max()) + 1, int(blocks.max()) + 1)
    units = f"{groups[0]} patients, {groups[1]} {unit}"
    if min(groups) < 2:
        return undefined(f"needs 2 patients, but got {min(groups)}", n, units)
    members_x, members_y = _one_hot(owners), _one_hot(blocks)
    first = _side(x, members_x, owners[:, None] == owners[None, :])
    second = _side(y, members_y, same_y)
    cross: Array = members_x.T @ cubic_kernel(x, y) @ members_y
    return _with_interval(first, second, cross, n, units)


def _with_interval(first: _Side, second: _Side, cross: Array, n: int, units: str) -> Score:
    from scipy import stats

    p, b = len(first.sizes), len(second.sizes)
    all_1, all_2 = np.ones(p), np.ones(b)
    value = _mmd(first, second, cross, all_1, all_2)
    if min(p, b) < 3:
        return Score(value, None, n, units, "fewer than 3 groups on a side: no interval")
    without_1 = [_mmd(first, second, cross, all_1 - row, all_2) for row in np.eye(p)]
    without_2 = [_mmd(first, second, cross, all_1, all_2 - row) for row in np.eye(b)]
    spread = np.sqrt(_jackknife(np.array(without_1)) + _jackknife(np.array(without_2)))
    half = float(stats.t.isf(0.025, min(p, b) - 1) * spread)
    return Score(value, (value - half, value + half), n, units)


@dataclass(frozen=True)
class Floor:
    """KID between disjoint halves of the real patients: what no generator can be asked to beat.

    Attributes:
        canonical: `kid` of each split.
        by_patient: `kid_by_patient` of each split.
        n: images on each side, in every split.
        patients: patients in all.
        note: the reason where there is no floor.
    """

    canonical: Array
    by_patient: Array
    n: int
    patients: int
    note: str | None = None

    def summary(self) -> dict[str, float | int | None]:
        """Mean and 95 % point of both, as plain data (None where there is no floor)."""
        found: dict[str, float | int | None] = {"n": self.n, "patients": self.patients}
        for name in ("canonical", "by_patient"):
            values = getattr(self, name)
            found[f"{name}_mean"] = float(values.mean()) if len(values) else None
            found[f"{name}_p95"] = float(np.quantile(values, 0.95)) if len(values) else None
        return found


def kid_floor(
    features: NDArray[Any],
    patients: Sequence[Any] | NDArray[Any],
    repeats: int,
    rng: np.random.Generator,
    n: int | None = None,
) -> Floor:
    """KID between disjoint halves of the patients, over random splits, at equal n on both sides.

    Args:
        features: real features, N x d.
        patients: N labels.
        repeats: splits.
        rng: draws the splits and the images.
        n: images on each side; None (and any larger number) takes what the smallest half holds.
    """
    x, owners = np.asarray(features, np.float64), _codes(patients)
    count, empty = int(owners.max()) + 1, np.empty(0)
    if count < 4:
        return Floor(empty, empty, 0, count, f"needs 4 patients, 2 a side, but got {count}")
    splits = [_halves(owners, rng) for _ in range(repeats)]
    smallest = min((len(side) for split in splits for side in split), default=0)
    n = smallest if n is None else min(n, smallest)
    canonical, by_patient = [], []
    for split in splits:
        left, right = (rng.choice(side, n, replace=False) for side in split)
        canonical.append(kid(x[left], x[right]).value)
        pair = kid_by_patient(x[left], x[right], owners[left], owners[right])
        by_patient.append(pair.value)
    return Floor(np.array(canonical), np.array(by_patient), n, count)


def _halves(
    owners: NDArray[np.intp], rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row numbers of two disjoint halves of the patients."""
    order = rng.permutation(int(owners.max()) + 1)
    chosen = np.isin(owners, order[: len(order) // 2])
    return np.flatnonzero(chosen), np.flatnonzero(~chosen)
