"""One of each thing that a clinic's own package may bring; networks compute in the other file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from harness.config.data import DataConfig
from harness.config.stages import (
    ImageStageConfig,
    MaskStageConfig,
    NetworkRecord,
    SegmentationConfig,
)
from harness.data.scan import Excluded, Reference, Scan
from harness.metrics.extractors.registry import Identity, Recipe
from harness.metrics.records import ImageSets, ScoreRecord
from harness.metrics.score import Score, undefined
from harness.work.fillings.real import Real


class Blurred(Real):
    """Training pairs whose CT is averaged over 3 x 3 pixels."""

    def pairs(self, context: Any, store: Any) -> tuple[Any, Any]:
        from torch.nn.functional import avg_pool2d

        ct, masks = super().pairs(context, store)
        return avg_pool2d(ct, 3, stride=1, padding=1), masks


BLURRED = Blurred("real pairs, blurred", ("#b8a0d0", "#7040a0"))


def grey_gap(sets: ImageSets) -> Score:
    n = len(sets.real)
    if not n:
        return undefined("no images", 0)
    gap = abs(float(sets.real.mean(dtype=float) - sets.generated.mean(dtype=float)))
    return Score(gap, None, n, "images")


GREY_GAP = ScoreRecord("grey gap", "samples", grey_gap, "low", bounds=(0, 1), reference="by hand")


class Discs:
    """Six people with a bright disc in a dark head."""

    def __init__(self, structures: Sequence[str]) -> None:
        self._structures = structures

    def patients(self) -> list[Reference]:
        return [Reference(f"disc-{n}", n, f"disc {n}") for n in range(6)]

    def read(self, reference: Reference) -> Scan | Excluded:
        rng = np.random.default_rng(reference.location)
        z, y, x = np.mgrid[-12:12, -80:80, -80:80]
        head = np.hypot(y, x) < 70
        masks = {}
        hu = np.where(head, 0.0, -1000.0)
        for side, structure in zip((40, -40), self._structures, strict=True):
            mask = (np.abs(z) < 8) & (np.hypot(y, x - side) < rng.uniform(10, 16))
            hu[mask] = 60
            masks[structure] = mask
        hu += np.where(head, rng.normal(0, 15, hu.shape), 0)
        affine = np.diag([3.0, 1.0, 1.0, 1.0])
        return Scan(reference.patient, hu.astype(np.int16), masks, affine)


def make_discs(config: DataConfig, folder: Path) -> Discs:
    return Discs(config.structures)


class Histogram:
    name = "histogram"
    weights_digest = hashlib.sha256(b"histogram of 16 bins").hexdigest()
    preprocessing = "none; shares of 16 bins"

    def __call__(self, images: Any) -> Any:
        edges = np.linspace(0, 1, 17)
        rows = [np.histogram(image, edges)[0] / image.size for image in images]
        return np.array(rows, np.float32).reshape(len(images), 16)


HISTOGRAM = Recipe(
    lambda files: Identity("histogram", Histogram.weights_digest),
    lambda files, device: Histogram(),
)


class BlobsConfig(MaskStageConfig):
    """A variational autoencoder of coarse masks."""

    latent: int = Field(6, ge=1, description="length of the noise vector")
    kl_weight: float = Field(0.01, ge=0, description="of the Kullback-Leibler term")


class PainterConfig(ImageStageConfig):
    """Three convolutions of the masks and of noise, by L1 alone."""

    maps: int = Field(8, ge=1, description="feature maps")


class PixelsConfig(SegmentationConfig):
    """Logistic regression of a pixel's neighbourhood."""

    reach_px: int = Field(2, ge=0, description="pixels seen on each side")


EVIDENCE = {"evidence lower bound": {"loss": "squared error + KL", "kl": "KL alone"}}
BLOBS = NetworkRecord(BlobsConfig, EVIDENCE, "harness_clinic_networks:Blobs")
PAINTER = NetworkRecord(PainterConfig, {"L1": {"l1": "painter"}}, "harness_clinic_networks:Painter")
PIXELS = NetworkRecord(
    PixelsConfig, {"cross-entropy": {"loss": "pixels"}}, "harness_clinic_networks:Pixels"
)
