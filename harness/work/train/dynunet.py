"""The segmenter `dynunet`: MONAI's DynUNet, trained as `unet` is."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from harness.models.dynunet import deepest, make_dynunet
from harness.work.train.unet import Unet


class DynUnet(Unet):
    """A `harness.work.train.networks.Segmenter`."""

    def _network(self, slices: int, seed: int) -> nn.Module:
        names = "channels", "norm", "residual", "deep_supervision"
        made = {name: self.config[name] for name in names}
        return make_dynunet(**made, in_channels=slices, out_channels=self._channels, seed=seed)

    def step_added(
        self, batch: Mapping[str, Tensor], added: Mapping[str, Tensor], weight: float
    ) -> dict[str, Tensor]:
        loss = self._loss(batch)
        norms = [m for m in self.networks["unet"].modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:  # added pairs leave the averages of the real ones alone
            norm.track_running_stats = False
        more = self._loss(added)
        for norm in norms:
            norm.track_running_stats = True
        self._down(loss + weight * more)
        return {"loss": loss, "added_loss": more}

    def _error(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Under deep supervision the weights halve from level to level, and sum to 1."""
        if logits.ndim == masks.ndim:
            return super()._error(logits, masks)
        weights = 0.5 ** torch.arange(logits.shape[1], device=logits.device)
        errors = torch.stack([super(DynUnet, self)._error(one, masks) for one in logits.unbind(1)])
        return (weights * errors).sum() / weights.sum()

    def _deepest(self, ct: Tensor) -> Tensor:
        return deepest(self.networks["unet"].eval(), ct)
