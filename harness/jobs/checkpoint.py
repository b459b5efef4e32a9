"""Full state of a training and weights of a checkpoint, as files.

States hold plain numbers and tensors only and are read with `weights_only=True`; weights are
safetensors. Neither can run code.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.base import damage
from harness.base.errors import Damaged
from harness.base.files import CHANGED, write_with

if TYPE_CHECKING:
    import torch


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a nested dict of tensors and plain values, atomically."""
    import torch

    write_with(path, lambda part: torch.save(dict(state), part))


def load_state(path: Path, device: str) -> dict[str, Any] | None:
    """The stored state with its tensors on `device`; None where there is none, or it is damaged,
    which is noted."""
    import torch

    if not path.exists():
        return None
    try:
        check_state(path)
        return torch.load(path, map_location=device, weights_only=True)
    except (Damaged, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        then = "its training goes on from what is left"
        damage.note(Damaged(path, getattr(error, "why", "it cannot be read"), then))
        return None


def check_state(path: Path) -> None:
    """Compare a state with the checksums it carries, at which `torch.load` does not look.

    Raises:
        Damaged: it is not what was saved.
    """
    try:
        with zipfile.ZipFile(path) as file:
            whole = file.testzip() is None
    except (EOFError, OSError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise Damaged(path, "it cannot be read") from error
    if not whole:
        raise Damaged(path, CHANGED)


def save_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write named tensors as safetensors, atomically."""
    from safetensors.torch import save_file

    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in weights.items()}
    write_with(path, lambda part: save_file(tensors, str(part)))


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Named tensors on the CPU."""
    from safetensors.torch import load_file

    return load_file(str(path))
