"""The section `metrics`: what is measured on generated images."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from harness.config.choices import EXTRACTORS, OneOf
from harness.config.section import Positive, Section, full_sentences, must_differ


class MetricsConfig(Section):
    """What is measured on generated images, and with which feature extractors."""

    extractor: Annotated[str, OneOf(EXTRACTORS)] = Field(
        "auto",
        description="scores during training. `auto`: Inception when its weights are at hand, else "
        "EfficientNet-Lite0",
    )
    audit_extractors: tuple[Annotated[str, OneOf(EXTRACTORS, ("segmenter",))], ...] = Field(
        ("auto", "segmenter"),
        min_length=1,
        description="compared once a training is finished. `segmenter`: features "
        "of the segmenter trained on training patients",
    )
    inception_weights: str | None = Field(
        None, description="path of weights-inception-2015-12-05-6726825d.pth"
    )
    torchscript: str | None = Field(
        None,
        description="path of a TorchScript file for the extractor `torchscript`: takes 1 or 3 "
        "channels in [0, 1], gives N x d; loading it runs the code in it",
    )
    images: Positive = Field(
        240, description="most images of each side that enter KID and FID; equal on both sides"
    )
    scored_epochs: Positive | Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        10,
        description="about how many epochs of a training are scored, log-spaced, or a list of "
        "them; the last included",
    )

    @field_validator("scored_epochs")
    @classmethod
    def _epochs_differ(cls, value: int | tuple[int, ...]) -> int | tuple[int, ...]:
        if not isinstance(value, int):
            must_differ("epochs", value)
        return value

    @field_validator("extractor", mode="before")
    @classmethod
    def _needs_no_training(cls, value: Any) -> Any:
        if value == "segmenter":
            raise full_sentences(
                "metrics.extractor must be one that scores during training, but got "
                "'segmenter', which needs a trained network; name it in metrics.audit_extractors"
            )
        return value

    @field_validator("audit_extractors")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        must_differ("extractors", value)
        return value

    @model_validator(mode="after")
    def _torchscript_has_a_file(self) -> MetricsConfig:
        if self.torchscript is None and "torchscript" in (self.extractor, *self.audit_extractors):
            raise full_sentences(
                "metrics.torchscript must be the path of a TorchScript file where an extractor "
                "is 'torchscript', but got nothing; give it with -s metrics.torchscript=FILE"
            )
        return self
