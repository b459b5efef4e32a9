"""What a test of memorisation found, and the words that it allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from harness.metrics.memorisation.neighbours import Neighbours, copies_of
from harness.metrics.score import Score

Verdict = Literal[
    "memorised",
    "no memorisation seen",
    "undecided: too few held-out patients",
    "undecided: copies of too few patients",
]

FEWEST_HELDOUT = 3
CLEAR_COPY = 0.4
"""As `memorisation.NEAR_COPY`, but so close that one alone forbids "no memorisation seen": on
OpenKBP 2 to 4 % of honest sets have one, because of nearly blank slices."""


@dataclass(frozen=True)
class Calibrated:
    """A statistic beside what it would be, had training and held-out patients changed places.

    Attributes:
        score: as observed.
        null_mean: its mean over the permutations.
        null_point: 5 % of the permutations lie beyond it, towards memorisation.
        p: one-sided towards memorisation.
    """

    score: Score
    null_mean: float
    null_point: float
    p: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data; NaN becomes None (the reason is the score's note)."""
        null = {"null_mean": self.null_mean, "null_point": self.null_point, "p": self.p}
        return self.score.to_dict() | {k: v if math.isfinite(v) else None for k, v in null.items()}


@dataclass(frozen=True)
class Memorisation:
    """What the neighbours of m synthetic images say about copying.

    Attributes:
        verdict, sentence: in a word, and with its evidence.
        p: of the verdict's test.
        privacy_loss: AA(held-out) - AA(training), -1 .. 1; above 0 towards memorisation.
        authenticity: AuthPct as a share; below its null towards memorisation.
        copy_rate: share of images nearer to a training image than `threshold`, Wilson interval.
        closer_share: share nearer to training than to held-out patients, on equal numbers of both.
        closeness: mean log(distance to held-out / distance to training); one face of the verdict.
        near_copies: images that nearly copy a training patient minus those of held-out ones; the
            other.
        copy_rate_heldout: as `copy_rate`, towards the held-out images (usually fewer).
        accuracy_training, accuracy_heldout: the two AA.
        threshold: distance, a quantile of those from held-out to training images.
        patients, heldout: patients per role.
        fewest_patients: copies of fewer training patients can hardly be told from chance; None
            where none can.
        permutations, alpha: of the test.
    """

    verdict: Verdict
    sentence: str
    p: float
    privacy_loss: Calibrated
    authenticity: Calibrated
    copy_rate: Calibrated
    closer_share: Calibrated
    closeness: Calibrated
    near_copies: Calibrated
    copy_rate_heldout: Score
    accuracy_training: Score
    accuracy_heldout: Score
    threshold: float
    patients: int
    heldout: int
    fewest_patients: int | None
    permutations: int
    alpha: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            name: value.to_dict() if isinstance(value, (Calibrated, Score)) else value
            for name, value in vars(self).items()
        }


def fewest_recognisable(patients: int, heldout: int, alpha: float) -> int | None:
    """Smallest number of copied training patients that chance does not explain.

    Copies of k patients look the same wherever all k are in the training role, which happens in
    C(N - k, heldout) of C(N, heldout) permutations; p goes below that share only where the other
    images happen to lie closer to training patients as well.

    Returns:
        None where not even copies of every training patient reach `alpha`.
    """
    total = patients + heldout
    ways = math.comb(total, heldout)
    for copied in range(1, patients + 1):
        if math.comb(total - copied, heldout) < alpha * ways:
            return copied
    return None


def verdict(near: Neighbours, p: float, fewest: int | None, alpha: float) -> Verdict:
    """The one mapping from numbers to words."""
    if fewest is None or int((~near.role).sum()) < FEWEST_HELDOUT:
        return "undecided: too few held-out patients"
    if p < alpha:
        return "memorised"
    found = copies_of(near, CLEAR_COPY)
    # An honest generator makes no clear copies, or makes them of either role.
    if found[:, near.role].any() and not found[:, ~near.role].any():
        return "undecided: copies of too few patients"
    return "no memorisation seen"


def sentence(
    word: Verdict,
    p: float,
    rate: Score,
    patients: int,
    heldout: int,
    fewest: int | None,
    alpha: float,
) -> str:
    """The verdict with its evidence; numbers of patients, p, its threshold and copy rate
    included."""
    low, high = rate.interval or (math.nan, math.nan)
    share = (
        f"copy rate {100 * rate.value:.1f} % of {rate.n} images (95 % interval "
        f"{100 * low:.1f} to {100 * high:.1f} %)"
    )
    sides = f"{patients} training and {heldout} held-out patients"
    if word == "memorised":
        return (
            "Memorised: the synthetic images lie closer to training patients than to unseen ones "
            f"beyond chance (p = {p:.3f}, below {alpha:g}; {sides}); {share}."
        )
    if word == "no memorisation seen":
        return (
            "No memorisation seen: the synthetic images lie no closer to training patients than "
            f"chance allows (p = {p:.3f}, not below {alpha:g}; {sides}); {share}. Copies of fewer "
            f"than {fewest} patients can hardly be told from chance."
        )
    if word == "undecided: too few held-out patients":
        return (
            f"Undecided: too few held-out patients: {sides} cannot tell copying from chance; keep "
            f"more patients that the generator never sees; {share}."
        )
    return (
        "Undecided: some synthetic images all but copy training patients and none of "
        f"held-out ones, but of too few patients to exclude chance (p = {p:.3f}; {sides} need "
        f"{fewest} or more); look at the closest pairs; {share}."
    )
