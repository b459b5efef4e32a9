"""Published statistics of copying, as functions of who counts as a training patient.

Slices of one patient are never each other's neighbours, which makes real neighbours more distant
than chance would. So no value here means anything by itself (an accuracy of 0.5 least of all):
`memorisation` compares it with what it would be, had patients changed places.

Sources: adversarial accuracy Yale et al. 2020, Generation and evaluation of privacy preserving
synthetic health data; authenticity Alaa et al. 2022, How faithful is your synthetic data?
"""

from __future__ import annotations

import numpy as np

from harness.metrics.distances import Array
from harness.metrics.memorisation.neighbours import Neighbours, Role, nearest


def none_chosen(others: int, drawn: int) -> Array:
    """P(none of r given patients is drawn), r = 0 .. others, for `drawn` of `others` patients."""
    r = np.arange(others)
    steps = np.maximum(others - r - drawn, 0) / (others - r)
    return np.concatenate([[1.0], np.cumprod(steps)])


def adversarial_accuracy(near: Neighbours, side: Role, patients: int) -> float:
    """Nearest-neighbour adversarial accuracy of one side's patients and the synthetic images.

    1/2 (share of real images farther from the synthetic than from the other real ones + share of
    synthetic images farther from the real than from the other synthetic ones); low where synthetic
    images sit on real ones. Every patient weighs the same, and the value is the exact mean over all
    choices of `patients` of the side's patients (hypergeometric), so sides of unequal size compare.

    Source: Yale et al. 2020.

    Args:
        side: P, the patients that count; at least 2.
        patients: how many of them a subset has, 2 .. number in `side`.
    """
    count = int(side.sum())
    # A real image is farther from the synthetic where any other patient drawn is nearer.
    nearer = (near.between[:, side] < near.to_synthetic[:, None]).sum(axis=1)
    farther = 1 - none_chosen(count - 1, patients - 1)[np.minimum(nearer, count - 1)]
    per_patient = np.bincount(near.owners, farther) / np.bincount(near.owners)
    hits = (near.to_patient[:, side] <= near.among[:, None]).sum(axis=1)
    apart = none_chosen(count, patients)[hits]
    return float((per_patient[side].mean() + apart.mean()) / 2)


def privacy_loss(near: Neighbours, role: Role) -> float:
    """AA(held-out) - AA(training), on equal numbers of patients (Yale et al. 2020).

    Above 0 where the synthetic images sit closer to training patients. NaN below 2 patients a side.
    """
    patients = int(min(role.sum(), (~role).sum()))
    if patients < 2 or len(near.among) < 2:
        return float("nan")
    heldout = adversarial_accuracy(near, ~role, patients)
    return heldout - adversarial_accuracy(near, role, patients)


def authenticity(near: Neighbours, role: Role) -> float:
    """AuthPct, as a share 0 .. 1: synthetic images that are no copy of their nearest training one.

    An image is authentic where it lies farther from its nearest training image than that training
    image from its own nearest of another patient. Exact copies give 0, far away images 1.

    Source: Alaa et al. 2022. NaN below 2 training patients.
    """
    if role.sum() < 2:
        return float("nan")
    distance, image = nearest(near, role)
    return float((distance > near.between[image][:, role].min(axis=1)).mean())


def copy_threshold(near: Neighbours, role: Role, quantile: float) -> float:
    """Quantile of the distances from held-out images to their nearest training image."""
    heldout = ~role[near.owners]
    return float(np.quantile(near.between[heldout][:, role].min(axis=1), quantile))


def copies(near: Neighbours, role: Role, threshold: float) -> int:
    """Number of synthetic images nearer than `threshold` to a patient in `role`."""
    return int((near.to_patient[:, role].min(axis=1) < threshold).sum())


def closer_share(near: Neighbours, role: Role) -> float:
    """Share of synthetic images nearer to training than to held-out patients, 0 .. 1.

    On equal numbers of patients: the exact mean over all choices of as many patients of the larger
    side as the smaller one has.
    """
    training, heldout = near.to_patient[:, role], near.to_patient[:, ~role]
    if training.shape[1] >= heldout.shape[1]:
        nearer = (training < heldout.min(axis=1)[:, None]).sum(axis=1)
        return float(1 - none_chosen(training.shape[1], heldout.shape[1])[nearer].mean())
    nearer = (heldout <= training.min(axis=1)[:, None]).sum(axis=1)
    return float(none_chosen(heldout.shape[1], training.shape[1])[nearer].mean())
