"""`mask:`, `image:` and `segmentation:` the three trainings, and the built-in networks' settings.

A network's settings are those of its stage and its own: its section is a subclass of its stage's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from harness.base.errors import EnvironmentFault
from harness.base.registry import load_place
from harness.base.text import MINUS
from harness.config.choices import IMAGE_NETWORKS, MASK_NETWORKS, SEGMENTERS, OneOf
from harness.config.section import Positive, PositiveFloat, Section, Share


@dataclass(frozen=True)
class NetworkRecord:
    """What `mask.network`, `image.network` or `segmentation.network` may name.

    Attributes:
        section: its settings, each with a default: a subclass of `MaskStageConfig`,
            `ImageStageConfig` or `SegmentationConfig`.
        losses: what the training's figures show, {axis: {scalar of `step`: word}}.
        code: "module:class" of a `harness.work.train.networks.MaskNetwork`, `ImageNetwork` or
            `Segmenter`; not imported before a job needs it.
        takes_added: of a segmenter: its class has `step_added`, for arms of the order "added".
    """

    section: type[Section]
    losses: Mapping[str, Mapping[str, str]]
    code: str
    takes_added: bool = False

    def load(self) -> Any:
        """The class.

        Raises:
            EnvironmentFault: it cannot be imported.
        """
        try:
            return load_place(self.code)
        except (ImportError, AttributeError, ValueError, TypeError) as error:
            raise EnvironmentFault(
                f"a network's code must be importable, but got '{error}' from '{self.code}'; mend "
                "its package"
            ) from error


class AdamConfig(Section):
    """Adam, as in DCGAN and pix2pix."""

    learning_rate: PositiveFloat = Field(2e-4, description="of both networks")
    beta1: Share = Field(0.5, description="first moment decay")
    beta2: Share = Field(0.999, description="second moment decay")


class MaskSchedule(Section):
    """Length of the mask stage; the rate is constant."""

    epochs: Positive = Field(300, description="passes over the training pairs")


class ImageSchedule(Section):
    """Length of the image stage: two thirds at a constant rate, one third decaying to zero."""

    epochs: Positive = Field(300, description="passes over the training pairs")
    decay: bool = Field(True, description="last third (of epochs) decays linearly to zero")


class MaskAugmentation(Section):
    """Each transform is drawn per image with probability `probability`."""

    rotation_deg: float = Field(15.0, ge=0, description="uniform in [-a, a]")
    flip: bool = Field(
        False, description="top to bottom (axis 0), as in the thesis; anatomy has an upside, so off"
    )
    zoom: tuple[PositiveFloat, PositiveFloat] = Field((0.9, 1.1), description="uniform factor")
    probability: Share = Field(0.5, description="of each transform")
    legacy_rotation: bool = Field(
        False,
        description="read rotation_deg as radians: rotated by anything, as the thesis's code did",
    )


def constant_epochs(total: int) -> int:
    """Epochs of `total` at the constant rate: two thirds, rounded (300 -> 200)."""
    return round(2 * total / 3)


class StageConfig(Section):
    """A GAN stage: what its training, its scores and its search need to know.

    Attributes:
        stage: its name in the experiment.
        shows: what it generates: "mask" or "ct-crop" (64 x 64 each), or "ct" (the whole frame).
    """

    stage: ClassVar[str]
    network: str
    batch_size: Positive
    optimiser: AdamConfig
    schedule: MaskSchedule | ImageSchedule
    patients: Positive | None = Field(
        None,
        description="training patients that it learns from, drawn by the seed, fewer among more; "
        "an epoch stays as long as with all, so that updates are as many; null all",
    )

    @property
    def shows(self) -> str:
        return "ct"

    def steady_epochs(self, epochs: int) -> int:
        """How many of a training's epochs have a constant rate; the rest, if any, decays."""
        return epochs

    def wants(self, edge: int) -> str:
        """Which edge in pixels its network needs instead of this one; empty where it takes it."""
        return ""


class MaskStageConfig(StageConfig):
    """Stage I: noise -> mask."""

    stage = "mask"
    network: Annotated[str, OneOf(MASK_NETWORKS)] = Field("dcgan", description="what is trained")
    learns: Literal["mask", "ct"] = Field(
        "mask",
        description="`ct` trains on CT crops instead (Table 3 of the thesis); needs no image stage",
    )
    batch_size: Positive = Field(12, description="images an update")
    optimiser: AdamConfig = Field(AdamConfig(), description="every network")
    schedule: MaskSchedule = Field(MaskSchedule(), description="length")
    augmentation: MaskAugmentation = Field(MaskAugmentation(), description="of training masks")

    @property
    def shows(self) -> str:
        return "mask" if self.learns == "mask" else "ct-crop"


