"""Feature extractors as jobs use them: opened as the spec names them, real sets kept on disk."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.base import damage
from harness.base.errors import Damaged, DataError
from harness.base.files import CHANGED, digest_arrays, digest_of, sha256_file, write_bytes
from harness.jobs.context import Context
from harness.metrics.extractors.networks import Network
from harness.metrics.extractors.registry import Extractor, ExtractorFiles, make_extractor

SEGMENTER = "segmenter"


class SegmenterFeatures(Network):
    """A segmenter as an extractor: ImageNet networks know cats, one that was trained on training
    patients knows structures.

    Args:
        features: of CT (N, 1, H, W) in [-1, 1] on the device, (N, d).
        weights_digest: SHA-256 of its weights file.
        device: torch device that computes.
    """

    name = SEGMENTER
    preprocessing = "2 x - 1, the segmenter's [-1, 1]; its own features"

    def __init__(
        self, features: Callable[[Tensor], Tensor], weights_digest: str, device: str = "cpu"
    ) -> None:
        self._device, self._features, self.weights_digest = device, features, weights_digest

    def features(self, batch: Tensor) -> Tensor:
        return self._features(batch * 2 - 1)


class Features:
    """Features with one extractor; those of real sets are kept in the work folder.

    Args:
        wanted: `name` and `weights` (digest) as in the spec; the segmenter has no weights there,
            because they are those of the job's input `judge`.
    """

    def __init__(self, context: Context, wanted: Mapping[str, str]) -> None:
        self.extractor: Extractor = (
            _judge(context) if wanted["name"] == SEGMENTER else _named(context, wanted)
        )
        self._folder: Path = context.work.root / "features"
        self._compute = dict(context.spec.compute)

    def made(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features of N x 1 x H x W in [0, 1]."""
        return self.extractor(images)

    def real(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features of real images, computed once per content, weights, preprocessing, compute."""
        key = digest_of(
            [
                digest_arrays({"images": images}),
                self.extractor.name,
                self.extractor.weights_digest,
                self.extractor.preprocessing,
                self._compute,
            ]
        )
        for path in self._folder.glob(f"{key}-*.npy"):
            if sha256_file(path).startswith(path.stem.partition("-")[2]):
                return np.load(path, allow_pickle=False)
            damage.note(Damaged(path, CHANGED))
            path.unlink(missing_ok=True)
        features = self.extractor(images)
        content = io.BytesIO()
        np.save(content, features, allow_pickle=False)
        digest = sha256(content.getvalue()).hexdigest()[:24]
        write_bytes(self._folder / f"{key}-{digest}.npy", content.getvalue())
        return features

    def name(self) -> dict[str, str]:
        """What a score says of its extractor."""
        return {
            "name": self.extractor.name,
            "weights": self.extractor.weights_digest,
            "preprocessing": self.extractor.preprocessing,
        }


@lru_cache(maxsize=2)
def _kept(name: str, weights: str, files: ExtractorFiles, device: str) -> Extractor:
    """Loaded once in a process, which scores many checkpoints, for each digest of weights."""
    return make_extractor(name, files, device)


def _named(context: Context, wanted: Mapping[str, str]) -> Extractor:
    files = ExtractorFiles.of(context.request.runtime)
    extractor = _kept(wanted["name"], wanted["weights"], files, context.spec.compute["device"])
    if extractor.weights_digest != wanted["weights"]:
        raise DataError(
            f"the extractor {wanted['name']} must have the weights that the plan named, but "
            "they changed; repeat the command"
        )
    return extractor


def _judge(context: Context) -> Extractor:
    """The eyes of the segmenter that is the job's input `judge`."""
    # MONAI takes seconds to import, and most scores are of named extractors.
    from harness.work.train.networks import segmenter, trained

    weights = sha256_file(context.input("judge") / "weights.safetensors")
    network = trained(context, "judge", segmenter)
    return SegmenterFeatures(network.features, weights, context.spec.compute["device"])
