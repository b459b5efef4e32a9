"""Who lies next to whom: distances between synthetic images and real patients.

Distances are Euclidean between feature vectors, reduced once to the nearest image of each patient.
What counts as training is a role of patients, so that `memorisation` can ask what a statistic would
be, had patients changed places. Two slices of one patient are never each other's neighbours.

Where mirrored features are given, a distance to a real image is the smaller of those to the image
and to its mirror image, for training and held-out patients alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.metrics.distances import Array, Labels, Rows, fast_distances, to_others

Role = NDArray[np.bool_]


@dataclass(frozen=True)
class Neighbours:
    """N real images of P patients (training first, then held-out) and m synthetic images.

    Attributes:
        to_patient: m x P, distance from a synthetic image to the nearest image of a patient.
        image: m x P, row of that image (0 .. N - 1).
        between: N x P, distance from a real image to the nearest of a patient; inf for its own.
        to_synthetic: N, distance from a real image to the nearest synthetic one.
        among: m, distance from a synthetic image to the nearest other one; inf where there is none.
        owners: N, the patient (0 .. P - 1) of each real image.
        role: P, True for training patients.
    """

    to_patient: Array
    image: Rows
    between: Array
    to_synthetic: Array
    among: Array
    owners: Rows
    role: Role


def neighbours(
    training: NDArray[Any],
    patients: Labels,
    heldout: NDArray[Any],
    heldout_patients: Labels,
    synthetic: NDArray[Any],
    mirrored_training: NDArray[Any] | None = None,
    mirrored_heldout: NDArray[Any] | None = None,
) -> Neighbours:
    """Measure all distances once.

    Args:
        training, heldout, synthetic: features, n_t x d, n_h x d and m x d, of one extractor.
        patients, heldout_patients: n_t and n_h labels; no patient may be on both sides.
        mirrored_training, mirrored_heldout: features of the left-right mirrored real images, row
            by row; both or neither.

    Raises:
        DataError: shapes or labels do not fit, features are not finite, there are no held-out
            patients, or a patient is on both sides.
    """
    if (mirrored_training is None) != (mirrored_heldout is None):
        raise DataError(
            "mirrored features must be given for training and held-out images alike, but got one "
            "side only; give both or neither"
        )
    sides = [_features(side, "real") for side in (training, heldout)]
    owners, role = _owners(sides, (patients, heldout_patients))
    real, made = np.concatenate(sides), _features(synthetic, "synthetic")
    mirrored = real[:0]
    if mirrored_training is not None and mirrored_heldout is not None:
        both = (mirrored_training, mirrored_heldout)
        mirrored = np.concatenate([_features(side, "mirrored") for side in both])
        if mirrored.shape != real.shape:
            raise DataError(
                "mirrored features must match the real ones row by row, but got shapes "
                f"{mirrored.shape} and {real.shape}; mirror every real image"
            )
    if made.shape[1] != real.shape[1] or len(made) == 0:
        raise DataError(
            f"synthetic features must be m x {real.shape[1]} with m >= 1, as the real ones, but "
            f"got shape {made.shape}; use one extractor for all"
        )
    # Distances by inner products lose digits to a common offset.
    centre = real.mean(axis=0)
    return _measure(real - centre, mirrored - centre, made - centre, owners, role)


def _features(features: NDArray[Any], what: str) -> Array:
    x = np.asarray(features, np.float64)
    if x.ndim != 2 or not np.isfinite(x).all():
        state = f"shape {x.shape}" if x.ndim != 2 else "values that are not finite"
        raise DataError(
            f"{what} features must be a finite array n x d, but got {state}; check the images and "
            "the extractor"
        )
    return x


def _owners(sides: Sequence[Array], labels: Sequence[Labels]) -> tuple[Rows, Role]:
    """Patients numbered through, training first, and who is training."""
    names: list[list[Any]] = []
    for x, given, side in zip(sides, labels, ("training", "held-out"), strict=True):
        if len(given) != len(x):
            raise DataError(
                f"{side} images need one patient label each, but got {len(given)} labels for "
                f"{len(x)} images; pass one label per row"
            )
        if len(x) == 0:
            raise DataError(
                f"memorisation is judged against patients on both sides, but got no {side} images; "
                "keep real patients that the generator never saw (role validation)"
            )
        names.append(list(given))
    if sides[0].shape[1] != sides[1].shape[1]:
        raise DataError(
            "training and held-out features must have one d, but got "
            f"{sides[0].shape[1]} and {sides[1].shape[1]}; use one extractor for all"
        )
    both = set(names[0]) & set(names[1])
    if both:
        raise DataError(
            f"a held-out patient must be in no training, but got {len(both)} on both sides; "
            "split by patient"
        )
    number = {name: i for i, name in enumerate(dict.fromkeys(names[0] + names[1]))}
    owners = np.array([number[name] for name in names[0] + names[1]], np.intp)
    return owners, np.arange(len(number)) < len(set(names[0]))


def _measure(real: Array, mirrored: Array, made: Array, owners: Rows, role: Role) -> Neighbours:
    """Patient by patient, so that no matrix of all real pairs is ever held."""
    n, m, count = len(real), len(made), len(role)
    to_patient, between = np.empty((m, count)), np.empty((n, count))
    image, to_synthetic = np.empty((m, count), np.intp), np.empty(n)
    for patient in range(count):
        rows = np.flatnonzero(owners == patient)
        targets = [real[rows]] + ([mirrored[rows]] if len(mirrored) else [])
        found = np.minimum.reduce([fast_distances(made, target) for target in targets])
        to_synthetic[rows] = found.min(axis=0)
        image[:, patient] = rows[found.argmin(axis=1)]
        to_patient[:, patient] = found.min(axis=1)
        found = np.minimum.reduce([fast_distances(real, target) for target in targets])
        between[:, patient] = found.min(axis=1)
        between[rows, patient] = np.inf
    among = to_others(fast_distances(made, made)).min(axis=1)
    return Neighbours(to_patient, image, between, to_synthetic, among, owners, role)


def nearest(near: Neighbours, role: Role) -> tuple[Array, Rows]:
    """Distance and row (m each) of every synthetic image's nearest real one in `role`."""
    columns = np.flatnonzero(role)
    best = columns[near.to_patient[:, columns].argmin(axis=1)]
    every = np.arange(len(best))
    return near.to_patient[every, best], near.image[every, best]


def copies_of(near: Neighbours, share: float) -> Role:
    """m x P: is a synthetic image nearer to a patient's image than `share` of what others are?

    The ruler of a real image is its distance to the nearest of any other patient, whatever the
    roles: local, since a few odd slices (cut off, nearly blank) lie much closer than most.
    """
    ruler = near.between.min(axis=1)
    return near.to_patient < share * ruler[near.image]


@dataclass(frozen=True)
class Pair:
    """A synthetic image and its nearest training image.

    Attributes:
        synthetic, training: rows of the feature arrays.
        distance: between them.
        reference: from that training image to its nearest of another training patient; None where
            there is no other.
    """

    synthetic: int
    training: int
    distance: float
    reference: float | None


def closest_pairs(near: Neighbours, count: int) -> list[Pair]:
    """The closest pairs, nearest first, no training image twice; fewer than `count` may exist."""
    distance, image = nearest(near, near.role)
    pairs: dict[int, Pair] = {}
    for row in np.argsort(distance, kind="stable"):
        found = int(image[row])
        if len(pairs) == count:
            break
        if found not in pairs:
            reference = float(near.between[found, near.role].min())
            known = reference if np.isfinite(reference) else None
            pairs[found] = Pair(int(row), found, float(distance[row]), known)
    return list(pairs.values())
