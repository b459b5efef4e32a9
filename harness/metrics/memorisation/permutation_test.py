"""Did the generator copy its training patients? A verdict from patients that change places.

Roles are dealt at random. So, had the generator learnt nothing individual, its training patients
and held-out ones would be exchangeable: to the synthetic images both are just people. Hence roles
are permuted (as many of each as before), every statistic is computed again with the synthetic
images fixed, and p = (1 + number of permutations at least as far towards memorisation) / (1 +
number of permutations). This is exact for any generator and extractor.

The verdict rests on two statistics, because copying has two faces: closeness as a whole, and a few
near copies among many honest images. They are standardised over the same permutations and the
larger one counts (Westfall & Young 1993), which keeps the test exact.

What it can and cannot claim. "Memorised" says that the images lie closer to training patients than
to unseen ones beyond chance; the copy rate beside that of held-out patients says whether by copies
(a Gaussian fitted to 20 to 40 patients is found out as well). Copies of fewer patients than
`fewest_patients` can hardly be told from chance, however many images show them. And the test sees
what the extractor sees: copies under pixel noise of 2 % of the window are mostly missed with
EfficientNet-Lite0, in whose features such noise moves an image farther than another patient.
"""

from __future__ import annotations

import math

import numpy as np

from harness.base.errors import DataError
from harness.metrics.distances import Array
from harness.metrics.memorisation.neighbours import Neighbours, Role, copies_of
from harness.metrics.memorisation.result import (
    Calibrated,
    Memorisation,
    fewest_recognisable,
    sentence,
    verdict,
)
from harness.metrics.memorisation.statistics import (
    adversarial_accuracy,
    authenticity,
    closer_share,
    copies,
    copy_threshold,
    privacy_loss,
)
from harness.metrics.score import Score, share_interval, undefined

NEAR_COPY = 0.7
"""A near copy lies nearer to a training image than this share of that image's distance to its
nearest of another patient. On OpenKBP it finds 10 % of copies shifted by 1 or 2 pixels more often
than 0.4 to 0.6 and than one distance for all images."""
FLOOR = 0.02
"""Distances count as at least this share of the typical one, so that no copy weighs infinitely."""
QUANTILE = 0.01
"""Which of the distances from held-out to training images is the copy threshold."""
TIE = 1e-12
NAMES = ("privacy_loss", "authenticity", "copy_rate", "closer_share", "closeness", "near_copies")


def judge_memorisation(
    near: Neighbours, rng: np.random.Generator, permutations: int = 400, alpha: float = 0.02
) -> Memorisation:
    """Judge the synthetic images of `neighbours`.

    Args:
        permutations: at least 1 / alpha.
        alpha: of the verdict.

    Raises:
        DataError: a parameter out of range, or real images of different patients do not differ.
    """
    if not 0 < alpha < 1:
        raise DataError(f"alpha must lie between 0 and 1, but got {alpha:g}; change it")
    if permutations * alpha < 1:
        raise DataError(
            f"a p below {alpha:g} needs at least {math.ceil(1 / alpha)} permutations, but got "
            f"{permutations}; ask for more"
        )
    floor, copied = FLOOR * _typical(near), copies_of(near, NEAR_COPY)
    roles = [near.role, *(rng.permutation(near.role) for _ in range(permutations))]
    rows = [_statistics(near, role, floor, copied) for role in roles]
    # From here on, larger means towards memorisation.
    signs = np.array([-1.0 if name == "authenticity" else 1.0 for name in NAMES])
    table = np.array(rows) * signs
    threshold = copy_threshold(near, near.role, QUANTILE)
    scores = dict(zip(NAMES, _scores(near, rows[0], threshold), strict=True))
    calibrated = {
        name: _calibrate(scores[name], column, sign)
        for name, column, sign in zip(NAMES, table.T, signs, strict=True)
    }
    p = _p_value(_largest(table[:, -2:]))
    n_t, n_h = int(near.role.sum()), int((~near.role).sum())
    fewest = fewest_recognisable(n_t, n_h, alpha)
    word = verdict(near, p, fewest, alpha)
    return Memorisation(
        verdict=word,
        sentence=sentence(word, p, scores["copy_rate"], n_t, n_h, fewest, alpha),
        p=p,
        **calibrated,
        copy_rate_heldout=_rate(near, ~near.role, threshold, "threshold as for training images"),
        accuracy_training=_accuracy(near, near.role),
        accuracy_heldout=_accuracy(near, ~near.role),
        threshold=threshold,
        patients=n_t,
        heldout=n_h,
        fewest_patients=fewest,
        permutations=permutations,
        alpha=alpha,
    )


