"""What two sets of images show without a network: collapse, diversity, likeness of pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.base.errors import DataError
from harness.base.rng import generator
from harness.base.text import first_of
from harness.commands.score.features import NO_PATIENTS, drawn
from harness.commands.score.image_set import ImageSet, Window
from harness.metrics.collapse.verdict import RealSet, judge_collapse, real_diversity, undecided
from harness.metrics.extractors.coarse_pixels import NAME, PREPROCESSING, coarse_pixels
from harness.metrics.images.similarity import paired_similarity, ssim_diversity
from harness.metrics.records import DIVERSITY_PAIRS

SHOWN = 3
SAME_PLACE = 0.5
"""Farthest that images of a pair may lie apart, as a share of the longest spacing."""


def judge_diversity(real: ImageSet, synthetic: ImageSet, seed: int) -> dict[str, Any]:
    """The verdict on collapse in coarse pixels, with its evidence."""
    seen = {"images": NAME, "preprocessing": PREPROCESSING}
    if real.patients is None:
        return {**seen, **undecided(f"a verdict {NO_PATIENTS}", len(synthetic)).to_dict()}
    reals = RealSet.of(coarse_pixels(real.images), real.patients)
    reference = real_diversity(reals, len(synthetic), generator(seed, "score-diversity"))
    if isinstance(reference, str):
        return {**seen, **undecided(f"a verdict {reference}", len(synthetic)).to_dict()}
    source = generator(seed, "score-collapse")
    samples = coarse_pixels(synthetic.images)[source.permutation(len(synthetic))]
    return {**seen, **judge_collapse(reference, reals, samples, source).to_dict()}


def score_diversity(real: ImageSet, synthetic: ImageSet, seed: int) -> dict[str, Any]:
    """Mean 1 - SSIM over pairs of each set, at equal n."""
    n = min(len(real), len(synthetic))
    found = {}
    for side, images in (("synthetic", synthetic), ("real", real)):
        rows = drawn(len(images), n, seed, f"score-diversity-{side}")
        source = generator(seed, "score-diversity-pairs")
        found[side] = ssim_diversity(images.images[rows], DIVERSITY_PAIRS, source).to_dict()
    return found


def score_pairs(real: ImageSet, synthetic: ImageSet, window: Window | None) -> dict[str, Any]:
    """Likeness of images that have one name without suffix on both sides.

    Raises:
        DataError: a store, a synthetic image without a real one, or one name for two images.
    """
    rows = partners(real, synthetic)
    scores = paired_similarity(real.images[rows], synthetic.images).means()
    if window is not None:
        scale = window[1] - window[0]
        mae = scores["mae"]
        scores["mae_in_window_units"] = replace(mae, value=mae.value * scale)
    return {
        "pairs": len(rows),
        "real_without_pair": len(real) - len(rows),
        "scores": {name: score.to_dict() for name, score in scores.items()},
    }


def partners(real: ImageSet, synthetic: ImageSet) -> list[int]:
    """The row of the real image of the same name, for each synthetic image.

    Raises:
        DataError: as of `score_pairs`.
    """
    names, reals = _paired_names(synthetic, real)
    _check_depths(synthetic, names, real, reals)
    places = {name: row for row, name in enumerate(reals)}
    missing = [
        stem for stem, name in zip(synthetic.stems, names, strict=True) if name not in places
    ]
    if missing:
        quoted = [f"'{name}'" for name in missing]
        raise DataError(
            "--paired needs a real image for every synthetic one, but got none named "
            f"{first_of(quoted, SHOWN)} in '{real.folder}'; name both alike, "
            "or leave --paired out"
        )
    return [places[name] for name in names]


def apart(real: ImageSet, synthetic: ImageSet) -> list[str]:
    """A note on pairs that lie at different places, where the files of both sides tell."""
    rows = partners(real, synthetic)
    if real.corners is None or synthetic.corners is None or real.unplaced or synthetic.unplaced:
        return []
    gaps = np.linalg.norm(real.corners[rows] - synthetic.corners, axis=1)
    far = gaps > SAME_PLACE * max(max(steps) for steps in (*real.spacings, *synthetic.spacings))
    if not far.any():
        return []
    worst = int(gaps.argmax())
    return [
        f"{int(far.sum())} of {len(far)} pairs lie at different places by their geometry, by up to "
        f"{gaps[worst]:.3g} mm ('{synthetic.names[worst]}'): do they show the same?"
    ]


def _paired_names(some: ImageSet, others: ImageSet) -> tuple[Sequence[str], Sequence[str]]:
    """Names by which images of two sets are paired; capitals, which systems change, count only
    where all of `some` have a partner with the very same ones."""
    for images in (some, others):
        if images.kind == "store":
            raise DataError(
                "--paired needs files, which have names, but got the store "
                f"'{images.folder}'; export its images"
            )
    exact = set(some.stems) <= set(others.stems)
    first, second = (
        images.stems if exact else tuple(map(str.casefold, images.stems))
        for images in (some, others)
    )
    for images, names in ((some, first), (others, second)):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise DataError(
                f"--paired needs one image of each name, but got '{twice[0]}' twice in "
                f"'{images.folder}'{'' if exact else ', capitals aside'}; rename one"
            )
    return first, second


def _check_depths(
    some: ImageSet, names: Sequence[str], others: ImageSet, partners: Sequence[str]
) -> None:
    """Stacks of one name must have as many images: else number 3 of each is another place."""
    here, there = _depths(names, some.places), _depths(partners, others.places)
    for name, depth in here.items():
        if there[name] not in (0, depth):
            raise DataError(
                f"--paired needs as many slices on both sides, but got {depth} in '{some.folder}' "
                f"and {there[name]} in '{others.folder}' of '{name}'; crop or resample one"
            )


def _depths(names: Sequence[str], places: Sequence[int]) -> Counter[str]:
    """How many images a file holds, by its name without their numbers."""
    pairs = zip(names, places, strict=True)
    return Counter(name if place < 0 else name.rpartition("#")[0] for name, place in pairs)
