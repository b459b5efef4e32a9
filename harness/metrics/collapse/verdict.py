"""Is this mode collapse? A generator's samples beside real images of patients they never met.

How varied n synthetic images are is compared with how varied n real images are, and with how much
two sets of real images of *different* patients differ in that: the halves of many random splits of
the real patients. Four signs, of which a collapse lowers at least one:

    mean_distance    between two images
    vendi_score      effective number of different images
    non_duplicates   images that are no near copies of another one
    coverage         share of real images that have a synthetic one in their neighbourhood

The first three are compared as log ratios to real halves. Coverage counts only where the samples
look real (precision not far below that of real halves): what looks like nothing covers nothing,
however varied it is. Each sign's distance from the real-real mean, in real-real standard
deviations, gives a one-sided p (t with splits - 1 degrees of freedom); the smallest, times the
number of signs, is the set's p.

Verdicts:
    convergence failure  the training's journal says so, or hardly a sample looks real, alike or not
    mode collapse        significantly less varied, and a sign at or below a quarter of real
    partial collapse     significantly less varied
    healthy              none of these

Sources: Vendi score Friedman and Dieng 2023; precision, coverage Kynkaanniemi et al. 2019, Naeem et
al. 2020; the reference distribution is ours: `harness calibrate collapse` measures what it detects.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.base.files import without_nan
from harness.metrics.collapse.diversity import mean_distance, non_duplicates, vendi_score
from harness.metrics.distances import Array, Labels, Rows, fast_distances, patient_halves, to_others
from harness.metrics.fidelity.jackknife import groups_of
from harness.metrics.fidelity.prdc import Distances, prdc_of_distances

Word = Literal["healthy", "partial collapse", "mode collapse", "convergence failure", "undecided"]

COLLAPSED: tuple[str, ...] = ("convergence failure", "mode collapse", "partial collapse")
"""Verdicts that count as a collapse, in rates and for scripts."""

DIVERSITY = ("mean_distance", "vendi_score", "non_duplicates")
SIGNS = (*DIVERSITY, "coverage")

ALPHA = 0.01
"""A set is called collapsed below this p: one false alarm in 100 healthy sets."""

SEVERE = 0.25
"""A sign at or below this share of real makes a collapse a mode collapse."""

UNREAL = 0.1
"""Precision at or below this share of the real-real one: the samples do not look real."""

REALISTIC = 0.5
"""Precision at or above this share of the real-real one: what is not covered is missing."""

LEAST_SD = 0.02
"""Least standard deviation of a log ratio or a share: a few splits of few images may show none."""

NEAR_COPY = 0.01
"""Quantile of real-real distances between patients below which two images are near copies."""

FEWEST_PATIENTS = 6
"""3 a side."""

FEWEST_IMAGES = 20

SPLITS = 24

HALVES = 4
"""Real halves over which a sample's coverage and precision are averaged."""


@dataclass(frozen=True)
class RealDiversity:
    """What sets of n real images of disjoint patients show.

    Attributes:
        n: images a side.
        patients, splits: real patients in all, and random splits of them.
        bandwidth: typical distance between patients' most alike images; unit of `vendi_score`.
        radius: two images nearer than this are near copies.
        level: mean over real halves of each sign (logs for the first three) and of precision.
        sd: over splits, of the difference between the halves (of coverage and precision
            themselves).
    """

    n: int
    patients: int
    splits: int
    bandwidth: float
    radius: float
    level: dict[str, float]
    sd: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> RealDiversity:
        """What `to_dict` made."""
        return cls(**plain)


@dataclass(frozen=True)
class Sign:
    """One sign of collapse.

    Attributes:
        value: of the synthetic set.
        real: of real sets of that size.
        ratio: value / real.
        p: one-sided, of so low a value among real sets; NaN where the sign does not count.
    """

    name: str
    value: float
    real: float
    ratio: float
    p: float


