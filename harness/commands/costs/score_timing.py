"""What one score of a checkpoint costs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from harness.base.files import read_json
from harness.config.experiment import to_dict
from harness.config.stages import StageConfig
from harness.data.pairs.store import Store
from harness.jobs.checkpoint import save_weights
from harness.jobs.context import Context
from harness.jobs.folder import WorkFolder
from harness.jobs.kinds import KINDS
from harness.jobs.spec import Request, Spec
from harness.training.precision import Precision
from harness.work.specs import Specs
from harness.work.train import image_stage, mask_stage
from harness.work.train.gan import GanStage

SHARE = 0.1
"""Scoring that takes more than this share of the training is worth a warning."""


def make_stage(
    settings: StageConfig, store: Store, precision: Precision
) -> tuple[GanStage, Mapping[str, torch.Tensor]]:
    """A stage with fresh weights, and the first batch of a training on a store."""
    prepare = {"mask": mask_stage.prepare, "image": image_stage.prepare}[settings.stage]
    stage, batches = prepare(store, to_dict(settings), 0, precision)
    return stage, batches.batch(1, 0)


def timed_score(
    work: WorkFolder,
    specs: Specs,
    store: Spec,
    settings: StageConfig,
    weights: Mapping[str, torch.Tensor],
    runtime: Mapping[str, Any],
) -> float:
    """Seconds of one score of a checkpoint, in a folder of its own that is dropped.

    Args:
        work, store: where the pairs are.
        settings: of the stage that the checkpoint's `weights` are of.
        runtime: where jobs find the extractor's weights.
    """
    training = specs.training(store, settings, 0).steady
    with tempfile.TemporaryDirectory() as name:
        own = WorkFolder(Path(name))
        pairs = own.job(store).path
        pairs.parent.mkdir(parents=True)
        pairs.symlink_to(work.job(store).path.resolve())
        folder = own.job(training)
        folder.open(training)
        file = folder.at(1) / "weights.safetensors"
        save_weights(file, weights)
        folder.finish([file], {"converged": True}, {}, {}, training.compute, 1)
        # The first score imports, allocates, and leaves the features of real images.
        score = specs.score(store, settings, training, 1)
        for spec in (specs.diversity(store, settings.shows), score, score):
            own.job(spec).open(spec)
            KINDS.get(spec.kind).load()(Context(Request(spec, runtime=runtime), own))
        return float(read_json(own.job(score).path / "result.json")["cost"]["seconds"])


def warning(stage: str, share: float) -> str | None:
    """A sentence where scoring takes more than `SHARE` of the training; else None."""
    if not share > SHARE:
        return None
    return (
        f"scoring takes {100 * share:.0f} % of the {stage} stage's training time, more than "
        f"{100 * SHARE:.0f} %; lower metrics.scored_epochs or metrics.images"
    )
