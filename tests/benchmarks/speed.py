"""`speed`: images a second of every network at the thesis's sizes, float32 beside bfloat16.

Both are timed in turn in one process, so that other load falls on both alike; images are generated,
no patients are needed. The step is the training's own, without batching and logging.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import torch
from torch import Tensor

from harness.commands.costs.score_timing import make_stage
from harness.config.experiment import ComputeConfig, to_dict
from harness.config.stages import ImageStageConfig, MaskStageConfig, SegmentationConfig
from harness.training.precision import Precision, resolve
from harness.work.train.segmenter import SegmenterStage

FRAME_PX = 128
PRECISIONS = "float32", "bfloat16"
LEAST_RATIO = 0.9
"""Small batches on a large GPU wait for launches, not for arithmetic: there the two are equal."""

SIZES = (("mask", 12), ("mask", 64), ("image", 4), ("image", 16), ("segmenter", 16))
"""Network and batch size: the thesis's, the largest of the default search, and our U-Net's."""


def main(options: Sequence[str]) -> int:
    """Print the table; 1 if bfloat16 is clearly slower than float32 where `auto` takes it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks speed")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round of each cell")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(options)
    found = resolve(ComputeConfig(threads=1))
    print(f"{found.device}, auto is {found.precision}; medians of {asked.rounds} rounds")
    print(f"{'network':10}{'batch':>6}{'float32':>12}{'bfloat16':>12}{'ratio':>8}  images/s")
    short = False
    for name, size in SIZES:
        rates = _rates(name, size, found.device, asked)
        ratio = rates["bfloat16"] / rates["float32"]
        short |= found.precision == "bfloat16" and ratio < LEAST_RATIO
        print(f"{name:10}{size:6}{rates['float32']:12.0f}{rates['bfloat16']:12.0f}{ratio:8.2f}")
    return int(short)


def _rates(name: str, size: int, device: str, asked: argparse.Namespace) -> dict[str, float]:
    steps = {
        each: _step(name, size, Precision.of({"device": device, "precision": each, "threads": 1}))
        for each in PRECISIONS
    }
    found: dict[str, list[float]] = {each: [] for each in PRECISIONS}
    for _ in range(asked.rounds):
        for each, step in steps.items():
            found[each].append(size / _seconds(step, device, asked.seconds))
    return {each: median(values) for each, values in found.items()}


def _step(name: str, size: int, precision: Precision) -> Callable[[], Any]:
    if name == "segmenter":
        config = to_dict(SegmentationConfig())
        stage: Any = SegmenterStage(config, 1, 0, precision, None)
        batch: Mapping[str, Tensor] = {
            "ct": torch.rand(size, 1, FRAME_PX, FRAME_PX) * 2 - 1,
            "masks": (torch.rand(size, 1, FRAME_PX, FRAME_PX) > 0.9).float(),
        }
    else:
        kind = MaskStageConfig if name == "mask" else ImageStageConfig
        stage, batch = make_stage(kind(batch_size=size), 1, FRAME_PX, precision)
    return lambda: stage.step(batch)


def _seconds(step: Callable[[], Any], device: str, least: float) -> float:
    """Of one step, over at least `least` seconds after one that is not counted."""
    step()
    _wait(device)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < least:
        for _ in range(4 if device == "cuda" else 1):
            step()
            count += 1
        _wait(device)
    return (time.perf_counter() - started) / count


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
