"""`splits`: an A/A check on real trainings. Replicates of one arm are set against each other.

Half of the replicates play the candidate, the other half the baseline, in every way there is, and
the inference that `harness decide` uses judges each. Nothing is planted: every 95 % interval that
excludes 0 is a false positive. All splits are made of the same cells, so they are one look at one
data set: the share that rejects has no binomial error, and another ten trainings may give another.

A replicate of one half is paired with one of the other by order of seed. That is arbitrary here,
since two seeds of one arm share nothing, so pairings drawn at random stand beside it. The pairing
moves the interval and p, never the estimate. Not tested is what the inference does with patients
who gain or lose by an arm: between halves of one arm, none does.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.base.errors import ConfigError, DataError, HarnessError
from harness.base.rng import generator
from harness.inference.crossed_t import (
    REPLICATES_FOR_INTERVAL,
    Inference,
    VarianceComponents,
    crossed_weighted_t,
)
from harness.inference.scores_file import read_scores_file
from harness.inference.simulation import NO_VERDICT, WORDS
from harness.inference.table import Table
from harness.inference.verdict_text import verdict

Values = NDArray[np.float64]
Split = tuple[list[int], list[int]]
"""Columns of the half with the first replicate (the baseline), and of the other."""

FEWEST, MOST = 2 * REPLICATES_FOR_INTERVAL, 14
"""Replicates: an interval needs so many a half; 14 have 1,716 splits."""


@dataclass(frozen=True)
class Judged:
    """What the inference said of many tables of differences.

    Attributes:
        found: one a table.
        margin: behind the words.
    """

    found: tuple[Inference, ...]
    margin: float

    @property
    def rejected(self) -> list[bool]:
        """Whether each 95 % interval excludes 0; no interval, no rejection."""
        return [bool(i and not i[0] <= 0 <= i[1]) for i in (f.interval_95 for f in self.found)]

    @property
    def words(self) -> Counter[str]:
        return Counter(verdict(one, self.margin) or NO_VERDICT for one in self.found)

    @property
    def half_widths(self) -> Values:
        """Of the 95 % intervals that there are."""
        ends = [one.interval_95 for one in self.found if one.interval_95 is not None]
        return np.array([(high - low) / 2 for low, high in ends])

    @property
    def largest(self) -> float:
        """Of the estimates, either sign."""
        return max(abs(one.mean) for one in self.found)

    def spreads(self, part: str) -> Values:
        """One standard deviation of every table."""
        return np.array([getattr(one.components, part) for one in self.found])


def splits(replicates: int) -> Iterator[Split]:
    """All ways to halve the replicates; which half is which does not count.

    Raises:
        DataError: they have no halves, too small ones, or too many.
    """
    if replicates % 2 or not FEWEST <= replicates <= MOST:
        raise DataError(
            f"an A/A check needs an even number of replicates from {FEWEST} to {MOST}, but got "
            f"{replicates}; add replicates or remove some"
        )
    for rest in itertools.combinations(range(1, replicates), replicates // 2 - 1):
        one = [0, *rest]
        yield one, [column for column in range(replicates) if column not in one]


def in_order(values: Values) -> Iterator[Values]:
    """Differences of every split (patients x pairs), paired by order of the columns."""
    for one, other in splits(values.shape[1]):
        yield values[:, other] - values[:, one]


def at_random(values: Values, pairings: int, seed: int) -> Iterator[Values]:
    """Differences of every split under so many random pairings."""
    for number, (one, other) in enumerate(splits(values.shape[1])):
        rng = generator(seed, "splits", "pairings", number)
        for _ in range(pairings):
            yield values[:, rng.permutation(other)] - values[:, one]


def judged(tables: Iterator[Values], margin: float) -> Judged:
    """The shipped inference on each table."""
    return Judged(tuple(crossed_weighted_t(table) for table in tables), margin)


def wilcoxon_rejects(values: Values) -> list[bool]:
    """Whether Wilcoxon's test over patients has p < 0.05, for every two single replicates."""
    pairs = itertools.combinations(range(values.shape[1]), 2)
    differences = [values[:, other] - values[:, one] for one, other in pairs]
    return [bool(d.any() and stats.wilcoxon(d).pvalue < 0.05) for d in differences]


def pooled_t_rejects(values: Values) -> list[bool]:
    """Whether a t-test over all cells, as if they were independent, has p < 0.05; each split."""
    tables = [table.ravel() for table in in_order(values)]
    return [bool(np.ptp(d) > 0 and stats.ttest_1samp(d, 0).pvalue < 0.05) for d in tables]


