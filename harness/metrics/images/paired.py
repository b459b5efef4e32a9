"""Scores of paired images, over the crop and inside the structure, with intervals over patients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics.distances import Array, Labels
from harness.metrics.fidelity.jackknife import (
    SMALLEST_GROUPS,
    deletion_variance,
    groups_of,
    score_with_interval,
)
from harness.metrics.images.similarity import SSIM, mae, ms_ssim_4, psnr_db, ssim
from harness.metrics.score import Score, undefined


def patient_mean(values: NDArray[Any], patients: Labels | None) -> Score:
    """Mean over images with its 95 % interval by delete-one-patient jackknife.

    Args:
        values: one number an image; NaN where it has none (left out, and counted in the note).
        patients: a label an image; None for independent images, deleted in 20 blocks.

    Returns:
        Score; NaN with the reason where no image has a number.
    """
    x = np.asarray(values, np.float64)
    kept = np.isfinite(x)
    groups = groups_of(int(kept.sum()), None if patients is None else np.asarray(patients)[kept])
    units = f"{groups.count} {groups.unit}"
    if not kept.any():
        return undefined("no image has a finite value", 0, units)
    note = None if kept.all() else f"{int((~kept).sum())} images without a value left out"
    x = x[kept]
    variance = np.nan
    if groups.count >= SMALLEST_GROUPS:
        without = [x[groups.codes != gone].mean() for gone in range(groups.count)]
        variance = float(deletion_variance(np.array(without)))
    return score_with_interval(float(x.mean()), variance, groups.count, len(x), units, note)


def paired_scores(
    real: NDArray[Any],
    synthetic: NDArray[Any],
    structure: NDArray[np.bool_],
    patients: Labels,
    window_hu: float,
) -> dict[str, Score]:
    """Likeness of synthetic CT to the true one of the same masks.

    Args:
        real, synthetic: N x H x W in [0, 1].
        structure: N x H x W, where the structure is.
        patients: N labels.
        window_hu: HU that the range [0, 1] stands for.

    Returns:
        ssim and mae_hu over the frame and (`_structure`) inside the structure, ms_ssim_4, psnr_db.
    """
    found = {
        "ssim": ssim(real, synthetic),
        "ssim_structure": ssim_inside(real, synthetic, structure),
        "ms_ssim_4": ms_ssim_4(real, synthetic),
        "psnr_db": psnr_db(real, synthetic),
        "mae_hu": mae(real, synthetic) * window_hu,
        "mae_hu_structure": mae(real, synthetic, structure) * window_hu,
    }
    return {name: patient_mean(values, patients) for name, values in found.items()}


def ssim_inside(first: NDArray[Any], second: NDArray[Any], where: NDArray[np.bool_]) -> Array:
    """Mean of each pair's SSIM map over the pixels of `where`; NaN where it has none.

    The map is that of `similarity.ssim`; windows at the structure's edge see 5 pixels beyond it.
    """
    from skimage.metrics import structural_similarity

    found = []
    for one, other, counted in zip(first, second, where, strict=True):
        pair = np.asarray(one, np.float64), np.asarray(other, np.float64)
        _, image = structural_similarity(*pair, **SSIM, full=True)
        found.append(float(image[counted].mean()) if counted.any() else np.nan)
    return np.array(found, np.float64)


def dice_of_pairs(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Array:
    """Dice of each pair of masks, N x H x W twice -> N; NaN where both are empty."""
    if not len(first):
        return np.empty(0)
    a, b = (np.asarray(side, bool).reshape(len(side), -1) for side in (first, second))
    total = (a.sum(axis=1) + b.sum(axis=1)).astype(np.float64)
    shared = 2.0 * (a & b).sum(axis=1)
    return np.divide(shared, total, out=np.full(len(a), np.nan), where=total > 0)


def label_gain(found: NDArray[np.bool_], labels: NDArray[np.bool_]) -> Score:
    """By how much masks found in images overlap their own label better than another image's.

    Mean Dice with the own label minus mean Dice with the label half the set away, 95 % interval
    over 20 blocks of images. Labels that belong to other images gain nothing, whatever the network
    that found the masks is worth; below 3 images there is no interval.

    `found` are the masks that a segmenter found, N x H x W, as `labels`.
    """
    others = np.roll(labels, max(1, len(labels) // 2), axis=0)
    own, other = dice_of_pairs(found, labels), dice_of_pairs(found, others)
    return patient_mean(own - other, None)


def label_sentence(gain: Score, real: Score) -> str:
    """What a label gain says, in a sentence; `real` is the same segmenter's gain on real pairs."""
    if gain.interval is None:
        return f"Undecided whether the labels fit: {gain.note}."
    if real.interval is None or real.interval[0] <= 0:
        return (
            "Undecided whether the labels fit: the segmenter cannot tell real labels apart either."
        )
    words = (
        f"{gain.value:.2f} Dice (95 % interval {gain.interval[0]:.2f} to {gain.interval[1]:.2f})"
    )
    if gain.interval[0] > 0:
        return (
            f"The labels fit: each is found in its own image better than another one, by {words}."
        )
    return f"The labels do not fit: none is found better in its own image than in another, {words}."
