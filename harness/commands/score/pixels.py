"""What two sets of images show without a network: collapse, diversity, likeness of pairs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

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
    places = {name: row for row, name in enumerate(_stems(real))}
    names = _stems(synthetic)
    missing = [name for name in names if name not in places]
    if missing:
        quoted = [f"'{name}'" for name in missing]
        raise DataError(
            "--paired needs a real image for every synthetic one, but got none named "
            f"{first_of(quoted, SHOWN)} in '{real.folder}'; name both alike, "
            "or leave --paired out"
        )
    rows = [places[name] for name in names]
    scores = paired_similarity(real.images[rows], synthetic.images).means()
    if window is not None:
        scale = window[1] - window[0]
        mae = scores["mae"]
        scores["mae_in_window_units"] = replace(mae, value=mae.value * scale)
    return {
        "pairs": len(names),
        "real_without_pair": len(real) - len(names),
        "scores": {name: score.to_dict() for name, score in scores.items()},
    }


def _stems(images: ImageSet) -> tuple[str, ...]:
    if images.kind == "store":
        raise DataError(
            f"--paired needs files, which have names, but got the store '{images.folder}'; "
            "export its images"
        )
    twice = [name for name, count in Counter(images.stems).items() if count > 1]
    if twice:
        raise DataError(
            f"--paired needs one image of each name, but got '{twice[0]}' twice in "
            f"'{images.folder}'; rename one"
        )
    return images.stems
