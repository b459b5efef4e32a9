"""The section `legacy`: what the thesis's code did and its text does not say, to replay it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from harness.config.section import Section, must_differ
from harness.config.stages import ImageStageConfig, MaskStageConfig, Pix2pixConfig

WhoseMasks = Literal["validation", "train", "synthetic", "raw"]
MADE = ("synthetic", "raw")
"""Masks that a mask stage makes."""


class StageTwoTest(Section):
    """One way of using a trained Stage II; the default is as everywhere else."""

    scale: Literal[1, 2, 4] = Field(
        1, description="masks enlarged so many times for a network that was trained at 1"
    )
    dropout: bool = Field(False, description="left on")
    statistics: Literal["running", "batch-of-one"] = Field(
        "running", description="of BatchNorm: running averages, or each image's own"
    )

    @property
    def words(self) -> str:
        """What differs from the usual way."""
        parts = [f"size x {self.scale}"] if self.scale > 1 else []
        parts += ["dropout on"] if self.dropout else []
        parts += ["batch of one"] if self.statistics != "running" else []
        return ", ".join(parts) or "as trained"


class LegacyConfig(Section):
    """All off: needed for the thesis's own results alone."""

    outline_filled: bool = Field(
        False,
        description="training masks drawn again as the thesis's code did: of each slice the first "
        "contour, vertices rounded to pixels, the outline filled as well (half a pixel wider)",
    )
    last_structure_wins: bool = Field(
        False,
        description="of a patient's structures the last one alone, never mirrored: sides are mixed",
    )
    resize_before_crop: bool = Field(
        False, description="frames are whole slices, resized to them whatever their own scale"
    )
    stage_two: tuple[StageTwoTest, ...] = Field(
        (),
        description="how each swept Stage II is tested at its last epoch, beside the usual way",
    )
    masks: tuple[WhoseMasks, ...] = Field(
        ("validation", "train"),
        min_length=1,
        description="whose masks it is tested on: unseen, seen, made by a mask stage of the "
        "experiment's settings (cleaned and filtered), or made and as they were drawn",
    )

    @property
    def of_pairs(self) -> dict[str, bool]:
        """What is on of how pairs are cut."""
        names = ("outline_filled", "last_structure_wins", "resize_before_crop")
        return {name: True for name in names if getattr(self, name)}

    @property
    def tests(self) -> tuple[StageTwoTest, ...]:
        """The ways, the usual one first; none where no other is asked for."""
        usual = StageTwoTest()
        others = tuple(test for test in self.stage_two if test != usual)
        return (usual, *others) if self.stage_two else ()

    @property
    def makes_masks(self) -> bool:
        return bool({*self.masks} & {*MADE})

    def problem(
        self, mirror: bool, searched: bool, image: ImageStageConfig, mask: MaskStageConfig
    ) -> str:
        """Why this does not go with the rest of the experiment; empty where it does.

        Args:
            mirror: `data.mirror`.
            searched: whether the image stage is swept.
        """
        if self.last_structure_wins and not mirror:
            return (
                "legacy.last_structure_wins puts both sides into one channel, but data.mirror is "
                "false, which keeps them apart; set it to true (nothing is mirrored then)"
            )
        if not self.stage_two:
            return ""
        if not searched:
            return (
                "legacy.stage_two tests what a sweep of the image stage trains, but sweep.image is "
                "null; give it a space of settings"
            )
        if not isinstance(image, Pix2pixConfig):
            return (
                "legacy.stage_two goes with image.network 'pix2pix', the thesis's, but got "
                f"'{image.network}'; change one"
            )
        if not image.dropout and any(test.dropout for test in self.stage_two):
            return (
                "legacy.stage_two can leave dropout on only where image.dropout is true, but it is "
                "false; change one"
            )
        if self.makes_masks and mask.learns == "ct":
            return (
                "legacy.masks 'synthetic' and 'raw' need a mask stage that learns masks, but "
                "mask.learns is 'ct'; set it to 'mask'"
            )
        return ""

    @model_validator(mode="after")
    def _each_once(self) -> LegacyConfig:
        must_differ("tests", [test.words for test in self.stage_two])
        must_differ("masks", self.masks)
        return self
