"""Fidelity that knows whose image is whose: intervals over patients, and real-real baselines.

Slices of one patient are near copies. The canonical estimator of KID takes them for independent
images, so pairs within a patient inflate its real-real term: with 20 patients of 8 slices and no
distance at all it reports 0.10 where leaving these pairs out gives 0.00 (simulated).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.metrics.distances import Array, Labels, Rows, distances, patient_halves, to_others
from harness.metrics.fidelity.jackknife import groups_of, jackknife, score_with_interval, units_of
from harness.metrics.fidelity.kid_fid import cubic_kernel, fid, frechet, kid, pair_features, trouble
from harness.metrics.fidelity.prdc import NAMES, Distances, K, prdc_of_distances
from harness.metrics.score import Score, undefined


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


def _one_hot(codes: Rows) -> Array:
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


def kid_by_patient(
    real: NDArray[Any],
    synthetic: NDArray[Any],
    patients: Labels,
    synthetic_patients: Labels | None = None,
) -> Score:
    """KID with pairs of one patient left out, and its 95 % jackknife interval over patients.

    Simulated with 20 patients of 8 slices and 160 synthetic images, the interval covers the true
    distance in 94-99 % of 300 draws, at three distances.

    Args:
        real, synthetic: n x d and m x d.
        patients: n labels, whose real image it is.
        synthetic_patients: m labels where the second side is real as well; None for independent
            images.

    Returns:
        Score; NaN with the reason for fewer than 2 patients, no interval below 3.

    Raises:
        DataError: shapes that do not fit, or not one label per image.
    """
    x, y = pair_features(real, synthetic)
    owners, blocks = groups_of(len(x), patients), groups_of(len(y), synthetic_patients, "synthetic")
    bad = trouble(x, y)
    if bad is not None:
        return bad
    n, units = min(len(x), len(y)), units_of(owners, blocks)
    fewest = min(owners.count, blocks.count)
    if fewest < 2:
        return undefined(f"needs 2 patients, but got {fewest}", n, units)
    same_y: NDArray[np.bool_] = (
        np.eye(len(y), dtype=bool)
        if synthetic_patients is None
        else blocks.codes[:, None] == blocks.codes[None, :]
    )
    members_x, members_y = _one_hot(owners.codes), _one_hot(blocks.codes)
    first = _side(x, members_x, owners.codes[:, None] == owners.codes[None, :])
    second = _side(y, members_y, same_y)
    cross: Array = members_x.T @ cubic_kernel(x, y) @ members_y

    def statistic(rows: Rows, columns: Rows) -> float:
        left_1, left_2 = np.isin(every[0], rows), np.isin(every[1], columns)
        return _mmd(first, second, cross, left_1.astype(np.float64), left_2.astype(np.float64))

    # On gathered sums, a row a group: many times as fast as on images.
    every = [np.arange(side.count) for side in (owners, blocks)]
    found = jackknife(statistic, replace(owners, codes=every[0]), replace(blocks, codes=every[1]))
    value, variance = map(float, found)
    return score_with_interval(value, variance, fewest, n, units)


def fid_with_interval(
    real: NDArray[Any],
    synthetic: NDArray[Any],
    patients: Labels | None,
    synthetic_patients: Labels | None = None,
) -> Score:
    """Canonical FID with a 95 % jackknife interval over patients.

    The interval is about what FID is expected to be at this n, which it covers in 94-99 %
    (simulated as for `kid_by_patient`). The bias, which grows as n falls, stays: with no distance
    at all that expectation was 1.12. Compare at equal n only. It takes one FID per patient and
    block.

    Args:
        real, synthetic: n x d and m x d.
        patients: n labels; None for independent images.
        synthetic_patients: m labels where the second side is real as well.

    Returns:
        The value and note of `fid`, and an interval (not below 0) with 3 groups a side.

    Raises:
        DataError: shapes that do not fit, or not one label per image.
    """
    x, y = pair_features(real, synthetic)
    groups = groups_of(len(x), patients), groups_of(len(y), synthetic_patients, "synthetic")
    whole, units = fid(x, y), units_of(*groups)
    if trouble(x, y) is not None:
        return undefined(str(whole.note), whole.n, units)

    def statistic(rows: Rows, columns: Rows) -> float:
        # Of a single image there is no covariance.
        few = min(len(rows), len(columns)) < 2
        return float("nan") if few else frechet(x[rows], y[columns])

    _, variance = jackknife(statistic, *groups)
    fewest, bounds = min(side.count for side in groups), (0.0, float("inf"))
    return score_with_interval(
        whole.value, float(variance), fewest, whole.n, units, whole.note, bounds
    )


@dataclass(frozen=True)
class RealBaseline:
    """A score between disjoint halves of the real patients: what no generator has to beat.

    Attributes:
        values: of each split; NaN where the score is undefined, empty where there is no baseline.
        n: images on each side, in every split.
        patients: patients in all.
        note: the score's caveat, or why there is no baseline.
    """

    values: Array
    n: int
    patients: int
    note: str | None = None

    def summary(self) -> dict[str, float | int | str | None]:
        """Mean, 5 % and 95 % point, as plain data (None where there is no baseline).

        The 95 % point is the mark for distances, the 5 % point for scores that are better high.
        """
        known = len(self.values) > 0 and bool(np.isfinite(self.values).all())
        return {
            "mean": float(self.values.mean()) if known else None,
            "p05": float(np.quantile(self.values, 0.05)) if known else None,
            "p95": float(np.quantile(self.values, 0.95)) if known else None,
            "n": self.n,
            "patients": self.patients,
            "note": self.note,
        }


FLOORS = ("kid", "kid_by_patient", "fid", *NAMES)


def real_baselines(
    features: NDArray[Any],
    patients: Labels,
    repeats: int,
    rng: np.random.Generator,
    n: int | None = None,
    k: int = K,
) -> dict[str, RealBaseline]:
    """Every score between disjoint halves of the patients, over random splits, at equal n.

    Args:
        features: real features, N x d.
        patients: N labels.
        repeats: splits, at least 1.
        rng: draws the splits and the images.
        n: images on each side, at least 2; None (and any larger number) takes what the smallest
            half holds.
        k: neighbours, as in `prdc`.

    Returns:
        A baseline for each name in `FLOORS`, all over the same splits.

    Raises:
        DataError: not one label per image, or a number too small.
    """
    x, _ = pair_features(features, features)
    owners = groups_of(len(x), patients)
    if repeats < 1 or (n is not None and n < 2) or k < 1:
        raise DataError(
            "real_baselines need repeats >= 1, n >= 2 and k >= 1, "
            f"but got repeats {repeats}, n {n} and k {k}; ask for more"
        )
    reason = None
    if owners.count < 4:
        reason = f"needs 4 patients, 2 a side, but got {owners.count}"
    elif not np.isfinite(x).all():
        reason = "features are not finite"
    if reason is not None:
        return {name: RealBaseline(np.empty(0), 0, owners.count, reason) for name in FLOORS}
    splits = [patient_halves(owners.codes, rng) for _ in range(repeats)]
    smallest = min(len(side) for split in splits for side in split)
    n = smallest if n is None else min(n, smallest)
    chosen = [
        (rng.choice(left, n, replace=False), rng.choice(right, n, replace=False))
        for left, right in splits
    ]
    own = to_others(distances(x, x))
    whole = Distances(own, own, own)
    rows = np.array([_between(x, owners.codes, whole, *pair, k) for pair in chosen])
    notes: dict[str, str | None] = {"fid": fid(x[chosen[0][0]], x[chosen[0][1]]).note}
    if n <= k:
        notes |= dict.fromkeys(NAMES, f"needs more than k = {k} images a side, but got {n}")
    return {
        name: RealBaseline(rows[:, i], n, owners.count, notes.get(name))
        for i, name in enumerate(FLOORS)
    }


def _between(x: Array, owners: Rows, whole: Distances, left: Rows, right: Rows, k: int) -> Array:
    """The scores in the order of `FLOORS` between two sets of rows; `whole`: of all rows."""
    a, b = x[left], x[right]
    by_patient = kid_by_patient(a, b, owners[left], owners[right])
    first = [kid(a, b).value, by_patient.value, fid(a, b).value]
    return np.array([*first, *prdc_of_distances(whole.subset(left, right), k)])
