"""`distortions`: which metric sees which distortion of real slices, and from which level on.

Many times, the patients are split into two halves: n slices of one are the real side, n slices of
the other, distorted, play a generator. Without a distortion a metric's values over these splits are
its baseline: what two sets of real images of different patients show. A level is seen where the
mean over the splits lies outside the central 95 % of the baseline. Paired metrics compare a slice
with itself, distorted: their baseline is equality, and any change counts that a reader would see
(1 HU).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.metrics.collapse.diversity import mean_distance, non_duplicates, vendi_score
from harness.metrics.distances import distances, to_others
from harness.metrics.extractors.coarse_pixels import coarse_pixels
from harness.metrics.extractors.registry import Extractor, make_extractor
from harness.metrics.fidelity.by_patient import kid_by_patient
from harness.metrics.fidelity.kid_fid import fid, kid
from harness.metrics.fidelity.prdc import (
    NAMES,
    Distances,
    prdc_of_distances,
)
from harness.metrics.images.mask_shape import checkerboard_energy
from harness.metrics.images.similarity import paired_similarity

from .distorting import CHOOSING, PIXELS
from .slices import Slices, read_slices

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

PAIRED = {"mae": 0.002, "ssim": 0.002, "ms_ssim_4": 0.002}
"""Paired metrics, and the change that counts (0.002 of the window is 1 HU)."""

SIGNS = ("Vendi ratio", "mean distance ratio", "non-duplicates ratio")
COARSE = ("kid", "precision", "coverage")


@dataclass(frozen=True)
class Sets:
    """What the metrics of a distorted set are computed from; rows of all arrays belong together.

    Attributes:
        features, coarse: n x d of the extractor, and coarse pixels.
        energy: checkerboard energy of each image.
    """

    features: Array
    coarse: Array
    energy: Array

    @classmethod
    def of(cls, images: NDArray[np.float32], extractor: Extractor) -> Sets:
        """Computed from images n x H x W in [0, 1]."""
        energy = np.array([checkerboard_energy(image) for image in images])
        features = np.asarray(extractor(images[:, None]), np.float64)
        return cls(features, coarse_pixels(images), energy)

    def __getitem__(self, rows: Rows) -> Sets:
        return Sets(self.features[rows], self.coarse[rows], self.energy[rows])


@dataclass(frozen=True)
class Scale:
    """Bandwidth of the Vendi score and radius of near copies, from real coarse pixels."""

    bandwidth: float
    radius: float

    @classmethod
    def of(cls, coarse: Array, patients: NDArray[np.str_]) -> Scale:
        nearest = to_others(distances(coarse, coarse), patients).min(axis=1)
        return cls(float(np.median(nearest)), float(np.quantile(nearest, 0.01)))


def measure(real: Sets, other: Sets, patients: NDArray[np.str_], scale: Scale) -> dict[str, float]:
    """Every unpaired metric of `other` beside `real`, whose slices belong to `patients`."""
    found = {
        "kid": kid(real.features, other.features).value,
        "kid_by_patient": kid_by_patient(real.features, other.features, patients).value,
        "fid": fid(real.features, other.features).value,
        **_prdc(real.features, other.features),
        "kid, coarse pixels": kid(real.coarse, other.coarse).value,
    }
    coarse = _prdc(real.coarse, other.coarse)
    found |= {f"{name}, coarse pixels": coarse[name] for name in ("precision", "coverage")}
    signs = [
        (vendi_score(apart, scale.bandwidth), mean_distance(apart),
         non_duplicates(apart, scale.radius))
        for apart in (distances(s.coarse, s.coarse) for s in (other, real))
    ]  # fmt: skip
    found |= dict(zip(SIGNS, np.divide(*signs).tolist(), strict=True))
    return found | {"checkerboard_energy": float(other.energy.mean())}


def _prdc(x: Array, y: Array) -> dict[str, float]:
    return dict(zip(NAMES, prdc_of_distances(Distances.of(x, y)).tolist(), strict=True))


@dataclass(frozen=True)
class Answer:
    """What a metric says of a distortion.

    Attributes:
        level: 1-based, from which on it stays outside its baseline; 0 for blind.
        rises: whether the value rises there.
        monotone: it moves one way from level to level once outside.
        values: at level 0 (none) and each level.
    """

    level: int
    rises: bool
    monotone: bool
    values: tuple[float, ...]

    def words(self) -> str:
        if not self.level:
            return "blind"
        return f"{'+' if self.rises else '-'} {self.level}{'' if self.monotone else ' (wavers)'}"


def answer(values: Sequence[float], low: float, high: float) -> Answer:
    """From a metric's value at level 0 and each level, and the range of its baseline."""
    outside = [not low <= value <= high for value in values[1:]]
    level = next((k for k in range(len(outside)) if all(outside[k:])), len(outside))
    if level == len(outside):
        return Answer(0, False, False, tuple(values))
    rises = values[-1] > high
    steps = np.diff(values[level:]) * (1 if rises else -1)
    slack = 0.02 * abs(values[-1] - values[0])
    return Answer(level + 1, rises, bool((steps >= -slack).all()), tuple(values))


