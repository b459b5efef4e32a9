"""A feature extractor in a TorchScript file of the user's: RadImageNet, or a network of their own.

Loading such a file runs the code in it. It is loaded only because `metrics.torchscript` names it,
and its bytes are hashed as they are read, so what runs is what the score's digest names.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.base.errors import DataError, EnvironmentFault
from harness.metrics.extractors.networks import Network
from harness.metrics.extractors.registry import ExtractorFiles, Identity, Recipe
from harness.metrics.extractors.weights import digest_of_file

if TYPE_CHECKING:
    import torch

TOLERANCE = 1e-3
"""Of the largest feature: by how much batch mates may move an image's features before the file is
refused. Batch statistics and dropout move them by far more, the order of a sum by far less."""


def _located(given: Path | None) -> Path:
    if given is None or not given.is_file():
        found = "nothing" if given is None else f"'{given}'"
        raise EnvironmentFault(
            f"metrics.torchscript must be an existing TorchScript file, but got {found}; export "
            "one with torch.jit.script(network.eval()).save(FILE), or use another extractor"
        )
    return given


def _identify(files: ExtractorFiles) -> Identity:
    path = _located(files.torchscript)
    return Identity(f"torchscript:{path.stem}", digest_of_file(path))


class TorchScriptNetwork(Network):
    """Features of a TorchScript module that takes float32 N x 1 or 3 x H x W in [0, 1].

    What it takes is found at the first call, with a blank chunk: one channel, else three. It gives
    N x d, or maps N x d x h x w, which are averaged globally. Scaling to anything else than [0, 1]
    is up to the module.

    Raises:
        EnvironmentFault: no such file, or one that is not TorchScript.
    """

    def __init__(self, path: Path | None, device: str = "cpu") -> None:
        located = _located(path)
        content = located.read_bytes()
        self.name = f"torchscript:{located.stem}"
        self.weights_digest = hashlib.sha256(content).hexdigest()
        self.preprocessing = (
            "in [0, 1], grey or grey x 3, maps averaged globally: found at the first call"
        )
        self._channels = 0
        super().__init__(_load(content, self.name), device)

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        if not self._channels:
            channels = self._find_channels(batch)
            self._check_independent(batch, channels)
            self._channels = channels
        made = self._run(batch, self._channels)
        self.preprocessing = (
            f"in [0, 1], {'grey' if self._channels == 1 else 'grey x 3'}"
            f"{'; map averaged globally' if made.ndim == 4 else ''}"
        )
        return made.mean(dim=(2, 3)) if made.ndim == 4 else made

    def _run(self, batch: torch.Tensor, channels: int) -> torch.Tensor:
        """The module's output, its shape checked."""
        import torch

        given = batch.repeat(1, channels, 1, 1)
        # The profiling executor rewrites a module after its first calls, and a fused operation may
        # round otherwise: the same image could get other bits in a later chunk.
        with torch.jit.optimized_execution(False):
            made: Any = self._module(given)
        shape = tuple(made.shape) if isinstance(made, torch.Tensor) else None
        if shape is None or len(shape) not in (2, 4) or shape[0] != len(batch) or 0 in shape:
            found = type(made).__name__ if shape is None else f"shape {shape}"
            raise DataError(
                f"the TorchScript module '{self.name}' must give a tensor N x d or N x d x h x w, "
                f"but got {found} for images of shape {tuple(given.shape)}; export it so that it "
                "gives its features alone"
            )
        return made

    def _find_channels(self, batch: torch.Tensor) -> int:
        """1 or 3: which of them the module takes, one first."""
        import torch

        blank, refusals = torch.zeros_like(batch), []
        for channels in (1, 3):
            try:
                self._run(blank, channels)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:  # what TorchScript raises, whatever went wrong inside
                last = str(error).strip().rpartition("\n")[2].strip()
                refusals.append(f"{channels}: {last or type(error).__name__}")
            else:
                return channels
        n, _, height, width = batch.shape
        raise DataError(
            f"the TorchScript module '{self.name}' must take float32 images N x 1 x H x W or "
            f"N x 3 x H x W, but got errors for {n} x 1 or 3 x {height} x {width} "
            f"({'; '.join(refusals)}); export it for such images"
        )

    def _check_independent(self, batch: torch.Tensor, channels: int) -> None:
        """Refuse a module that was exported in training mode: its features depend on the batch."""
        import torch

        noise = np.random.default_rng(0).random(tuple(batch.shape), dtype=np.float32)
        among = torch.from_numpy(noise).to(batch.device)
        alone = torch.zeros_like(among)
        alone[0] = among[0]
        one, other = (self._run(images, channels)[0].float() for images in (among, alone))
        moved = float((one - other).abs().max())
        if moved > TOLERANCE * float(one.abs().max()):
            raise DataError(
                f"the TorchScript module '{self.name}' must give an image the same features in "
                f"any batch, but got features that moved by {moved:.3g}; export it in evaluation "
                "mode: network.eval() first"
            )


def _load(content: bytes, name: str) -> torch.nn.Module:
    import torch

    with warnings.catch_warnings():
        # torch advises torch.export; its files are not what the field publishes networks in.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            module: torch.nn.Module = torch.jit.load(io.BytesIO(content), map_location="cpu")
        except RuntimeError as error:
            raise EnvironmentFault(
                f"metrics.torchscript must be a TorchScript file, but got one for '{name}' that "
                f"torch cannot load ({str(error).strip().partition('. ')[0]}); export it with "
                "torch.jit.script(network.eval()).save(FILE)"
            ) from error
    return module


TORCHSCRIPT = Recipe(_identify, lambda files, device: TorchScriptNetwork(files.torchscript, device))
