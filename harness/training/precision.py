"""Device, number format and threads of a training, and what follows from them.

The same seed, device, precision and thread count give bitwise the same weights; another thread
count does not, which is why it is resolved once and recorded.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from harness.base.gpu_share import GpuShare

M = TypeVar("M", bound=nn.Module)

PRECISIONS = "float32", "bfloat16"


def has_bfloat16(device: str) -> bool:
    """Whether the hardware itself multiplies bfloat16; emulated, it is slower than float32."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    info = Path("/proc/cpuinfo")
    flags = info.read_text(encoding="utf-8").split() if info.exists() else []
    return "avx512_bf16" in flags or "amx_bf16" in flags


@dataclass(frozen=True)
class Precision:
    """Puts networks and batches where and how they are computed.

    Attributes:
        device: `cpu` or `cuda`.
        precision: `float32` or `bfloat16`; weights, their moments and losses are float32 in both.
    """

    device: str
    precision: str

    @classmethod
    def of(cls, compute: Mapping[str, Any]) -> Precision:
        """From a spec's `compute`; also sets this process's threads, determinism and GPU."""
        torch.set_num_threads(int(compute["threads"]))
        if compute["device"] == "cuda":
            _keep_to_share(GpuShare.here())
        _be_deterministic(compute["device"])
        return cls(compute["device"], compute["precision"])

    def module(self, network: M) -> M:
        """The network on the device, channels last (1.1-1.3x with bfloat16 on a CPU)."""
        return network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def batch(self, tensor: Tensor) -> Tensor:
        """A batch (N, C, H, W) as float32 on the device, channels last."""
        return tensor.to(device=self.device, dtype=torch.float32, memory_format=torch.channels_last)

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """bfloat16 arithmetic where the precision says so.

        One block for each forward pass: inside a block the bfloat16 copies of weights are kept, so
        an optimiser's step in it would go unseen.
        """
        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device, dtype=torch.bfloat16)

    def adam(
        self, parameters: Iterable[nn.Parameter], rate: float, betas: tuple[float, float]
    ) -> torch.optim.Adam:
        """Fused Adam."""
        return torch.optim.Adam(parameters, lr=rate, betas=betas, fused=True)


def _keep_to_share(share: GpuShare) -> None:
    """Keep to one GPU and to a share of its memory: a trial that is too large fails alone."""
    gpus = torch.cuda.device_count()
    if gpus:  # else torch says so, in its own words, where it first wants one
        torch.cuda.set_device(share.gpu(gpus))
        total = torch.cuda.get_device_properties(share.gpu(gpus)).total_memory
        torch.cuda.set_per_process_memory_fraction(share.memory(gpus, total) / total)


def _be_deterministic(device: str) -> None:
    """The same numbers every time: an error on a CPU where that fails, a warning on a GPU."""
    if device == "cuda":
        # cuBLAS reads this when it starts; without it its reductions may change their order.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        # float32 is to mean float32: TF32 would quietly keep 10 bits of each factor.
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
    # Not `use_deterministic_algorithms`, which also sets up torch's compiler: a second and a half.
    torch.set_deterministic_debug_mode("warn" if device == "cuda" else "error")
    # Else every new tensor is first filled with NaN: a debugging aid that costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