def _typical(near: Neighbours) -> float:
    """Typical distance from a real image to another patient: the same for every role."""
    scale = float(np.median(near.between.min(axis=1)))
    if scale == 0:
        raise DataError(
            "features of different patients must differ, but got distance 0 for most of "
            f"{len(near.owners)} real images; check the images and the extractor"
        )
    return scale


def _statistics(near: Neighbours, role: Role, floor: float, copied: Role) -> list[float]:
    """The values of NAMES for one assignment of roles."""
    training, heldout = near.to_patient[:, role].min(axis=1), near.to_patient[:, ~role].min(axis=1)
    ratio = np.log(np.maximum(heldout, floor) / np.maximum(training, floor))
    few = copied[:, role].any(axis=1).sum() - copied[:, ~role].any(axis=1).sum()
    return [
        privacy_loss(near, role),
        authenticity(near, role),
        copies(near, role, copy_threshold(near, role, QUANTILE)) / len(training),
        closer_share(near, role),
        float(ratio.mean()),
        float(few),
    ]


def _p_value(values: Array) -> float:
    """Of values[0] among all; exact, as the observed roles are one assignment among equals."""
    return float((values >= values[0] - TIE).mean())


def _calibrate(score: Score, column: Array, sign: float) -> Calibrated:
    if not math.isfinite(column[0]):
        return Calibrated(score, math.nan, math.nan, math.nan)
    null = column[1:]
    point = float(np.quantile(null, 0.95)) * sign
    return Calibrated(score, float(null.mean()) * sign, point, _p_value(column))


def _largest(table: Array) -> Array:
    """Per assignment the largest standardised statistic; the observed one helps to standardise."""
    spread = table.std(axis=0)
    standard = (table - table.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.asarray(standard.max(axis=1), np.float64)


def _scores(near: Neighbours, values: list[float], threshold: float) -> list[Score]:
    """The observed values of NAMES with their units and, where NaN, the reason."""
    m, n_t, n_h = len(near.among), int(near.role.sum()), int((~near.role).sum())
    units = f"{n_t} training and {n_h} held-out patients"
    heldout = int((~near.role[near.owners]).sum())
    ruler = (
        f"nearer than {threshold:.4g}, the {100 * QUANTILE:g} % point of the distances from "
        f"{heldout} held-out images to their nearest training image"
    )
    found = [Score(value, None, m, units) for value in values]
    found[NAMES.index("copy_rate")] = _rate(near, near.role, threshold, ruler)
    if min(n_t, n_h) < 2 or m < 2:
        reason = f"needs 2 patients on each side and 2 images, but got {n_t}, {n_h} and {m}"
        found[NAMES.index("privacy_loss")] = undefined(reason, m, units)
    if n_t < 2:
        reason = "needs 2 training patients, but got 1"
        found[NAMES.index("authenticity")] = undefined(reason, m, units)
    return found


def _rate(near: Neighbours, side: Role, threshold: float, note: str) -> Score:
    m, hits = len(near.among), copies(near, side, threshold)
    return Score(hits / m, share_interval(hits, m), m, "synthetic images", note)


def _accuracy(near: Neighbours, side: Role) -> Score:
    m, patients = len(near.among), int(min(side.sum(), (~side).sum()))
    if patients < 2 or m < 2:
        reason = f"needs 2 patients on each side and 2 images, but got {patients} and {m}"
        return undefined(reason, m, "patients")
    value = adversarial_accuracy(near, side, patients)
    return Score(value, None, m, f"{patients} of {int(side.sum())} patients")
