"""A network held to what is asked of it (`work.train.networks`): what it gives is looked at where
it gives it, and refused with its name, whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.base.errors import DataError, EnvironmentFault
from harness.data.pairs.neighbours import Images, copies

SCALAR = re.compile("[a-z0-9_]+")
OF_THE_LOOP = ("learning_rate", "images_per_second", "non_finite_updates", "mean_output")
ROUNDING = 1e-3


class Held:
    """Gives what the network gives, once it was looked at.

    Args:
        noun: what messages call it, e.g. "mask.network 'dcgan'".
        asked: methods that it must have beside those of every network.
        reach: slices below and above that a segmenter sees; of single slices it is given copies.

    Raises:
        EnvironmentFault: it is not what its protocol says.
        DataError: what it predicts of finite images is not finite.
    """

    def __init__(
        self, network: Any, noun: str, channels: int, edge: int, *asked: str, reach: int = 0
    ) -> None:
        self._network, self._noun, self.reach = network, noun, reach
        self._channels, self._edge = channels, edge
        self._names: list[str] = []
        every = ("begin", "step", "weights", "restore", *asked)
        missing = [name for name in every if not callable(getattr(network, name, None))]
        if missing:
            self._refuse("have the methods of its protocol", f"none called {', '.join(missing)}")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def _refuse(self, rule: str, got: str) -> NoReturn:
        raise EnvironmentFault(f"{self._noun} must {rule}, but got {got}; mend its package")

    def begin(self, seed: int) -> None:
        self._network.begin(seed)
        parts = self._network.networks, self._network.optimisers
        if not all(isinstance(part, Mapping) for part in parts):
            self._refuse("name its networks and optimisers", f"{[type(p).__name__ for p in parts]}")

    def _stacked(self, ct: Images) -> Images:
        return copies(ct, self.reach) if self.reach and ct.shape[1] == 1 else ct

    def step(self, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return self._scalars("step", self._network.step(self._batch(batch)))

    def step_added(
        self, batch: Mapping[str, Tensor], added: Mapping[str, Tensor], weight: float
    ) -> Mapping[str, Tensor]:
        both = self._batch(batch), self._batch(added)
        return self._scalars("step_added", self._network.step_added(*both, weight))

    def _batch(self, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return {**batch, "ct": self._stacked(batch["ct"])} if self.reach else batch

    def _scalars(self, method: str, scalars: Any) -> Mapping[str, Tensor]:
        if not isinstance(scalars, Mapping) or not scalars:
            self._refuse(f"give scalars by name from `{method}`", repr(scalars)[:60])
        for name, value in scalars.items():
            if not (isinstance(value, Tensor) and value.ndim == 0 and value.is_floating_point()):
                got = f"{repr(value)[:60]} for '{name}'"
                self._refuse(f"give scalar tensors from `{method}`", got)
            fits = isinstance(name, str) and SCALAR.fullmatch(name)
            if name in OF_THE_LOOP or not fits:
                self._refuse(
                    f"name its scalars in small letters, digits and '_', none of "
                    f"{', '.join(OF_THE_LOOP)}",
                    repr(name),
                )
        if self._names and list(scalars) != self._names:
            rule = f"give the scalars {self._names} from every `{method}`"
            self._refuse(rule, str(list(scalars)))
        self._names = list(scalars)
        return scalars

    def weights(self) -> Mapping[str, Tensor]:
        weights = self._network.weights()
        if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
            self._refuse("give tensors by name from `weights`", repr(weights)[:60])
        return weights  # type: ignore[no-any-return]

    def rate_factor(self, share: float) -> float:
        factor = self._network.rate_factor(share)
        if not (isinstance(factor, float | int) and 0 <= factor < float("inf")):
            self._refuse("give a factor of at least 0 from `rate_factor`", repr(factor))
        return float(factor)

    def sample(self, count: int, source: torch.Generator) -> NDArray[np.float32]:
        shape = count, self._channels, self._edge, self._edge
        return self._images("sample", self._network.sample(count, source), shape, -1)

    def generate(self, masks: Tensor, source: torch.Generator) -> NDArray[np.float32]:
        shape = len(masks), 1, *masks.shape[2:]
        return self._images("generate", self._network.generate(masks, source), shape, -1)

    def predict(self, ct: NDArray[np.floating]) -> NDArray[np.float32]:
        shape = len(ct), self._channels, *ct.shape[2:]
        made = self._network.predict(self._stacked(ct))
        predicted = self._images("predict", made, shape, 0)
        readable = np.isfinite(ct).all(axis=(1, 2, 3))
        if not np.isfinite(predicted[readable]).all():
            raise DataError(
                f"{self._noun} must predict numbers, but got some that are not finite: its "
                "training diverged; lower its learning rate, or take another segmentation.network"
            )
        return predicted

    def features(self, ct: Tensor) -> Tensor:
        return self._network.features(self._stacked(ct))  # type: ignore[no-any-return]

    def _images(
        self, method: str, images: Any, shape: Sequence[int], low: float
    ) -> NDArray[np.float32]:
        """Images of that shape in [`low`, 1]; those that are not finite pass, and have their word
        where they are judged."""
        got = f"{type(images).__name__} {getattr(images, 'dtype', '')}".strip()
        if not isinstance(images, np.ndarray) or images.dtype != np.float32:
            self._refuse(f"give float32 arrays from `{method}`", got)
        if images.shape != tuple(shape):
            self._refuse(f"give {tuple(shape)} from `{method}`", f"{images.shape}")
        finite = images[np.isfinite(images)]
        if finite.size and not low - ROUNDING <= finite.min() <= finite.max() <= 1 + ROUNDING:
            span = f"values from {finite.min():g} to {finite.max():g}"
            self._refuse(f"give images in [{low:g}, 1] from `{method}`", span)
        return images
