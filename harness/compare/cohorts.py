"""Deal training patients to replicates, so that each has a cohort of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.base.errors import ConfigError
from harness.base.rng import generator
from harness.base.text import counted
from harness.config.experiment import ReplicatesConfig


def deal_cohorts(training: Sequence[str], config: ReplicatesConfig, seed: int) -> list[list[str]]:
    """Content digests of each replicate's training patients, sorted; [] where all share one cohort.

    Disjoint cohorts are cut from one random order. Drawn ones take those patients that were used
    least so far, ties at random, so that every patient is used equally often.

    Raises:
        ConfigError: the pool holds too few patients.
    """
    if config.cohorts == "fixed":
        return []
    pool, count = sorted(training), config.count
    size = config.cohort_size or len(pool) // count
    needed = size * count if config.cohorts == "disjoint" else size + 1
    if not size or needed > len(pool):
        least = count if not size else needed
        raise ConfigError(
            f"{config.cohorts} cohorts of {counted(max(size, 1), 'training patient')} for "
            f"{counted(count, 'replicate')} need {least} or more, but got {len(pool)}; set a "
            "smaller replicates.cohort_size or replicates.count, or "
            + ("drawn cohorts" if config.cohorts == "disjoint" else "fixed ones")
        )
    if config.cohorts == "disjoint":
        return _cut(pool, size, count, seed, "cohorts")
    used: Counter[str] = Counter()
    cohorts = []
    for number in range(count):
        order = generator(seed, "cohorts", number).permutation(len(pool)).tolist()
        drawn = sorted((pool[i] for i in order), key=lambda patient: used[patient])[:size]
        used.update(drawn)
        cohorts.append(sorted(drawn))
    return cohorts


def deal_smaller(training: Sequence[str], size: int, most: int, seed: int) -> list[list[str]]:
    """Disjoint cohorts of `size` patients, as many as there are patients for and at most `most`."""
    return _cut(sorted(training), size, min(most, len(training) // size), seed, "learning curve")


def _cut(pool: Sequence[str], size: int, count: int, seed: int, stream: str) -> list[list[str]]:
    order = generator(seed, stream).permutation(len(pool)).tolist()
    return [sorted(pool[i] for i in order[n * size : (n + 1) * size]) for n in range(count)]
