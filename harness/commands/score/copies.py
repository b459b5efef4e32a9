"""Memorisation of two sets and held-out images: the verdict, and pictures of the closest pairs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from harness.base.rng import generator
from harness.commands.score.image_set import ImageSet
from harness.metrics.calibration.planted import mirrored
from harness.metrics.extractors.coarse_pixels import coarse_pixels
from harness.metrics.memorisation.neighbours import Neighbours, closest_pairs, neighbours
from harness.metrics.memorisation.permutation_test import judge_memorisation

SHOWN = 12
GALLERY = "closest-pairs.png"
MOST_INDEPENDENT = 5000
"""Real images without patients; distances to each of them are held at once."""

_ASSUMED = (
    " This takes every image for another patient's; if that is wrong, so may be the verdict: type "
    "--patients."
)


def judge_copies(
    real: ImageSet, heldout: ImageSet, synthetic: ImageSet, output: Path, seed: int
) -> dict[str, Any]:
    """The verdict with its evidence as plain data, and a picture of the closest pairs.

    In coarse pixels, as in audits and calibrations: small noise and shifts hide no copy there. A
    mirrored copy is one, too.

    Args:
        real, heldout, synthetic: the sets; `real` are the training images.
        output: folder of the picture.
        seed: draws permutations.

    Raises:
        DataError: a patient is on both sides, or real images do not differ.
    """
    known = real.patients is not None and heldout.patients is not None
    if not known and len(real) + len(heldout) > MOST_INDEPENDENT:
        reason = f"more than {MOST_INDEPENDENT} real images need --patients"
        return {"verdict": "undecided", "sentence": f"Undecided: {reason}."}
    owners, others = _labels(real, "training", known), _labels(heldout, "held-out", known)
    sides = real.images, heldout.images
    near = neighbours(
        coarse_pixels(sides[0]),
        owners,
        coarse_pixels(sides[1]),
        others,
        coarse_pixels(synthetic.images),
        *(coarse_pixels(mirrored(side)) for side in sides),
    )
    found = judge_memorisation(near, generator(seed, "score-memorisation")).to_dict()
    if not known:
        found["sentence"] += _ASSUMED
    picture = output / GALLERY
    return {
        **found,
        "closest_pairs": _draw(near, real, synthetic, picture),
        "gallery": str(picture),
    }


def _labels(images: ImageSet, side: str, known: bool) -> tuple[str, ...]:
    if known and images.patients is not None:
        return images.patients
    return tuple(f"{side} {row}" for row in range(len(images)))


def _draw(
    near: Neighbours, real: ImageSet, synthetic: ImageSet, path: Path
) -> list[dict[str, Any]]:
    from harness.figures.copies import Likeness, closest_pairs_figure, write_png

    listed, shown = [], []
    for pair in closest_pairs(near, SHOWN):
        share = pair.distance / pair.reference if pair.reference else np.nan
        names = synthetic.names[pair.synthetic], real.names[pair.training]
        images = synthetic.images[pair.synthetic], real.images[pair.training]
        shown.append(Likeness(*images, *names, share))
        listed.append({**asdict(pair), "synthetic": names[0], "training": names[1], "share": share})
    write_png(path, closest_pairs_figure(shown))
    return listed
