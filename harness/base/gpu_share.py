"""A worker's share of a machine's GPUs, told in its environment."""

from __future__ import annotations

import os
from dataclasses import dataclass

VARIABLE = "HARNESS_WORKER"

CONTEXT = 2**29
"""Bytes that CUDA itself takes for a process, about; no part of what a training asks for."""


@dataclass(frozen=True)
class GpuShare:
    """That of worker `number` (from 0) of `of`."""

    number: int = 0
    of: int = 1

    @classmethod
    def here(cls) -> GpuShare:
        """This process's; the only one where nobody told it."""
        number, _, of = os.environ.get(VARIABLE, "0/1").partition("/")
        return cls(int(number), int(of))

    def environment(self) -> dict[str, str]:
        """What tells a process its share."""
        return {VARIABLE: f"{self.number}/{self.of}"}

    def gpu(self, gpus: int) -> int:
        """Which of a machine's GPUs it takes: workers are dealt out in turn."""
        return self.number % gpus

    def sharers(self, gpus: int) -> int:
        """How many workers its GPU has, itself counted."""
        return len(range(self.gpu(gpus), self.of, gpus))

    def memory(self, gpus: int, total: int) -> int:
        """What it may take of its GPU's `total` bytes; the contexts of several need the rest."""
        sharers = self.sharers(gpus)
        if sharers == 1:
            return total
        return max(int(0.98 * total / sharers) - CONTEXT, total // 100)
