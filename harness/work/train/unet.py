"""The segmenter `unet`: MONAI's 2D U-Net, Adam with a cosine to zero, Dice + binary cross-entropy
of each channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from monai.losses import DiceLoss
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from harness.base.errors import DataError
from harness.base.rng import seed_of
from harness.models.unet import bottleneck, make_unet
from harness.training.precision import Precision
from harness.training.schedule import cosine


class Unet:
    """One network and one update; a `harness.work.train.networks.Segmenter`."""

    def __init__(
        self, config: Mapping[str, Any], channels: int, edge: int, precision: Precision
    ) -> None:
        self.config, self.precision, self._channels = config, precision, channels
        # Instance norm on a CPU computes in the ordinary layout, and would copy every map into it.
        self._last = precision.device != "cpu" or config.get("norm", "instance") != "instance"
        self.networks: dict[str, nn.Module] = {}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self._make(seed_of(0))

    def _make(self, seed: int) -> None:
        network = self._network(2 * self.config.get("neighbours", 0) + 1, seed)
        self.networks["unet"] = self.precision.module(network) if self._last else network

    def _network(self, slices: int, seed: int) -> nn.Module:
        size = tuple(self.config["channels"]), self.config["residual_units"]
        return make_unet(*size, slices, self._channels, seed)

    def begin(self, seed: int) -> None:
        self._make(seed_of(seed, "weights"))
        self.optimisers["unet"] = self.precision.adam(
            self.networks["unet"].parameters(), self.config["learning_rate"], (0.9, 0.999)
        )
        self._dice = DiceLoss(sigmoid=True, batch=True)

    def step(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        loss = self._loss(batch)
        self._down(loss)
        return {"loss": loss}

    def step_added(
        self, batch: Mapping[str, Tensor], added: Mapping[str, Tensor], weight: float
    ) -> dict[str, Tensor]:
        loss, more = self._loss(batch), self._loss(added)
        self._down(loss + weight * more)
        return {"loss": loss, "added_loss": more}

    def _loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        ct, masks = self._batch(batch["ct"]), self._batch(batch["masks"])
        with self.precision.autocast():
            logits = self.networks["unet"](ct)
        return self._error(logits.float(), masks)

    def _error(self, logits: Tensor, masks: Tensor) -> Tensor:
        # Not MONAI's DiceCELoss: with several channels its cross-entropy is a softmax over them.
        dice: Tensor = self._dice(logits, masks)
        return dice + binary_cross_entropy_with_logits(logits, masks)

    def _down(self, loss: Tensor) -> None:
        optimiser = self.optimisers["unet"]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def _batch(self, tensor: Tensor) -> Tensor:
        return self.precision.batch(tensor) if self._last else tensor.float()

    def rate_factor(self, share: float) -> float:
        return cosine(share)

    def weights(self) -> dict[str, Tensor]:
        return self.networks["unet"].state_dict()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        self.networks["unet"].load_state_dict(weights)

    @torch.no_grad()
    def predict(self, ct: NDArray[np.floating]) -> NDArray[np.float32]:
        network = self.networks["unet"]
        training = network.training
        network.eval()
        parts = []
        for part in torch.from_numpy(np.asarray(ct, np.float32)).split(32):
            with self.precision.autocast():
                logits = network(self._batch(part))
            parts.append(logits.float().sigmoid().cpu())
        network.train(training)
        return torch.cat(parts).numpy()

    def features(self, ct: Tensor) -> Tensor:
        """The deepest feature map, averaged over its pixels.

        Raises:
            DataError: it would have one pixel, which has no spread, and the network divides by it.
        """
        halvings = len(self.config["channels"]) - 1
        if max(ct.shape[2:]) <= 2**halvings:
            raise DataError(
                f"the segmenter's features need images of more than {2**halvings} px, but got "
                f"{ct.shape[2]} x {ct.shape[3]}; use another extractor for them"
            )
        return self._deepest(ct).mean(dim=(2, 3))

    def _deepest(self, ct: Tensor) -> Tensor:
        return bottleneck(self.networks["unet"].eval(), ct)
