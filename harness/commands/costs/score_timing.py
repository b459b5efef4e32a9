"""What one score of a generator costs: from scores of the work folder, else from timed pieces.

The pieces are what `mask-score` and `image-score` call, on generated images of the same shape.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.base.files import read_json
from harness.base.rng import generator as numpy_generator
from harness.config.stages import MaskStageConfig
from harness.jobs.folder import WorkFolder
from harness.jobs.spec import Input, Spec
from harness.metrics.collapse.verdict import RealSet, judge_collapse, real_diversity
from harness.metrics.extractors.coarse_pixels import coarse_pixels
from harness.metrics.extractors.registry import Extractor
from harness.metrics.fidelity.kid_fid import fid, kid
from harness.metrics.images.mask_shape import describe_masks
from harness.metrics.images.similarity import paired_similarity, ssim_diversity
from harness.training.precision import Precision
from harness.work.evaluate.gan_scores import DIVERSITY_PAIRS
from harness.work.evaluate.real_diversity import MOST_REAL
from harness.work.train.image_stage import Pix2pixStage, generate_images
from harness.work.train.mask_stage import DcganStage, draw_noise, sample_masks

SHARE = 0.1
"""Scoring that takes more than this share of the training is worth a warning."""

MASK_PX = 64
PATIENT_SLICES = 24
"""Slices of a stand-in patient."""


@dataclass(frozen=True)
class Piece:
    """One part of a score.

    Attributes:
        run: does it for so many images.
        images: how many a score does it for.
        whole: it must be timed with all of them (its cost is no multiple of theirs).
    """

    run: Callable[[int], object]
    images: int
    whole: bool = False

    def warm_up(self) -> None:
        """Import and allocate, untimed: scaled up, a first call would count as hours."""
        self.run(self.images if self.whole else 1)

    def seconds(self, most: int | None = None) -> float:
        """Seconds of this piece in one score; timed on at most `most` images, where it may be."""
        count = self.images if most is None or self.whole else min(most, self.images)
        started = time.perf_counter()
        self.run(count)
        return (time.perf_counter() - started) * self.images / count


def make_stage(
    settings: Any, channels: int, frame: int, precision: Precision
) -> tuple[DcganStage | Pix2pixStage, dict[str, torch.Tensor]]:
    """A stage with fresh weights, and a blank batch for its `step`."""
    from harness.config.experiment import to_dict

    count = settings.batch_size
    if isinstance(settings, MaskStageConfig):
        depth = 1 if settings.learns == "ct" else channels
        batch = {"images": torch.zeros(count, depth, MASK_PX, MASK_PX)}
        return DcganStage(to_dict(settings), channels, 0, precision), batch
    empty = torch.zeros(0, channels, frame, frame)
    batch = {
        "masks": torch.zeros(count, channels, frame, frame),
        "ct": torch.zeros(count, 1, frame, frame),
    }
    return Pix2pixStage(to_dict(settings), channels, 0, precision, (empty, empty[:, :1])), batch


def pieces_of_score(
    stage: DcganStage | Pix2pixStage,
    extractor: Extractor,
    n: int,
    real: int,
    channels: int,
    frame: int,
    masks: bool = True,
) -> dict[str, Piece]:
    """The pieces of one score, by name.

    Args:
        stage: by `make_stage`; its generator draws.
        n: images a side.
        real: real images that the verdict compares with.
        channels, frame: of the store; `frame` is the edge in pixels.
        masks: the mask stage draws masks (and not CT).
    """
    drawing = isinstance(stage, DcganStage)
    edge = MASK_PX if drawing else frame
    images = _textures(2 * max(n, 2), edge, blobs=drawing and masks)
    features = numpy_generator(0, "cost").normal(size=(2 * max(n, 2), 1280))
    source = numpy_generator(0, "cost-pairs")
    half, pairs = max(n, 2), max(2 * min(DIVERSITY_PAIRS, n * (n - 1) // 2), 1)
    found = {
        "drawing": Piece(_drawing(stage, channels, frame), 2 * n),
        "features": Piece(lambda count: extractor(images[:count, None]), n),
        "KID and FID": Piece(lambda count: _fidelity(features, half), n, whole=True),
        "verdict on collapse": Piece(_verdict(images, half, min(real, MOST_REAL)), n, whole=True),
    }
    if not drawing:
        found["paired similarity"] = Piece(
            lambda count: paired_similarity(images[:count], images[-count:]), n
        )
        return found
    found["SSIM diversity"] = Piece(lambda count: ssim_diversity(images[:n], count, source), pairs)
    if masks:
        found["shape of masks"] = Piece(lambda count: describe_masks(images[:count] > 0.5), n)
    return found


def _drawing(
    stage: DcganStage | Pix2pixStage, channels: int, frame: int
) -> Callable[[int], object]:
    network, device = stage.networks["generator"], stage.precision.device
    if isinstance(stage, DcganStage):
        latent = stage.config["latent"]
        noise = stage.config["noise"]
        return lambda count: sample_masks(network, draw_noise(noise, count, latent, None), device)
    statistics = stage.config["statistics"]
    return lambda count: generate_images(
        network, torch.zeros(count, channels, frame, frame), statistics, device
    )


def _fidelity(features: NDArray[np.float64], half: int) -> None:
    kid(features[:half], features[half:])
    fid(features[:half], features[half:])


def _verdict(images: NDArray[np.float32], n: int, real: int) -> Callable[[int], object]:
    """The verdict as a job makes it: the real side's distances are computed anew."""
    real = max(real, 4)
    shown = np.resize(images, (real, *images.shape[1:]))
    patients = np.arange(real) // min(PATIENT_SLICES, max(real // 8, 1))
    source = numpy_generator(0, "cost-verdict")
    reference = real_diversity(RealSet.of(coarse_pixels(shown), patients), n, source)

    def judge(count: int) -> object:
        if isinstance(reference, str):  # too few real images: a score has no verdict either
            return None
        every = RealSet.of(coarse_pixels(shown), patients)
        return judge_collapse(reference, every, coarse_pixels(images[-count:]), source)

    return judge