class DcganConfig(MaskStageConfig):
    """DCGAN."""

    width: Positive = Field(
        64, description="channels of the widest-resolution layer; 64 is the thesis's"
    )
    latent: Positive = Field(100, description="length of the noise vector")
    noise: Literal["normal", "uniform"] = Field("normal", description="`uniform` is on [-1, 1]")
    real_label: Share = Field(1.0, description="0.9 smooths the label of real images")

    def wants(self, edge: int) -> str:
        return "" if edge == 64 else "64"


class SmoothDcganConfig(DcganConfig):
    """DCGAN with what the thesis proposes against checkerboards."""

    upsampling: Literal["resize", "transposed"] = Field(
        "resize",
        description="of the generator: nearest neighbours and a convolution, or DCGAN's transposed "
        "convolution",
    )
    spectral_norm: bool = Field(
        False, description="of the discriminator, in the place of its BatchNorm"
    )


class ImageStageConfig(StageConfig):
    """Stage II: mask -> CT."""

    stage = "image"
    network: Annotated[str, OneOf(IMAGE_NETWORKS)] = Field("pix2pix", description="what is trained")
    batch_size: Positive = Field(4, description="pairs an update")
    optimiser: AdamConfig = Field(AdamConfig(), description="every network")
    schedule: ImageSchedule = Field(ImageSchedule(), description="length and decay")

    def steady_epochs(self, epochs: int) -> int:
        return constant_epochs(epochs) if self.schedule.decay else epochs


class Pix2pixConfig(ImageStageConfig):
    """pix2pix."""

    width: Positive = Field(64, description="channels of the first layer; 64 is the thesis's")
    l1_weight: float = Field(100.0, ge=0, description="of the L1 term beside the GAN loss")
    dropout: bool = Field(True, description="in the inner decoder blocks, while training")
    statistics: Literal["running", "batch-of-one"] = Field(
        "running",
        description="BatchNorm when sampling: running averages, or each image by itself "
        "(as the official code does)",
    )

    def wants(self, edge: int) -> str:
        return "" if pix2pix_levels(edge) >= 5 else "a multiple of 32"


def pix2pix_levels(edge: int) -> int:
    """Halvings of a frame in pix2pix: seven as in the official `unet_128`, fewer where the edge has
    fewer (64 pixels: six)."""
    return min(7, (edge & -edge).bit_length() - 1)


class SegmentationAugmentation(Section):
    """Ordinary augmentation; each transform is drawn per image."""

    magnitude: float = Field(1.0, ge=0, description="multiplies every range below")
    probability: Share = Field(
        0.5, description="of each transform; half of it for contrast, gamma, blur and resolution"
    )
    rotation_deg: float = Field(15.0, ge=0, description="uniform in [-a, a]")
    flip: bool = Field(False, description="top to bottom; anatomy has an upside, so off")
    scale: float = Field(0.15, ge=0, lt=1, description="uniform factor in [1 - a, 1 + a]")
    shear_deg: float = Field(8.0, ge=0, description="uniform in [-a, a]")
    shift_px: float = Field(6.0, ge=0, description="uniform in [-a, a], both axes")
    elastic_px: float = Field(3.0, ge=0, description="peak displacement of a smooth random field")
    noise: float = Field(0.05, ge=0, description="sd of Gaussian noise, on [-1, 1] images")
    intensity: float = Field(0.15, ge=0, description="gain in [1 - a, 1 + a] and shift in [-a, a]")
    contrast: float = Field(0.25, ge=0, description="factor in [1 - a, 1 + a] about the mean")
    gamma: float = Field(0.3, ge=0, description="exponent in [exp(-a), exp(a)], on [0, 1] images")
    blur_px: float = Field(1.0, ge=0, description="Gaussian of a sd in [0, a]")
    low_resolution: float = Field(
        0.5, ge=0, lt=1, description="sampled at a share in [1 - a, 1] of the pixels of each edge"
    )


class PretrainConfig(Section):
    """The arm `pretrain-finetune`: synthetic pairs alone, then real pairs alone."""

    updates_fraction: Share = Field(0.5, description="of the updates, on synthetic pairs")
    patients_fraction: float = Field(
        1.0, gt=0, le=1, description="of the training patients, in the updates after"
    )


