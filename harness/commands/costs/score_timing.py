"""What one score of a generator costs: from scores of the work folder, else a timed one."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import torch

from harness.base.files import read_json
from harness.config.stages import ImageStageConfig, MaskStageConfig
from harness.jobs.checkpoint import save_weights
from harness.jobs.context import Context
from harness.jobs.folder import WorkFolder
from harness.jobs.kinds import KINDS
from harness.jobs.spec import Input, Request, Spec
from harness.training.precision import Precision
from harness.work.specs import Specs
from harness.work.train.image_stage import Pix2pixStage
from harness.work.train.mask_stage import DcganStage

SHARE = 0.1
"""Scoring that takes more than this share of the training is worth a warning."""

MASK_PX = 64


def make_stage(
    settings: Any, channels: int, frame: int, precision: Precision
) -> tuple[DcganStage | Pix2pixStage, dict[str, torch.Tensor]]:
    """A stage with fresh weights, and a blank batch for its `step`."""
    from harness.config.experiment import to_dict

    count = settings.batch_size
    if isinstance(settings, MaskStageConfig):
        depth = 1 if settings.learns == "ct" else channels
        batch = {"images": torch.zeros(count, depth, MASK_PX, MASK_PX)}
        return DcganStage(to_dict(settings), channels, 0, precision), batch
    empty = torch.zeros(0, channels, frame, frame)
    batch = {
        "masks": torch.zeros(count, channels, frame, frame),
        "ct": torch.zeros(count, 1, frame, frame),
    }
    return Pix2pixStage(to_dict(settings), channels, 0, precision, (empty, empty[:, :1])), batch


def timed_score(
    work: WorkFolder,
    specs: Specs,
    store: Spec,
    settings: MaskStageConfig | ImageStageConfig,
    generator: torch.nn.Module,
    runtime: Mapping[str, Any],
) -> float:
    """Seconds of one score of a generator, in a folder of its own that is dropped.

    Args:
        work, store: where the pairs are.
        settings: of the stage that the generator is of.
        runtime: where jobs find the extractor's weights.
    """
    training = specs.training(store, settings, 0).steady
    kind = "mask-score" if isinstance(settings, MaskStageConfig) else "image-score"
    with tempfile.TemporaryDirectory() as name:
        own = WorkFolder(Path(name))
        pairs = own.job(store).path
        pairs.parent.mkdir(parents=True)
        pairs.symlink_to(work.job(store).path.resolve())
        folder = own.job(training)
        folder.open(training)
        weights = folder.at(1) / "weights.safetensors"
        save_weights(weights, generator.state_dict())
        folder.finish([weights], {"converged": True}, {}, {}, specs.compute, 1)
        # The first score imports, allocates, and leaves the features of real images.
        score = specs.score(kind, store, training, 1)
        for spec in (specs.diversity_of(store, training), score, score):
            own.job(spec).open(spec)
            KINDS.get(spec.kind).load()(Context(Request(spec, runtime=runtime), own))
        return float(read_json(own.job(score).path / "result.json")["cost"]["seconds"])


def measured_score(
    work: WorkFolder,
    kind: str,
    config: Mapping[str, Any],
    width: int,
    compute: Mapping[str, Any],
) -> float | None:
    """Median seconds of the finished scores of `kind` with this config, compute and width."""
    found = [
        seconds
        for path in sorted((work.jobs / kind).glob("*/result.json"))
        if (seconds := _seconds_of(work, path, config, width, compute)) is not None
    ]
    return median(found) if found else None


def _seconds_of(
    work: WorkFolder, path: Path, config: Mapping[str, Any], width: int, compute: Mapping[str, Any]
) -> float | None:
    """Seconds of one score; None where it was another one's, or was not timed."""
    spec = Spec.from_dict(read_json(path.parent / "spec.json"))
    trained: Input = spec.inputs["training"]
    folder = work.job(trained).path / "spec.json"
    same = all(spec.config.get(name) == value for name, value in config.items())
    if not same or dict(spec.compute) != dict(compute) or not folder.exists():
        return None
    if read_json(folder)["config"].get("width") != width:
        return None
    seconds = read_json(path)["cost"].get("seconds")
    return float(seconds) if seconds is not None and math.isfinite(seconds) else None


def warning(stage: str, share: float) -> str | None:
    """A sentence where scoring takes more than `SHARE` of the training; else None."""
    if not share > SHARE:
        return None
    return (
        f"scoring takes {100 * share:.0f} % of the {stage} stage's training time, more than "
        f"{100 * SHARE:.0f} %; lower metrics.scored_epochs or metrics.images"
    )