class Bench:
    """The baseline over splits of the patients, and distorted sets beside it.

    Args:
        slices: real ones.
        n: images a side.
        splits: random halves of the patients.
    """

    def __init__(self, slices: Slices, extractor: Extractor, n: int, splits: int) -> None:
        self.slices, self.extractor, self.rng = slices, extractor, np.random.default_rng(0)
        self.all = Sets.of(slices.images, extractor)
        names = np.unique(slices.patients)
        kept = [self._some(np.flatnonzero(slices.patients == p), 2 * n // len(names))
                for p in names]  # fmt: skip
        self.pool = np.sort(np.concatenate(kept))
        self.scale = Scale.of(self.all.coarse[self.pool], slices.patients[self.pool])
        self.halves = [self.rng.permutation(names)[: len(names) // 2] for _ in range(splits)]
        self.n = min(self._sizes())
        rows = [self._sides(half) for half in self.halves]
        self.sides = [(self._some(a, self.n), self._some(b, self.n)) for a, b in rows]
        self.baseline = [self._measured(a, self.all[b]) for a, b in self.sides]

    def _some(self, rows: Rows, most: int) -> Rows:
        return np.sort(self.rng.permutation(rows)[:most])

    def _sides(self, half: NDArray[np.str_]) -> tuple[Rows, Rows]:
        real = np.isin(self.slices.patients[self.pool], half)
        return self.pool[real], self.pool[~real]

    def _sizes(self) -> list[int]:
        return [len(side) for half in self.halves for side in self._sides(half)]

    def _measured(self, real: Rows, other: Sets) -> dict[str, float]:
        return measure(self.all[real], other, self.slices.patients[real], self.scale)

    def of_pixels(self, name: str, few: int) -> list[dict[str, float]]:
        """Means over `few` splits at each level of a distortion of each image."""
        found, planted = [], PIXELS[name]
        for level in planted.levels:
            clean = self.slices.images[self.pool]
            worse = planted.apply(clean, level, np.random.default_rng(1))
            made = Sets.of(worse, self.extractor)
            rows = [
                self._measured(a, made[np.searchsorted(self.pool, b)]) for a, b in self.sides[:few]
            ]
            found.append(_mean(rows) | _paired(clean, worse))
        return found

    def of_choice(self, name: str, few: int) -> list[dict[str, float]]:
        """The same for a choice of images; paired metrics see each with its own original."""
        found, planted = [], CHOOSING[name]
        for level in planted.levels:
            rows = []
            for (a, _), half in zip(self.sides[:few], self.halves, strict=False):
                pool = np.flatnonzero(~np.isin(self.slices.patients, half))
                places = self.slices.places[pool]
                chosen = planted.apply(pool, places, self.n, level, self.rng)
                rows.append(self._measured(a, self.all[chosen]))
            found.append(_mean(rows) | {"mae": 0.0, "ssim": 1.0, "ms_ssim_4": 1.0})
        return found

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Central 95 % of the baseline of each metric."""
        found = {
            name: tuple(np.quantile([row[name] for row in self.baseline], (0.025, 0.975)).tolist())
            for name in self.baseline[0]
        }
        equal = {name: (1 - tolerance, 1.0) for name, tolerance in PAIRED.items()}
        return found | equal | {"mae": (0.0, PAIRED["mae"])}


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _paired(clean: NDArray[np.float32], worse: NDArray[np.float32]) -> dict[str, float]:
    """Of a few pairs; they hardly differ from pair to pair."""
    found = paired_similarity(clean[::8], worse[::8])
    return {name: float(getattr(found, name).mean()) for name in PAIRED}


def main(options: Sequence[str]) -> int:
    """Print the markdown table, what is blind to what, and the values behind it."""
    asked = _asked(options)
    folder = _folder(asked.data)
    if folder is None:
        print(
            "the benchmark needs OpenKBP patients, but got no folder; name a clone of its "
            "repository with --data, or the folder above it in HARNESS_TEST_DATA",
            file=sys.stderr,
        )
        return 2
    slices = read_slices(folder, asked.patients)
    say = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    say(f"{len(slices.images)} slices of {len(np.unique(slices.patients))} patients")
    bench = Bench(slices, make_extractor(asked.extractor), asked.images, asked.splits)
    say(f"baseline of {asked.splits} splits done, n = {bench.n}")
    ranges, level_0 = bench.ranges(), _mean(bench.baseline) | {"mae": 0, "ssim": 1, "ms_ssim_4": 1}
    works: dict[str, Callable[[str, int], list[dict[str, float]]]] = dict.fromkeys(
        PIXELS, bench.of_pixels
    ) | dict.fromkeys(CHOOSING, bench.of_choice)
    table: dict[str, dict[str, Answer]] = {name: {} for name in ranges}
    for distortion, work in works.items():
        rows = work(distortion, asked.few)
        for name, (low, high) in ranges.items():
            values = [level_0[name], *(row[name] for row in rows)]
            table[name][distortion] = answer(values, low, high)
        say(f"{distortion} done")
    patients = len(np.unique(slices.patients))
    _print(table, ranges, f"{asked.extractor}, {patients} patients, n = {bench.n} a side")
    return 0


def _asked(options: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks distortions")
    parser.add_argument("--data", type=Path, help="a clone of the OpenKBP repository")
    parser.add_argument("--patients", type=int, default=40)
    parser.add_argument("--images", type=int, default=240, help="a side")
    parser.add_argument("--splits", type=int, default=60, help="of the patients, for the baseline")
    parser.add_argument("--few", type=int, default=12, help="splits that a level is averaged over")
    parser.add_argument("--extractor", default="efficientnet-lite0")
    return parser.parse_args(options)


def _folder(given: Path | None) -> Path | None:
    if given is not None:
        return given
    named = os.environ.get("HARNESS_TEST_DATA")
    return Path(named, "open-kbp") if named else None


def _print(
    table: Mapping[str, Mapping[str, Answer]], ranges: Mapping[str, tuple[float, float]], what: str
) -> None:
    distortions = {**PIXELS, **CHOOSING}
    print(f"Levels ({what}):\n")
    for name, planted in distortions.items():
        print(f"- {name}: {', '.join(f'{level:g}' for level in planted.levels)} ({planted.unit})")
    print(f"\n| metric | {' | '.join(distortions)} |\n|---|{'---|' * len(distortions)}")
    for name, row in table.items():
        print(f"| {name} | {' | '.join(row[d].words() for d in distortions)} |")
    print("\nBlind:\n")
    for name, row in table.items():
        blind = [d for d in distortions if not row[d].level]
        print(f"- {name}: {', '.join(blind) if blind else 'to nothing here'}")
    print("\nValues without distortion and at each level:\n")
    print("| metric | baseline, 95 % | distortion | values |\n|---|---|---|---|")
    for name, row in table.items():
        low, high = ranges[name]
        for distortion, found in row.items():
            values = " ".join(f"{value:.3g}" for value in found.values)
            print(f"| {name} | {low:.3g} to {high:.3g} | {distortion} | {values} |")
