"""An arm's segmenter config without a work folder, and pairs that can be told apart."""

from __future__ import annotations

from typing import Any

import torch
from factories.tiny import COMPUTE, tiny_experiment
from torch import Tensor

from harness.work.specs import Specs


def arm_config(arm: str, **settings: Any) -> dict[str, Any]:
    """The config of one arm's spec."""
    tiny = tiny_experiment(segmentation={"batch_size": 8, "updates_per_epoch": 5, **settings})
    specs = Specs(tiny, COMPUTE, {"name": "", "weights": ""})
    return dict(specs.segmenter(specs.prepare({}), arm, None, 0).config)


def numbered(count: int, first: float) -> tuple[Tensor, Tensor]:
    """Pairs whose CT names them: image n has the level first + n / 1000 everywhere."""
    levels = first + torch.arange(count) / 1000
    ct = levels[:, None, None, None].expand(count, 1, 16, 16).clone()
    return ct, (ct > 0).to(torch.uint8)
