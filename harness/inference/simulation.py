"""How often the crossed weighted-t gives which word, counted over simulated comparisons.

The procedure is that of `inference`, applied to many tables at once. Normal tables need not be
drawn: their mean and mean squares are independent, normal and scaled chi-squared (two-way random
effects without interaction, one value a cell: Scheffe 1959), so 20,000 repeats cost milliseconds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.inference.cohorts import overlap_factor
from harness.inference.crossed_t import VarianceComponents, critical_value, table_status
from harness.inference.power import standard_error
from harness.inference.verdict_text import Word

WORDS: tuple[str, ...] = get_args(Word)
NO_VERDICT = "no verdict"
CELLS_AT_A_TIME = 2_000_000
"""Of simulated tables: 16 MB of each array."""

Floats = NDArray[np.float64]
BOUNDED = "bounded Dice"
"""What differences drawn by `bounded` are called."""

LEVEL = 0.85
"""Dice about which a bounded table is drawn when nothing better is known."""

SHARED_LOGIT_SD = 0.5
"""How patients differ in both arms alike: about 0.74 to 0.92 Dice where the middle is 0.85."""


@dataclass(frozen=True)
class Summaries:
    """What the procedure needs to know of many tables of one size; an entry a table.

    Attributes:
        patients, replicates: of every table.
        mean: grand means.
        by_patient, by_replicate, residual: mean squares, that of the replicates corrected for the
            overlap of their training cohorts.
    """

    patients: int
    replicates: int
    mean: Floats
    by_patient: Floats
    by_replicate: Floats
    residual: Floats


@dataclass(frozen=True)
class Counts:
    """How often what came out.

    Attributes:
        repeats: tables.
        excluding_zero: those whose 95 % interval excludes 0, verdict allowed or not.
        words: tables by word; "no verdict" where none is allowed.
    """

    repeats: int
    excluding_zero: int
    words: Counter[str]

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def share(self, *words: str) -> float:
        """Share of the tables with one of these words, 0 to 1."""
        return sum(self.words[word] for word in words) / self.repeats

    @property
    def rejected(self) -> float:
        """Share of the 95 % intervals that exclude 0, 0 to 1."""
        return self.excluding_zero / self.repeats


def monte_carlo_error(share: float, repeats: int) -> float:
    """Standard error of a share that was counted in so many repeats."""
    return math.sqrt(share * (1 - share) / repeats)


def summarise(tables: NDArray[Any], overlap: float = 0.0) -> Summaries:
    """Mean and mean squares of tables, repeats x patients x replicates (2 or more of each)."""
    d = np.asarray(tables, np.float64)
    if d.ndim != 3 or min(d.shape[1:]) < 2:
        raise DataError(
            "tables must be repeats x patients x replicates with 2 or more of the latter, but got "
            f"shape {d.shape}; simulate larger ones"
        )
    _, patients, replicates = d.shape
    rows, columns = d.mean(axis=2), d.mean(axis=1)
    grand = d.mean(axis=(1, 2))
    rest = d - rows[:, :, None] - columns[:, None, :] + grand[:, None, None]
    return Summaries(
        patients,
        replicates,
        grand,
        replicates * ((rows - grand[:, None]) ** 2).sum(axis=1) / (patients - 1),
        overlap_factor(overlap, replicates)
        * patients
        * ((columns - grand[:, None]) ** 2).sum(axis=1)
        / (replicates - 1),
        (rest**2).sum(axis=(1, 2)) / ((patients - 1) * (replicates - 1)),
    )


def from_mean_squares(
    components: VarianceComponents,
    patients: int,
    replicates: int,
    repeats: int,
    rng: np.random.Generator,
    effect: float | Floats = 0.0,
    overlap: float = 0.0,
) -> Summaries:
    """Summaries of normal tables, drawn from their exact distribution.

    Args:
        components: standard deviations of the three parts.
        patients, replicates: of a table, 2 or more each.
        repeats: tables.
        rng: draws everything.
        effect: the true mean difference, one or of each table.
        overlap: rho of the replicates' training cohorts, whose mean varies as if all of the
            replicates' spread were of cohorts.
    """
    residual, factor = components.residual**2, overlap_factor(overlap, replicates)
    alike = replace(components, replicate=components.replicate * math.sqrt(factor))

    def square(expected: float, df: int) -> Floats:
        return np.asarray(expected * rng.chisquare(df, repeats) / df, np.float64)

    return Summaries(
        patients,
        replicates,
        rng.normal(effect, standard_error(alike, patients, replicates), repeats),
        square(replicates * components.patient**2 + residual, patients - 1),
        square(factor * (patients * components.replicate**2 + residual), replicates - 1),
        square(residual, (patients - 1) * (replicates - 1)),
    )


def _error_and_weight(found: Summaries) -> tuple[Floats, Floats]:
    """`inference.variance_and_weight` for many tables: standard errors and weights."""
    classical = found.by_patient + found.by_replicate - found.residual
    larger = np.maximum(found.by_patient, found.by_replicate)
    both = found.by_patient + found.by_replicate
    mixed = np.divide(found.by_patient, both, out=np.ones_like(both), where=both > 0)
    alone = (found.by_patient >= found.by_replicate).astype(np.float64)
    guarded = classical < larger
    total = np.where(guarded, larger, classical)
    weight = np.where(guarded, alone, mixed)
    return np.sqrt(total / (found.patients * found.replicates)), weight


def _halves(found: Summaries, alpha: float, error: Floats, weight: Floats) -> Floats:
    """Half widths of the 1 - alpha intervals; c(alpha) is linear in the weight."""
    size = found.patients, found.replicates
    at_patients, at_replicates = (critical_value(alpha, end, *size) for end in (1.0, 0.0))
    return np.asarray((weight * at_patients + (1 - weight) * at_replicates) * error, np.float64)


def words_of(found: Summaries, margin: float, among: int = 1) -> NDArray[Any]:
    """The word on each table, as `verdict_text.verdict` gives it; "no verdict" where it gives none.

    Args:
        found: many tables.
        margin: smallest difference that matters, above 0.
        among: so many comparisons of which this is one, as of `Inference.among`.
    """
    status, _ = table_status(np.zeros((found.patients, found.replicates)))
    if status != "verdict":
        return np.full(found.mean.shape, NO_VERDICT, dtype=object)
    error, weight = _error_and_weight(found)
    wide, narrow = (_halves(found, alpha, error, weight) for alpha in (0.05 / among, 0.10 / among))
    within = (-margin < found.mean - narrow) & (found.mean + narrow < margin)
    above, below = found.mean - wide > 0, found.mean + wide < 0
    return np.select(
        [error == 0, above & within, above, below & within, below, within],
        [
            NO_VERDICT,
            "helps, by less than the margin",
            "helps",
            "harms, by less than the margin",
            "harms",
            "no useful effect",
        ],
        "undecided",
    ).astype(object)


def excludes_zero(found: Summaries) -> NDArray[np.bool_]:
    """Whether each table's 95 % interval excludes 0; False for a table without components."""
    error, weight = _error_and_weight(found)
    half = _halves(found, 0.05, error, weight)
    return np.asarray((np.abs(found.mean) > half) & (error > 0), np.bool_)