def arm_table(path: Path, arm: str) -> Table:
    """The cells of one arm, none missing.

    Raises:
        ConfigError, DataError: no such file or arm, or a hole.
    """
    whole = read_scores_file(path).table
    if arm not in whole.arms:
        raise ConfigError(
            f"--arm must be one of the arms {', '.join(whole.arms)}, but got '{arm}'; name one of "
            "them"
        )
    table = Table(cell for cell in whole.cells if cell.arm == arm)
    missing = int(np.isnan(table.values(arm)).sum())
    if missing:
        raise DataError(
            f"an A/A check needs every cell, but got {missing} missing of arm '{arm}' in '{path}'; "
            "complete them"
        )
    return table


def main(options: Sequence[str]) -> int:
    """Print what the inference says of all splits of one arm, and what others would."""
    asked = _asked(options)
    try:
        table = arm_table(asked.scores, asked.arm)
        values = table.values(asked.arm)
        by_order = judged(in_order(values), asked.margin)
        randomly = judged(at_random(values, asked.pairings, asked.seed), asked.margin)
        if by_order.found[0].status == "cells only":
            raise DataError(f"{by_order.found[0].note} in '{asked.scores}'; add patients")
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"A/A: arm {asked.arm} of {asked.scores}")
    _show_replicates(table, values)
    _show_splits(by_order, randomly, values.shape[1], asked.pairings)
    _show_contrast(values)
    return 0


def _asked(options: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks splits",
        description="False positives among the replicates of one arm, half against half.",
    )
    parser.add_argument(
        "scores",
        metavar="SCORES",
        type=Path,
        help="CSV: patient, replicate (or run), arm, value. `harness compare` leaves it in "
        "WORKDIR/experiments/NAME/scores.csv (WORKDIR: harness-work), where NAME is the "
        "experiment's; experiments/openkbp/aa.yaml is made for this",
    )
    parser.add_argument("--arm", required=True, help="whose replicates are split")
    parser.add_argument("--margin", type=_positive(float), default=0.01, help="behind the words")
    parser.add_argument(
        "--pairings", type=_positive(int), default=20, help="random pairings a split"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random pairings")
    return parser.parse_args(options)


def _positive(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def number(text: str) -> Any:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"must be a number above 0, but got {text}")
        return value

    return number


def _share(hits: int, of: int) -> str:
    return f"{hits} of {of} ({100 * hits / of:.1f} %)"


def _span(values: Values) -> str:
    return f"{values.min():.4f} to {values.max():.4f}, median {np.median(values):.4f}"


def _show_replicates(table: Table, values: Values) -> None:
    means = values.mean(axis=0)
    print(f"\nMean of each replicate over {len(table.patients)} patients")
    for name, mean in zip(table.replicates, means, strict=True):
        print(f"{name!s:>12} {mean:8.4f}")
    print(
        f"sd over replicates {means.std(ddof=1):.4f}, range {means.min():.4f} to {means.max():.4f}"
    )


def _show_splits(by_order: Judged, randomly: Judged, replicates: int, pairings: int) -> None:
    count, half = len(by_order.found), replicates // 2
    print(f"\nAll {count} splits, {half} replicates against {half}")
    print(f"{'':32} {'by order of seed':>22} {f'{pairings} random pairings':>22}")
    rows = {"95 % interval excludes 0": [sum(one.rejected) for one in (by_order, randomly)]}
    for word in (*WORDS, NO_VERDICT):
        rows[f"  {word}"] = [one.words[word] for one in (by_order, randomly)]
    for name, (ours, drawn) in rows.items():
        print(f"{name:32} {_share(ours, count):>22} {_share(drawn, len(randomly.found)):>22}")
    print("The baseline is the half with the first replicate: helps and harms are the same error.")
    print(f"Largest |estimate|: {by_order.largest:.4f}, under any pairing")
    for name, one in (("by order of seed", by_order), ("at random", randomly)):
        print(f"\nPaired {name}, over all tables of differences")
        if one.half_widths.size:
            print(f"  {'half width of the 95 % interval':32} {_span(one.half_widths)}")
        for part in fields(VarianceComponents):
            print(f"  {f'sd, {part.name} part':32} {_span(one.spreads(part.name))}")
    print(
        f"\nThe {count} splits share their cells: one data set, looked at in many ways. The share"
        "\nthat rejects is no binomial sample: it has no such error, other trainings may differ."
    )


def _show_contrast(values: Values) -> None:
    wilcoxon, pooled = wilcoxon_rejects(values), pooled_t_rejects(values)
    print("\nWhat not to do, p < 0.05 on the same cells")
    pairs = _share(sum(wilcoxon), len(wilcoxon))
    print(f"{'Wilcoxon over patients, replicate against replicate':52} {pairs}")
    cells = _share(sum(pooled), len(pooled))
    print(f"{'t over pooled cells, half against half':52} {cells}")