def _textures(count: int, edge: int, blobs: bool) -> NDArray[np.float32]:
    """Images in [0, 1]: smooth grey textures under noise, or one blob each."""
    from scipy import ndimage

    source = numpy_generator(0, "cost-images")
    y, x = np.mgrid[:edge, :edge] / edge - 0.5
    if blobs:
        radii, centres = source.uniform(0.15, 0.3, count), source.normal(0, 0.05, (count, 2))
        away = [np.hypot(y - row, x - column) for row, column in centres]
        drawn = np.stack(away) < radii[:, None, None]
        return np.asarray(drawn, np.float32)
    smooth = ndimage.gaussian_filter(source.normal(size=(count, edge, edge)), (0, 4, 4))
    noisy = 0.5 + 2 * smooth + source.normal(0, 0.02, smooth.shape)
    return np.clip(noisy, 0, 1).astype(np.float32)


def measured_score(
    work: WorkFolder,
    kind: str,
    config: Mapping[str, Any],
    width: int,
    compute: Mapping[str, Any],
) -> float | None:
    """Median seconds of the finished scores of `kind` with this config, compute and width."""
    found = [
        seconds
        for path in sorted((work.jobs / kind).glob("*/result.json"))
        if (seconds := _seconds_of(work, path, config, width, compute)) is not None
    ]
    return median(found) if found else None


def _seconds_of(
    work: WorkFolder, path: Path, config: Mapping[str, Any], width: int, compute: Mapping[str, Any]
) -> float | None:
    """Seconds of one score; None where it was another one's, or was not timed."""
    spec = Spec.from_dict(read_json(path.parent / "spec.json"))
    trained: Input = spec.inputs["training"]
    folder = work.job(trained).path / "spec.json"
    same = all(spec.config.get(name) == value for name, value in config.items())
    if not same or dict(spec.compute) != dict(compute) or not folder.exists():
        return None
    if read_json(folder)["config"].get("width") != width:
        return None
    seconds = read_json(path)["cost"].get("seconds")
    return float(seconds) if seconds is not None and math.isfinite(seconds) else None


def warning(stage: str, share: float) -> str | None:
    """A sentence where scoring takes more than `SHARE` of the training; else None."""
    if not share > SHARE:
        return None
    return (
        f"scoring takes {100 * share:.0f} % of the {stage} stage's training time, more than "
        f"{100 * SHARE:.0f} %; lower metrics.scored_epochs or metrics.images"
    )


def total(pieces: Iterable[Piece], most: int) -> float:
    """Seconds of one score, each piece timed once on at most `most` images."""
    seconds = 0.0
    for piece in pieces:
        piece.warm_up()
        seconds += piece.seconds(most)
    return seconds
