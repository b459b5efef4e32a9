"""What the verdicts detect in somebody's own images, by planting failures in them.

Each repeat deals the real patients anew: some play the generator's training patients (and, for
memorisation, some the held-out ones), the rest are fresh and honest. Planted generators draw from
the training patients' images; a verdict should name them. Fresh patients' images play an honest
generator; a verdict should let them pass. Everything is resampled by patient.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.metrics.calibration.planted import COLLAPSING, SUBTLE, jittered, mirrored
from harness.metrics.collapse.verdict import COLLAPSED, RealSet, judge_collapse, real_diversity
from harness.metrics.extractors.coarse_pixels import coarse_pixels
from harness.metrics.memorisation.neighbours import neighbours
from harness.metrics.memorisation.permutation_test import judge_memorisation
from harness.metrics.score import share_interval

Kind = Literal["failure", "subtle", "honest"]
Rows = NDArray[np.intp]

FRESH = "fresh patients"
POOL_PER_PATIENT = 16
"""Images of a patient that enter a memorisation calibration, so that patients weigh alike."""


@dataclass
class Cell:
    """How often one planted generator was called what.

    Attributes:
        kind: "failure" must be detected, "subtle" shows where the limit lies, "honest" must pass.
        n: synthetic images in each repeat.
        words: repeats by verdict.
        detecting: verdicts that count as a detection.
    """

    name: str
    kind: Kind
    n: int
    words: Counter[str]
    detecting: tuple[str, ...]

    @property
    def repeats(self) -> int:
        return sum(self.words.values())

    @property
    def detected(self) -> int:
        return sum(self.words[word] for word in self.detecting)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data, with the rate and its 95 % Wilson interval."""
        low, high = share_interval(self.detected, self.repeats) if self.repeats else (0.0, 1.0)
        return {
            "planted": self.name,
            "kind": self.kind,
            "n": self.n,
            "repeats": self.repeats,
            "detected": self.detected,
            "low": low,
            "high": high,
            "words": dict(self.words),
        }


def calibrate_collapse(
    images: NDArray[Any],
    patients: NDArray[Any],
    n: int,
    repeats: int,
    rng: np.random.Generator,
    step: Callable[[int], None] = lambda done: None,
) -> list[Cell] | str:
    """Rates of the verdict on collapse at n images; or why they cannot be had.

    Args:
        images: real ones, N x H x W (bool masks, or grey in [0, 1]).
        patients: N labels. Two thirds play training patients, the rest fresh ones.
        n: images a side.
        repeats: deals of the patients.
        rng: draws everything.
        step: called with the number of repeats done.
    """
    every = RealSet.of(coarse_pixels(images), patients)
    planted = COLLAPSING | SUBTLE
    cells = {
        name: Cell(name, "failure" if name in COLLAPSING else "subtle", n, Counter(), COLLAPSED)
        for name in planted
    }
    cells[FRESH] = Cell(FRESH, "honest", n, Counter(), COLLAPSED)
    for done in range(repeats):
        training, fresh = _deal(every.codes, every.patients, (2, 1), rng)
        real = every.subset(training)
        reference = real_diversity(real, n, rng)
        if isinstance(reference, str):
            return f"a calibration {reference}"
        if reference.n < n or len(fresh) < n:
            most = min(reference.n, len(fresh))
            return f"{n} images a side need more real images: a third of the patients has {most}"
        for name, generator in planted.items():
            made = coarse_pixels(generator(images[training], n, rng))
            cells[name].words[judge_collapse(reference, real, made, rng).word] += 1
        honest = every.features[rng.choice(fresh, n, replace=False)]
        cells[FRESH].words[judge_collapse(reference, real, honest, rng).word] += 1
        step(done + 1)
    return list(cells.values())


def calibrate_memorisation(
    images: NDArray[Any],
    patients: NDArray[Any],
    n: int,
    repeats: int,
    rng: np.random.Generator,
    step: Callable[[int], None] = lambda done: None,
) -> list[Cell] | str:
    """Rates of the verdict on memorisation at n images; arguments as `calibrate_collapse`.

    Half of the patients play training patients, a quarter held-out ones, the rest fresh ones.
    """
    kept = _even(patients, rng)
    pool, owners = images[kept], patients[kept]
    views = _views(pool, rng)
    codes = np.unique(owners, return_inverse=True)[1]
    cells: dict[str, Cell] = {}
    for done in range(repeats):
        training, heldout, fresh = _deal(codes, int(codes.max()) + 1, (2, 1, 1), rng)
        if min(len(fresh), len(training)) < n / 2 or not len(heldout):
            return f"{n} images need more real images: a quarter of the patients has {len(fresh)}"
        for name, kind, made in _copying(views, training, fresh, n, rng):
            near = neighbours(
                views["as they are"][training],
                codes[training],
                views["as they are"][heldout],
                codes[heldout],
                made,
                views["mirrored"][training],
                views["mirrored"][heldout],
            )
            cell = cells.setdefault(name, Cell(name, kind, n, Counter(), ("memorised",)))
            cell.words[judge_memorisation(near, rng).verdict] += 1
        step(done + 1)
    return list(cells.values())


def _deal(
    codes: Rows, patients: int, parts: tuple[int, ...], rng: np.random.Generator
) -> list[Rows]:
    """Rows of disjoint groups of patients, in these proportions."""
    ends = np.cumsum(parts) / sum(parts) * patients
    groups = np.split(rng.permutation(patients), np.rint(ends[:-1]).astype(int))
    return [np.flatnonzero(np.isin(codes, group)) for group in groups]


def _even(patients: NDArray[Any], rng: np.random.Generator) -> Rows:
    """Rows of at most `POOL_PER_PATIENT` images a patient."""
    rows = [
        rng.permutation(np.flatnonzero(patients == patient))[:POOL_PER_PATIENT]
        for patient in np.unique(patients)
    ]
    return np.sort(np.concatenate(rows))


def _views(pool: NDArray[Any], rng: np.random.Generator) -> Mapping[str, NDArray[np.float64]]:
    """Features of the pool's images as they are and as copies that are made less obvious."""
    noisy = jittered(pool, rng)
    return {
        "as they are": coarse_pixels(pool),
        "jittered": coarse_pixels(noisy),
        "mirrored": coarse_pixels(mirrored(pool)),
        "mirrored, jittered": coarse_pixels(mirrored(noisy)),
    }


def _copying(
    views: Mapping[str, NDArray[np.float64]],
    training: Rows,
    fresh: Rows,
    n: int,
    rng: np.random.Generator,
) -> Iterator[tuple[str, Kind, NDArray[np.float64]]]:
    """Planted copying generators' features, n x d each, and those of an honest one."""

    def draw(view: str, rows: Rows, count: int) -> NDArray[np.float64]:
        return views[view][rng.choice(rows, count, replace=len(rows) < count)]

    for view in views:
        yield f"copies, {view}", "failure", draw(view, training, n)
    for share in (0.5, 0.2, 0.1):
        copied = round(share * n)
        made = [draw("jittered", training, copied), draw("as they are", fresh, n - copied)]
        yield f"{100 * share:.0f} % copies, jittered", "subtle", np.concatenate(made)
    yield FRESH, "honest", draw("as they are", fresh, n)
