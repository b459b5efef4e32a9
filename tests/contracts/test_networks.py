"""What every network keeps; another package's joins by its entry point."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from factories.networks import (
    Trained,
    check_looking,
    check_resume,
    check_section,
    check_start,
    every,
)
from factories.tiny import COMPUTE

from harness.commands.costs.score_timing import make_stage
from harness.jobs.checkpoint import load_weights
from harness.training.precision import Precision

EVERY = every("mask", "image", "segmentation")
EACH = every("mask", "image")


@EVERY
def test_its_settings_are_a_strict_section_with_defaults(part: str, name: str) -> None:
    check_section(part, name)


@EVERY
def test_it_starts_from_its_seed_alone(tmp_path: Path, part: str, name: str) -> None:
    check_start(Trained(tmp_path, part, name))


@EVERY
def test_stopped_and_resumed_is_uninterrupted(tmp_path: Path, part: str, name: str) -> None:
    check_resume(Trained(tmp_path / "whole", part, name), Trained(tmp_path / "broken", part, name))


@EACH
def test_samples_leave_everything_as_it_was(tmp_path: Path, part: str, name: str) -> None:
    case = Trained(tmp_path, part, name)
    seen = check_looking(case)
    shape = (5, 1, 64, 64) if part == "mask" else (4, 1, 128, 128)
    assert seen.shape == shape
    assert seen.dtype == np.float32
    assert np.abs(seen).max() <= 1


@every("mask")
def test_other_noise_gives_other_masks(tmp_path: Path, part: str, name: str) -> None:
    case = Trained(tmp_path, part, name)
    network = case.network()
    network.begin(0)
    one, other = case.look(network, 1), case.look(network, 2)
    assert not (one == other).all()
    assert not (one[0] == one[1]).all()


@EACH
def test_its_cost_is_counted(tmp_path: Path, part: str, name: str) -> None:
    """A few steps on a real batch, and what a checkpoint holds: all that an estimate asks."""
    case = Trained(tmp_path, part, name)
    settings = getattr(case.tiny.experiment, part)
    stage, batch = make_stage(settings, case.store, Precision.of(COMPUTE))
    assert {len(value) for value in batch.values()} == {settings.batch_size}
    before = {name: value.clone() for name, value in stage.weights().items()}
    stage.step(batch)
    assert not all(torch.equal(before[name], value) for name, value in stage.weights().items())
    kept = load_weights(case.must().at(2) / "weights.safetensors")
    assert {n: v.shape for n, v in kept.items()} == {n: v.shape for n, v in before.items()}
