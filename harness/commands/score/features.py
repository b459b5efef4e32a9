"""One extractor's scores of two sets of images, each beside what real patients show themselves.

Scores that depend on n are given a second time at the baseline's n, where alone they compare with
it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.rng import generator
from harness.config.choices import SCORES
from harness.metrics.fidelity.by_patient import (
    RealBaseline,
    fid_with_interval,
    kid_by_patient,
    real_baselines,
)
from harness.metrics.fidelity.kid_fid import fid, kid
from harness.metrics.fidelity.prdc import NAMES, Distances, prdc, prdc_of_distances
from harness.metrics.records import ImageSets, compute
from harness.metrics.score import Score, undefined

Array = NDArray[np.float64]
Patients = Sequence[str] | None

SPLITS = 40
DRAWS = 10
"""Draws of the baseline's n over which a score at that n is averaged."""

NO_PATIENTS = (
    "needs to know whose image is whose: type --patients (--patients '(.+)' if every image is of "
    "another patient)"
)
NO_BASELINE = RealBaseline(np.empty(0), 0, 0, "no baseline is made of another package's score")
AT_BASELINE_N = ("kid", "fid", *NAMES)


@dataclass(frozen=True)
class Line:
    """A score beside its real-real baseline.

    Attributes:
        score: of all images.
        baseline: the same score between halves of the real patients; its note says why there is
        none.
        at_baseline_n: mean of the score over draws of the baseline's n; NaN without a baseline,
            and for `kid_by_patient`, whose expectation does not depend on n.
    """

    score: Score
    baseline: RealBaseline
    at_baseline_n: float

    def to_dict(self) -> dict[str, Any]:
        beside = {"at_baseline_n": self.at_baseline_n, "baseline": self.baseline.summary()}
        return {**self.score.to_dict(), **beside}


def score_features(
    real: NDArray[Any],
    synthetic: NDArray[Any],
    patients: Patients,
    synthetic_patients: Patients,
    seed: int,
) -> dict[str, Line]:
    """All scores by name.

    Args:
        real, synthetic: n x d and m x d, at least 2 a side.
        patients, synthetic_patients: n and m labels, or None for independent images.
        seed: draws subsets and splits.
    """
    x, y = np.asarray(real, np.float64), np.asarray(synthetic, np.float64)
    fewest = min(len(x), len(y))
    if patients is None:
        by_patient = undefined(NO_PATIENTS, fewest)
        baseline = dict.fromkeys(
            ("kid_by_patient", *AT_BASELINE_N), RealBaseline(np.empty(0), 0, 0, NO_PATIENTS)
        )
    else:
        by_patient = kid_by_patient(x, y, patients, synthetic_patients)
        baseline = real_baselines(
            x, patients, SPLITS, generator(seed, "score-real-baselines"), fewest
        )
    scores = {
        "kid": kid(x, y),
        "kid_by_patient": by_patient,
        "fid": _fid_at_equal_n(x, y, patients, synthetic_patients, seed),
        **prdc(x, y, patients=patients, synthetic_patients=synthetic_patients),
    }
    scores |= _of_others(x, y, set(scores))
    n = baseline["kid"].n
    at_n = {} if n < 2 or patients is None else _at_n(x, y, patients, n, seed)
    return {
        name: Line(score, baseline.get(name, NO_BASELINE), at_n.get(name, math.nan))
        for name, score in scores.items()
    }


def _of_others(x: Array, y: Array, known: set[str]) -> dict[str, Score]:
    """Scores of features that other packages registered."""
    n = min(len(x), len(y))
    none = np.zeros((0, 1, 1), np.float32)
    sets = ImageSets(none, none, (x[:n].astype(np.float32), y[:n].astype(np.float32)), math.nan, 0)
    records = {name: SCORES.get(name) for name in SCORES.names() if name not in known}
    return {
        name: compute(name, sets)
        for name, record in records.items()
        if record.needs == "features" and record.compute is not None
    }


def _fid_at_equal_n(x: Array, y: Array, first: Patients, second: Patients, seed: int) -> Score:
    n = min(len(x), len(y))
    rows = drawn(len(x), n, seed, "score-fid-real")
    columns = drawn(len(y), n, seed, "score-fid-synthetic")
    found = fid_with_interval(x[rows], y[columns], _of(first, rows), _of(second, columns))
    if len(x) == len(y):
        return found
    text = f"{n} of the {max(len(x), len(y))} images of the larger side drawn"
    return replace(found, note=text if found.note is None else f"{text}; {found.note}")


def drawn(count: int, n: int, seed: int, purpose: str) -> NDArray[np.intp]:
    """n of `count` rows, ascending; all, where there are no more."""
    if n >= count:
        return np.arange(count)
    return np.sort(generator(seed, purpose).choice(count, n, replace=False))


def _of(labels: Patients, rows: NDArray[np.intp]) -> list[str] | None:
    return None if labels is None else [labels[row] for row in rows]


def _at_n(x: Array, y: Array, patients: Sequence[str], n: int, seed: int) -> dict[str, float]:
    """Means over draws of n images a side, the real ones of half the patients, as in a baseline."""
    source = generator(seed, "score-at-baseline-n")
    names, codes = np.unique(np.asarray(patients), return_inverse=True)
    whole = Distances.of(x, y)
    values = []
    for _ in range(DRAWS):
        half = source.permutation(len(names))[: len(names) // 2]
        rows = source.choice(np.flatnonzero(np.isin(codes, half)), n, replace=False)
        columns = source.choice(len(y), n, replace=False)
        a, b = x[rows], y[columns]
        near = prdc_of_distances(whole.subset(rows, columns))
        values.append([kid(a, b).value, fid(a, b).value, *near])
    return dict(zip(AT_BASELINE_N, np.mean(values, axis=0).tolist(), strict=True))