@dataclass(frozen=True)
class Collapse:
    """A verdict with its evidence.

    Attributes:
        word: the verdict.
        sentence: the verdict in a sentence.
        p: of the whole set; NaN where it was not judged by its samples.
        signs: all four.
        precision, real_precision: share of samples that look real, and the same of real halves.
        n: synthetic images.
        onset: epoch since when the training's journal shows it; None where it does not.
    """

    word: Word
    sentence: str
    p: float
    signs: tuple[Sign, ...]
    precision: float
    real_precision: float
    n: int
    onset: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data; NaN becomes None."""
        return without_nan(asdict(self))


@dataclass(frozen=True)
class RealSet:
    """Real images by their features, with all distances between them, computed once.

    Attributes:
        features: N x d.
        codes: patient number 0 .. patients - 1 of each image.
        patients: how many.
        distances: N x N.
    """

    features: Array
    codes: Rows
    patients: int
    distances: Array

    @classmethod
    def of(cls, features: NDArray[Any], patients: Labels) -> RealSet:
        """From features N x d and N labels."""
        x = np.asarray(features, np.float64)
        groups = groups_of(len(x), patients)
        return cls(x, groups.codes, groups.count, fast_distances(x, x))

    def subset(self, rows: NDArray[Any]) -> RealSet:
        """Those of some images (row numbers, or N bool)."""
        kept = np.arange(len(self.features))[rows]
        groups = groups_of(len(kept), self.codes[kept])
        distances = self.distances[np.ix_(kept, kept)]
        return RealSet(self.features[kept], groups.codes, groups.count, distances)


def real_diversity(real: RealSet, n: int, rng: np.random.Generator) -> RealDiversity | str:
    """What sets of real images of different patients show; or why it cannot be told.

    `n` images a side; fewer where the smallest half holds fewer.
    """
    if real.patients < FEWEST_PATIENTS:
        return f"needs {FEWEST_PATIENTS} real patients, 3 a side, but got {real.patients}"
    halves = [patient_halves(real.codes, rng) for _ in range(SPLITS)]
    n = min(n, *(len(half) for pair in halves for half in pair))
    if n < FEWEST_IMAGES:
        return f"needs {FEWEST_IMAGES} real images a side, but got {n}"
    nearest = to_others(real.distances, real.codes).min(axis=1)
    scale = float(np.median(nearest)), float(np.quantile(nearest, NEAR_COPY))
    if not scale[0]:
        return (
            "needs patients that differ, but got images of which most have an equal one of another "
            "patient; is somebody there twice?"
        )
    levels: list[list[float]] = []
    gaps: list[list[float]] = []
    for pair in halves:
        left, right = (rng.choice(half, n, replace=False) for half in pair)
        sides = real.distances[np.ix_(left, left)], real.distances[np.ix_(right, right)]
        one, other = (_diversity(side, *scale) for side in sides)
        shared = _overlap(*sides, real.distances[np.ix_(left, right)])
        levels.append([*(one + other) / 2, *shared])
        gaps.append([*(other - one), *shared])
    level = np.mean(levels, axis=0)
    if not level[-2:].all():
        return "needs real halves that come near each other, but no image of one does; more images"
    names = (*SIGNS, "precision")
    sd = np.maximum(np.std(gaps, axis=0, ddof=1), LEAST_SD).tolist()
    return RealDiversity(
        n,
        real.patients,
        SPLITS,
        *scale,
        level=dict(zip(names, level.tolist(), strict=True)),
        sd=dict(zip(names, sd, strict=True)),
    )


def judge_collapse(
    reference: RealDiversity, real: RealSet, synthetic: NDArray[Any], rng: np.random.Generator
) -> Collapse:
    """The verdict on a set of synthetic images.

    Args:
        reference: by `real_diversity`, of `real`.
        synthetic: features, m x d, in random order; those beyond `reference.n` are left out.
        rng: draws the real halves that the samples should cover.
    """
    y = np.asarray(synthetic, np.float64)[: reference.n]
    if not np.isfinite(y).all():
        return samples_broken(len(y))
    if len(y) < reference.n:
        return undecided(f"needs {reference.n} samples, but got {len(y)}", len(y))
    own, across = fast_distances(y, y), fast_distances(real.features, y)
    covered, realistic = _covered(real, own, across, rng)
    values = [*_diversity(own, reference.bandwidth, reference.radius).tolist(), covered]
    counts = realistic >= REALISTIC * reference.level["precision"]
    signs = tuple(
        _sign(reference, name, value, name != "coverage" or counts)
        for name, value in zip(SIGNS, values, strict=True)
    )
    judged = [sign.p for sign in signs if not math.isnan(sign.p)]
    p = min(1.0, len(judged) * min(judged))
    word = _word(signs, p, realistic / reference.level["precision"])
    sentence = _sentence(word, signs, p, realistic, reference)
    return Collapse(word, sentence, p, signs, realistic, reference.level["precision"], reference.n)


def samples_broken(n: int) -> Collapse:
    """The verdict on n samples that are not numbers."""
    return undecided("the samples are not numbers", n, "convergence failure")


def undecided(reason: str, n: int, word: Word = "undecided") -> Collapse:
    """No verdict on n samples by their looks, and why."""
    sentence = f"{word.capitalize()}: {reason}."
    return Collapse(word, sentence, math.nan, (), math.nan, math.nan, n)


def _diversity(distances: Array, bandwidth: float, radius: float) -> Array:
    """Logs of mean distance, Vendi score and non-duplicates; copies have a distance of almost 0."""
    apart = max(mean_distance(distances), 1e-6 * bandwidth)
    counts = vendi_score(distances, bandwidth), non_duplicates(distances, radius)
    return np.asarray(np.log([apart, *counts]), np.float64)


def _overlap(real: Array, synthetic: Array, across: Array) -> tuple[float, float]:
    """Coverage of the real set and precision of the other one, from distances."""
    scores = prdc_of_distances(Distances(to_others(real), to_others(synthetic), across))
    return float(scores[3]), float(scores[0])


def _covered(
    real: RealSet, own: Array, across: Array, rng: np.random.Generator
) -> tuple[float, float]:
    """Means over a few real halves of coverage and precision, at equal numbers of images."""
    found = []
    for _ in range(HALVES):
        half = patient_halves(real.codes, rng)[0]
        rows = rng.choice(half, min(len(own), len(half)), replace=False)
        found.append(_overlap(real.distances[np.ix_(rows, rows)], own, across[rows]))
    covered, realistic = np.mean(found, axis=0).tolist()
    return covered, realistic


def _sign(reference: RealDiversity, name: str, value: float, counts: bool) -> Sign:
    from scipy import stats

    real, sd = reference.level[name], reference.sd[name]
    p = float(stats.t.cdf((value - real) / sd, reference.splits - 1)) if counts else math.nan
    shown = (value, real) if name == "coverage" else (math.exp(value), math.exp(real))
    return Sign(name, *shown, shown[0] / shown[1], p)


def _word(signs: Sequence[Sign], p: float, realistic: float) -> Word:
    if realistic <= UNREAL:
        return "convergence failure"
    if p >= ALPHA:
        return "healthy"
    severe = any(s.ratio <= SEVERE for s in signs if s.name in DIVERSITY and s.p < ALPHA)
    return "mode collapse" if severe else "partial collapse"


_WORDS = {
    "mean_distance": "the mean distance between two samples",
    "vendi_score": "the effective number of different samples (Vendi score)",
    "non_duplicates": "the number of samples that are no near copies",
    "coverage": "the share of real images that a sample comes near",
}


def _sentence(
    word: Word, signs: Sequence[Sign], p: float, realistic: float, reference: RealDiversity
) -> str:
    if word == "convergence failure":
        alike = f", and they are alike (Vendi score {signs[1].value:.1f})" if p < ALPHA else ""
        return (
            f"Convergence failure: {100 * realistic:.0f} % of the samples look real, where real "
            f"images of other patients reach {100 * reference.level['precision']:.0f} %{alike}."
        )
    if word == "healthy":
        return (
            "Healthy: the samples vary as real images of other patients do "
            f"(Vendi score {signs[1].value:.0f}, real {signs[1].real:.0f})."
        )
    judged = [sign for sign in signs if not math.isnan(sign.p)]
    telling = [sign for sign in judged if len(judged) * sign.p < ALPHA]
    least = min(telling, key=lambda sign: sign.ratio)
    return (
        f"{word.capitalize()}: {_WORDS[least.name]} is {_short(least.value)}, of real images "
        f"{_short(least.real)} (ratio {least.ratio:.2f}, p = {max(p, 1e-4):.2g}"
        f"{' or less' if p < 1e-4 else ''})."
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 20 else f"{value:.2g}"
