"""What an experiment may name: a table per kind, asked by the config and by who makes the thing.

A new one is a file of its own and a line here; another package's is an entry point of the group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError, core_schema

from harness.base.registry import Registry

SOURCES: Registry[Any] = Registry(
    "data.source",
    "harness.sources",
    {
        "phantom": "harness.data.sources.phantom:make",
        "openkbp": "harness.data.sources.openkbp:make",
        "dicom": "harness.data.sources.dicom:make",
        "images": "harness.data.sources.volumes.source:make",
    },
)
"""Each a `harness.data.scan.SourceFactory`."""

EXTRACTORS: Registry[Any] = Registry(
    "metrics.extractor",
    "harness.extractors",
    {
        "auto": "harness.metrics.extractors.registry:AUTO",
        "inception-v3": "harness.metrics.extractors.networks:INCEPTION",
        "efficientnet-lite0": "harness.metrics.extractors.networks:LITE0",
        "torchscript": "harness.metrics.extractors.torchscript:TORCHSCRIPT",
    },
    "harness.metrics.extractors.registry:Recipe",
)
"""Each a `harness.metrics.extractors.registry.Recipe`."""

FILLINGS: Registry[Any] = Registry(
    "filling",
    "harness.fillings",
    {
        "nothing": "harness.work.fillings.real:NOTHING",
        "real": "harness.work.fillings.real:REAL",
        "real-again": "harness.work.fillings.real:REAL_AGAIN",
        "exchanged-labels": "harness.work.fillings.real:EXCHANGED_LABELS",
        "fresh-phantoms": "harness.work.fillings.generated:FRESH_PHANTOMS",
        "gan": "harness.work.fillings.generated:GAN",
        "gan-on-real-masks": "harness.work.fillings.generated:GAN_ON_REAL_MASKS",
    },
    "harness.work.fillings.filling:Filling",
)
"""Each a `harness.work.fillings.filling.Filling`."""

MASK_NETWORKS: Registry[Any] = Registry(
    "mask.network",
    "harness.mask_networks",
    {
        "dcgan": "harness.config.stages:DCGAN",
        "dcgan-smooth": "harness.config.stages:DCGAN_SMOOTH",
    },
    "harness.config.stages:NetworkRecord",
)
"""Each a `harness.config.stages.NetworkRecord` whose section is a `MaskStageConfig`."""

IMAGE_NETWORKS: Registry[Any] = Registry(
    "image.network",
    "harness.image_networks",
    {"pix2pix": "harness.config.stages:PIX2PIX"},
    "harness.config.stages:NetworkRecord",
)
"""Each a `harness.config.stages.NetworkRecord` whose section is an `ImageStageConfig`."""

SEGMENTERS: Registry[Any] = Registry(
    "segmentation.network",
    "harness.segmenters",
    {"unet": "harness.config.stages:UNET", "dynunet": "harness.config.stages:DYNUNET"},
    "harness.config.stages:NetworkRecord",
)
"""Each a `harness.config.stages.NetworkRecord` whose section is a `SegmentationConfig`."""

_SCORES = (
    *("kid", "kid_by_patient", "fid", "precision", "recall", "density", "coverage"),
    *("ssim", "ms_ssim_4", "psnr_db", "mae_hu", "bands_db", "edge_error"),
    "checkerboard_db",
    *("diversity", "diversity_real"),
    *("area_ratio", "components", "empty_share"),
)
SCORES: Registry[Any] = Registry(
    "score",
    "harness.scores",
    {name: f"harness.metrics.records:{name.upper()}" for name in _SCORES},
    "harness.metrics.records:ScoreRecord",
)
"""Each a `harness.metrics.records.ScoreRecord`; tables show them in this order."""
OFFERS = {"mask": ("features", "samples", "masks", "raw"), "image": ("features", "pairs")}
"""What a stage's scores are made from; a score is measured where what it needs is offered."""


@dataclass(frozen=True)
class OneOf:
    """Of a text that must be a registered name, or one of `others`."""

    registry: Registry[Any]
    others: tuple[str, ...] = ()

    def names(self) -> list[str]:
        return [*self.registry.names(), *self.others]

    def rule(self) -> str:
        """The allowed values in words."""
        return f"one of: {', '.join(self.names())}"

    def _check(self, value: str) -> str:
        if value not in self.names():
            raise PydanticCustomError("not_registered", "no such name")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        return {**handler(core), "enum": self.names()}