def count(found: Summaries, margin: float) -> Counts:
    """Tables by what is said of them."""
    words = Counter(words_of(found, margin).tolist())
    return Counts(len(found.mean), int(excludes_zero(found).sum()), words)


def count_tables(
    drawn: Callable[[int], NDArray[Any]],
    patients: int,
    replicates: int,
    repeats: int,
    margin: float,
    overlap: float = 0.0,
) -> Counts:
    """Draw tables a part at a time (memory stays small) and count what is said of them.

    Args:
        drawn: so many tables, repeats x patients x replicates.
        patients, replicates: of a table.
        repeats: tables in all, 1 or more.
        margin: smallest difference that matters.
        overlap: rho of the replicates' training cohorts.
    """
    most = max(1, CELLS_AT_A_TIME // (patients * replicates))
    parts = [min(most, repeats - done) for done in range(0, repeats, most)]
    total = Counts(0, 0, Counter())
    for part in parts:
        total += count(summarise(drawn(part), overlap), margin)
    return total


def bounded(
    components: VarianceComponents,
    size: tuple[int, int, int],
    rng: np.random.Generator,
    level: float = LEVEL,
    overlap: float = 0.0,
) -> Floats:
    """Differences of two arms whose Dice lie in (0, 1); the arms do not differ.

    Each arm's logit is logit(level) + a patient's part that both arms share + patient, replicate
    and residual parts of its own, all normal. The own parts' sds are `components` over sqrt 2
    and the slope of Dice in its logit at `level`, so the difference has about that spread there,
    and less for patients near 1. The arms are exchangeable, so the true mean difference is 0.

    Args:
        components: wanted sds of the difference.
        size: repeats, patients, replicates.
        rng: draws everything.
        level: Dice in the middle, between 0 and 1.
        overlap: rho of the replicates' training cohorts, which adds what all replicates share.
    """
    repeats, patients, replicates = size
    own = 1 / (math.sqrt(2) * level * (1 - level))
    shared = math.log(level / (1 - level)) + SHARED_LOGIT_SD * rng.standard_normal(
        (repeats, patients, 1)
    )

    def arm() -> Any:
        logit = shared + own * components.patient * rng.standard_normal((repeats, patients, 1))
        logit = logit + own * components.replicate * rng.standard_normal((repeats, 1, replicates))
        if overlap:
            shared_sd = components.replicate * math.sqrt(overlap / (1 - overlap))
            logit = logit + own * shared_sd * rng.standard_normal((repeats, 1, 1))
        logit = logit + own * components.residual * rng.standard_normal(size)
        return 1 / (1 + np.exp(-logit))

    candidate, baseline = arm(), arm()
    return np.asarray(candidate - baseline, np.float64)
