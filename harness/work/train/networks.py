"""What a stage asks of the network that it trains, whichever it is; and the segmenter's part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.base.errors import DataError
from harness.base.registry import Registry
from harness.config.choices import IMAGE_NETWORKS, MASK_NETWORKS, SEGMENTERS
from harness.data.pairs.store import Store
from harness.jobs.checkpoint import load_weights
from harness.jobs.context import Context
from harness.training.precision import Precision
from harness.work.train.held import Held

N = TypeVar("N", bound="TrainedNetwork")


class TrainedNetwork(Protocol):
    """A network with what it takes to train it.

    Made from its section as plain data, the mask channels of the store, the edge of its images in
    pixels, and the precision, whose device it lies on. As made it can take `restore`d weights; a
    training begins it first.

    Attributes:
        networks, optimisers: by name, once begun; all that a training goes on from. The loop sets
            the optimisers' rates; a network that learns without gradients has none.
    """

    networks: Mapping[str, nn.Module]
    optimisers: Mapping[str, torch.optim.Optimizer]

    def __init__(
        self, config: Mapping[str, Any], channels: int, edge: int, precision: Precision
    ) -> None: ...

    def begin(self, seed: int) -> None:
        """Set the initial weights, which depend on `seed` alone, and make the optimisers."""
        ...

    def step(self, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """One update; scalar tensors by name, the same names every time.

        `d_loss` and `g_loss`, where given, are cross-entropies in nats, by which a convergence
        failure is told; a value that is not finite ends the training.
        """
        ...

    def weights(self) -> Mapping[str, Tensor]:
        """What a checkpoint keeps: all that `restore` needs to sample or to predict."""
        ...

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put a checkpoint's weights in place."""
        ...


class MaskNetwork(TrainedNetwork, Protocol):
    """Noise -> images of the mask stage; `step` gets `images` (N, C, E, E) in [-1, 1]."""

    def sample(self, count: int, source: torch.Generator) -> NDArray[np.float32]:
        """Images (count, C, E, E) in [-1, 1]; all chance is drawn from `source` (on the CPU), and
        networks, buffers and global generators stay as they were."""
        ...


class ImageNetwork(TrainedNetwork, Protocol):
    """Mask -> CT; `step` gets `masks` (N, C, E, E) and `ct` (N, 1, E, E) in [-1, 1]."""

    def generate(self, masks: Tensor, source: torch.Generator) -> NDArray[np.float32]:
        """CT (N, 1, E, E) in [-1, 1] for masks (N, C, E, E) in [-1, 1], under the rules of
        `MaskNetwork.sample`; a network without noise leaves `source` alone."""
        ...


class Segmenter(TrainedNetwork, Protocol):
    """CT -> masks; `step` gets `ct` (N, K, E, E) in [-1, 1] and `masks` (N, C, E, E) 0/1.

    K is 1, or 2 `neighbours` + 1 where its settings have that: the slice, in the middle, with those
    below and above; `segmenter`, who sees to it, also adds `reach`, the slices on either side.
    One whose record says `takes_added` has `step_added` too; others train no arm that adds pairs.
    """

    reach: int

    def step_added(
        self, batch: Mapping[str, Tensor], added: Mapping[str, Tensor], weight: float
    ) -> Mapping[str, Tensor]:
        """One update by the loss that `step` has of `batch`, computed as if `added` were not there,
        plus `weight` times the same loss of `added`; the scalars of `step`, and any of its own."""
        ...

    def rate_factor(self, share: float) -> float:
        """Factor of the learning rate when `share` in [0, 1] of the updates are done."""
        ...

    def predict(self, ct: NDArray[np.floating]) -> NDArray[np.float32]:
        """Probabilities (N, C, E, E) for CT (N, K, E, E) in [-1, 1]; dropout and the like off."""
        ...

    def features(self, ct: Tensor) -> Tensor:
        """What it sees in CT (N, K, H, W) in [-1, 1] on its device: (N, d), for the extractor
        `segmenter`."""
        ...


def mask_network(
    config: Mapping[str, Any], meta: Mapping[str, Any], precision: Precision
) -> MaskNetwork:
    """The network of a `mask-stage` spec for a store of this `meta`; it has one channel where the
    stage learns CT."""
    channels = 1 if config["learns"] == "ct" else len(meta["channels"])
    size = channels, meta["mask_px"]
    return cast(MaskNetwork, _made(MASK_NETWORKS, config, size, precision, "sample"))


def image_network(
    config: Mapping[str, Any], meta: Mapping[str, Any], precision: Precision
) -> ImageNetwork:
    """The network of an `image-stage` or `image-decay` spec."""
    size = len(meta["channels"]), meta["frame_px"]
    return cast(ImageNetwork, _made(IMAGE_NETWORKS, config, size, precision, "generate"))


def segmenter(
    config: Mapping[str, Any], meta: Mapping[str, Any], precision: Precision
) -> Segmenter:
    """The network of a `segmenter` spec."""
    size = len(meta["channels"]), meta["frame_px"]
    asked = ["predict", "features", "rate_factor"]
    if config.get("fill", {}).get("order") == "added":
        asked.append("step_added")
    reach = config.get("neighbours", 0)
    return cast(Segmenter, _made(SEGMENTERS, config, size, precision, *asked, reach=reach))


def _made(
    table: Registry[Any],
    config: Mapping[str, Any],
    size: tuple[int, int],
    precision: Precision,
    *asked: str,
    reach: int = 0,
) -> Held:
    network = table.get(config["network"]).load()(config, *size, precision)
    return Held(network, f"{table.noun} '{config['network']}'", *size, *asked, reach=reach)


def trained(
    context: Context,
    name: str,
    make: Callable[[Mapping[str, Any], Mapping[str, Any], Precision], N],
    **further: Any,
) -> N:
    """The network behind a job's input, for the store of its input `store`.

    Args:
        further: settings beside those that it was trained with.

    Raises:
        DataError: the weights are another network's.
    """
    config = context.work.job(context.spec.inputs[name]).spec().config
    store = Store.open(context.input("store") / "store")
    network = make({**config, **further}, store.meta, Precision.of(context.spec.compute))
    try:
        network.restore(load_weights(context.input(name) / "weights.safetensors"))
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"weights must be those of the network '{config['network']}' with its settings, but "
            f"got others in the training {context.spec.inputs[name].digest[:12]}; train it again"
        ) from error
    return network
