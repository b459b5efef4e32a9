"""Random streams: one root seed, a stream per purpose and epoch.

A stream is `numpy.random.SeedSequence(root, spawn_key=...)`, the key being the purpose's words
(hashed) and numbers. Streams never depend on how long a training will be, on worker count or on
the order in which they are asked for.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def _key(part: str | int) -> int:
    if isinstance(part, int):
        return part
    return int.from_bytes(hashlib.sha256(part.encode()).digest()[:4], "big")


def sequence(root: int, *purpose: str | int) -> np.random.SeedSequence:
    """The seed sequence of one purpose, e.g. `sequence(3, "order", epoch)`."""
    return np.random.SeedSequence(root, spawn_key=tuple(_key(part) for part in purpose))


def generator(root: int, *purpose: str | int) -> np.random.Generator:
    """A numpy generator for one purpose."""
    return np.random.Generator(np.random.PCG64(sequence(root, *purpose)))


def seed_of(root: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose."""
    return int(sequence(root, *purpose).generate_state(1, np.uint64)[0] >> np.uint64(1))


def torch_generator(root: int, *purpose: str | int) -> torch.Generator:
    """A CPU torch generator for one purpose."""
    import torch

    source = torch.Generator()
    source.manual_seed(seed_of(root, *purpose))
    return source
