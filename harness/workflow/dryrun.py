"""What a sweep would cost: trainings, epochs, time from a few timed steps, disk."""

from __future__ import annotations

from typing import Any

from harness.config.stages import MaskStageConfig
from harness.data.store import Store
from harness.report.formats import counted, duration, size
from harness.sweep.space import longest
from harness.workflow.session import Session

BYTES_PER_STATE_PARAMETER = 12  # weights and Adam's two moments, float32
BYTES_PER_WEIGHT = 4


def estimate(session: Session, stage: str) -> dict[str, Any]:
    """An upper estimate of one stage's sweep on this machine, in words and numbers."""
    from harness.workflow.steps import stage_sweep

    experiment = session.experiment
    sweep = getattr(experiment.sweep, stage)
    planner = stage_sweep(session, stage)
    base = experiment.mask if stage == "mask" else experiment.image
    trials, seeds = planner.study.total(), experiment.sweep.seeds
    epochs = longest(sweep, base.schedule.epochs)
    store = Store.open(session.work.job(session.store).path / "store")
    pairs = len(store.select(role="train", selected=True))
    rate, parameters, generator = _timed(session, base, len(store.channels))
    seconds = trials * seeds * epochs * pairs / rate / _workers(session)
    readouts = experiment.metrics.scored_epochs * generator * BYTES_PER_WEIGHT
    disk = trials * seeds * (parameters * BYTES_PER_STATE_PARAMETER + readouts)
    sentence = (
        f"{stage} sweep: {counted(trials, 'trial')} x {counted(seeds, 'seed')}, at most "
        f"{counted(epochs, 'epoch')} of {counted(pairs, 'pair')} each; at most {duration(seconds)} "
        f"with {counted(_workers(session), 'worker')} at {rate:.0f} images/s each (scores come on "
        f"top), and {size(disk)} of disk"
    )
    return {
        "stage": stage,
        "trials": trials,
        "seeds": seeds,
        "epochs": epochs,
        "pairs": pairs,
        "images_per_second": rate,
        "seconds": seconds,
        "bytes": disk,
        "sentence": sentence,
    }


def _workers(session: Session) -> int:
    from harness.workflow.compute import default_workers

    return session.workers or default_workers(session.compute)


def _timed(session: Session, base: Any, channels: int) -> tuple[float, int, int]:
    """Images per second of a few steps at the configured batch size, parameters of all networks,
    and of the generator."""
    import time

    import torch

    from harness.config.experiment import plain
    from harness.training.precision import Precision
    from harness.work.image_stage import Pix2pixStage
    from harness.work.mask_stage import DcganStage

    precision = Precision.of(session.compute)
    frame, count = session.experiment.data.crop.frame_px, base.batch_size
    if isinstance(base, MaskStageConfig):
        stage: Any = DcganStage(plain(base), channels, 0, precision)
        depth = 1 if base.learns == "ct" else channels
        batch = {"images": torch.zeros(count, depth, 64, 64)}
    else:
        empty = torch.zeros(0, channels, frame, frame)
        stage = Pix2pixStage(plain(base), channels, 0, precision, (empty, empty[:, :1]))
        batch = {
            "masks": torch.zeros(count, channels, frame, frame),
            "ct": torch.zeros(count, 1, frame, frame),
        }
    stage.step(batch)
    started, steps = time.perf_counter(), 0
    while steps < 3 or time.perf_counter() - started < 2:
        stage.step(batch)
        steps += 1
    rate = steps * count / (time.perf_counter() - started)
    sizes = {n: sum(p.numel() for p in m.parameters()) for n, m in stage.networks.items()}
    return rate, sum(sizes.values()), sizes["generator"]
