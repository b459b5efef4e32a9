"""What a sweep would cost: trainings, epochs, time from timed steps and a timed score, disk."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from harness.base.text import counted, duration, size
from harness.commands.chosen_settings import stage_sweep
from harness.commands.compute import default_workers
from harness.commands.costs.score_timing import make_stage, timed_score, warning
from harness.commands.session import Session
from harness.config.stages import StageConfig
from harness.data.pairs.store import Store
from harness.sweep.epochs import count_epochs
from harness.sweep.space import listed_epochs, longest
from harness.training.precision import Precision
from harness.training.schedule import scored_epochs
from harness.work.train.gan import GanStage

BYTES_PER_STATE_PARAMETER = 12  # weights and Adam's two moments, float32
BYTES_PER_WEIGHT = 4


def estimate(session: Session, stage: str) -> dict[str, Any]:
    """An upper estimate of one stage's sweep on this machine, in words and numbers."""
    experiment = session.experiment
    sweep = getattr(experiment.sweep, stage)
    planner = stage_sweep(session, stage)
    base: StageConfig = getattr(experiment, stage)
    trials, seeds = planner.study.total(), experiment.sweep.seeds
    epochs = longest(sweep, base.schedule.epochs)
    store = Store.open(session.work.job(session.store).path / "store")
    pairs = len(store.select(role="train", selected=True))
    rate, score, parameters, kept = _timed(session, base, store)
    scores = len({*scored_epochs(epochs, experiment.metrics.scored_epochs), *listed_epochs(sweep)})
    trainings, workers = trials * seeds, session.workers or default_workers(session.compute)
    preview = planner.preview(session.graph())
    most = count_epochs(preview).trained if preview else trainings * epochs
    training = most * pairs / rate / workers
    scoring = trainings * scores * score / workers
    checkpoints = experiment.metrics.scored_epochs * kept * BYTES_PER_WEIGHT
    disk = trainings * (parameters * BYTES_PER_STATE_PARAMETER + checkpoints)
    share = scoring / training
    sentence = (
        f"{stage} sweep: {counted(trials, 'trial')} x {counted(seeds, 'seed')}, at most "
        f"{counted(epochs, 'epoch')} of {counted(pairs, 'pair')} each, {most} in all; at most "
        f"{duration(training + scoring)} with {counted(workers, 'worker')} at {rate:.0f} images/s "
        f"each ({counted(scores, 'score')} of {score:.1f} s a training among it, "
        f"{100 * share:.0f} % of the training time), and {size(disk)} of disk"
    )
    return {
        "stage": stage,
        "trials": trials,
        "seeds": seeds,
        "epochs": epochs,
        "epochs_in_all": most,
        "pairs": pairs,
        "images_per_second": rate,
        "scores": scores,
        "seconds_per_score": score,
        "training_seconds": training,
        "scoring_seconds": scoring,
        "seconds": training + scoring,
        "bytes": disk,
        "sentence": sentence,
        "warning": warning(stage, share),
    }


def _timed(session: Session, settings: StageConfig, store: Store) -> tuple[float, float, int, int]:
    """Images per second of a few steps at the configured batch size, seconds of a score,
    parameters of all networks, and numbers in a checkpoint."""
    stage, batch = make_stage(
        settings, store, Precision.of(session.specs.compute_of(f"{settings.stage}-stage"))
    )
    weights = {name: value.clone() for name, value in stage.weights().items()}
    score = timed_score(
        session.work, session.specs, session.store, settings, weights, session.runtime()
    )
    parameters = sum(p.numel() for network in stage.networks.values() for p in network.parameters())
    kept = sum(value.numel() for value in weights.values())
    return _rate(stage, batch), score, parameters, kept


def _rate(stage: GanStage, batch: Mapping[str, Tensor]) -> float:
    """Images per second of a few steps."""
    stage.step(batch)
    started, steps = time.perf_counter(), 0
    while steps < 3 or time.perf_counter() - started < 2:
        stage.step(batch)
        steps += 1
    images = len(next(iter(batch.values())))
    return steps * images / (time.perf_counter() - started)