class SegmentationConfig(Section):
    """The downstream segmenter: what its batches hold, in every arm alike."""

    network: Annotated[str, OneOf(SEGMENTERS)] = Field("unet", description="what is trained")
    batch_size: Positive = Field(
        16, description="pairs an update, real and synthetic ones together"
    )
    synthetic_fraction: Share = Field(
        0.5, description="of the batch, in arms with pairs beside the real ones"
    )
    synthetic_weight: float = Field(
        1.0, ge=0, description="of the loss of added pairs, beside that of the real ones (`:added`)"
    )
    structure_share: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="of the places that real pairs fill: the share that holds a slice with the "
        "structure; null as often as slices have it",
    )
    updates: Positive = Field(2000, description="optimiser steps, the same in every arm")
    updates_per_epoch: Positive = Field(
        100, description="an epoch of the journal: validation Dice is logged at each"
    )
    augmentation: SegmentationAugmentation = Field(
        SegmentationAugmentation(), description="of the arms that augment"
    )
    pretrain: PretrainConfig = Field(PretrainConfig(), description="of `pretrain-finetune`")

    def wants(self, edge: int) -> str:
        """Which edge in pixels its network needs instead of this one; empty where it takes it."""
        return ""

    @property
    def epochs(self) -> int:
        """Epochs of the journal that the updates make."""
        return -(-self.updates // self.updates_per_epoch)

    def extra_slots(self, share: float | None = None) -> int:
        """Places of a batch that a synthetic fraction, by default the config's own, comes to."""
        return extra_slots(self.batch_size, self.synthetic_fraction if share is None else share)


class _AnyUnetConfig(SegmentationConfig):
    """What every 2D U-Net has."""

    channels: tuple[Positive, ...] = Field(
        (16, 32, 64, 128, 256), min_length=2, description="per resolution level"
    )
    learning_rate: PositiveFloat = Field(1e-3, description="Adam, cosine to zero")
    neighbours: int = Field(
        0, ge=0, description="slices below and above that it sees beside the slice that it segments"
    )
    neighbour_dropout: Share = Field(
        0.5,
        description="of training slices with neighbours: the share shown with copies of themselves "
        "instead, as pairs that were made always are",
    )

    def wants(self, edge: int) -> str:
        step = 2 ** (len(self.channels) - 1)
        return f"a multiple of {step}" if edge % step else ""


class UnetConfig(_AnyUnetConfig):
    """A 2D U-Net (MONAI), Dice + cross-entropy."""

    residual_units: int = Field(2, ge=0, description="per level")


class DynUnetConfig(_AnyUnetConfig):
    """nnU-Net's network in 2D (MONAI's DynUNet), Dice + cross-entropy; its first level has the
    frame's full resolution."""

    channels: tuple[Positive, ...] = Field(
        (16, 32, 64, 128, 256), min_length=3, description="per resolution level"
    )
    norm: Literal["instance", "batch", "group"] = Field(
        "instance",
        description="of feature maps; `batch` mixes real and made pairs of a batch in its means",
    )
    residual: bool = Field(False, description="blocks with a way around")
    deep_supervision: bool = Field(
        False, description="the loss at coarser levels of the decoder, too; weights halve per level"
    )


_ADVERSARIAL = {
    "loss (binary cross-entropy)": {"d_loss": "discriminator", "g_loss": "generator (GAN term)"}
}
DCGAN = NetworkRecord(DcganConfig, _ADVERSARIAL, "harness.work.train.dcgan:Dcgan")
DCGAN_SMOOTH = NetworkRecord(SmoothDcganConfig, _ADVERSARIAL, "harness.work.train.dcgan:Dcgan")
PIX2PIX = NetworkRecord(
    Pix2pixConfig,
    {**_ADVERSARIAL, f"L1 (CT scaled to {MINUS}1..1)": {"l1": "L1"}},
    "harness.work.train.pix2pix:Pix2pix",
)
UNET = NetworkRecord(
    UnetConfig,
    {"loss (Dice + cross-entropy)": {"loss": "U-Net"}},
    "harness.work.train.unet:Unet",
    takes_added=True,
)
DYNUNET = NetworkRecord(
    DynUnetConfig,
    {"loss (Dice + cross-entropy)": {"loss": "DynUNet"}},
    "harness.work.train.dynunet:DynUnet",
    takes_added=True,
)


def extra_slots(batch_size: int, share: float) -> int:
    """Whole places that a fraction of a batch comes to."""
    return round(batch_size * share)


def share_problems(
    settings: SegmentationConfig, shares: Mapping[str, Sequence[float]]
) -> list[str]:
    """Fractions that come to no place, to all of them, or to as many as another one: only whole
    places can be filled.

    Args:
        shares: fractions by the path of the setting that lists them.

    Returns:
        A full sentence for each.
    """
    size, found = settings.batch_size, []
    for path, listed in shares.items():
        seen: dict[int, float] = {}
        for share in listed:
            slots = settings.extra_slots(share)
            here = f"{share:g}, which is {slots} of the {size} pairs of segmentation.batch_size"
            if slots in (0, size):
                found.append(
                    f"{path} must leave a pair to either side in every batch, but got {here}; "
                    "take another fraction or a larger batch"
                )
            elif slots in seen:
                found.append(
                    f"{path} must list fractions that differ in whole pairs, but got "
                    f"{seen[slots]:g} and {here}, too; take others or a larger batch"
                )
            seen[slots] = share
    return found
