"""The loop of a training job, and what a GAN checkpoint's result says: its losses, whether it
converged, whether samples are alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.jobs.journal import series
from harness.metrics.collapse.convergence import (
    Failure,
    convergence_failure,
    falling_diversity,
    frozen_output,
)
from harness.training.fit import Batches, Trainable, Training, fit
from harness.training.precision import Precision
from harness.training.schedule import picture_epochs


def train(
    context: Context,
    stage: Trainable,
    batches: Batches,
    device: str,
    finish: Callable[[Context, int, int], None],
    **schedule: Any,
) -> None:
    """Train what a job is about until the epochs that its request names have checkpoints.

    Args:
        finish: stores a checkpoint's result, called with its epoch and the journal's length.
        schedule: further fields of `Training`.
    """
    training = Training(
        stage=stage,
        batches=batches,
        folder=context.folder,
        seed=context.spec.seed,
        targets=context.request.epochs,
        finish=lambda epoch, length: finish(context, epoch, length),
        stop=context.stop,
        stopwatch=context.stopwatch,
        device=device,
        **schedule,
    )
    fit(training)


Prepare = Callable[[Store, dict[str, Any], int, Precision], tuple[Trainable, Batches]]
"""A stage on a store, ready to begin, and its batches; under a spec's config and seed."""


def train_gan(context: Context, prepare: Prepare) -> None:
    """Train a GAN stage: pictures on the way, an early end if asked for, states to branch off."""
    spec, request = context.spec, context.request
    precision = Precision.of(spec.compute)
    store = Store.open(context.input("store") / "store")
    stage, batches = prepare(store, dict(spec.config), spec.seed, precision)
    train(
        context,
        stage,
        batches,
        precision.device,
        finish_checkpoint,
        ends_early=stop_rule(context),
        picture_epochs=picture_epochs(request.epochs, request.pictures),
        last_epoch=spec.config.get("epochs", 0),
        branch_epochs=frozenset(request.branches),
    )


def finish_checkpoint(context: Context, epoch: int, journal_length: int) -> None:
    """Store the checkpoint's result with what the training's journal tells.

    `converged` is False where the discriminator wins, something is not a number, or the output is
    frozen (`failure` has the reason and the epoch of onset); `alike` is there where the samples of
    fixed inputs are alike, which is a collapse seen in pixels alone. `stopped_at` is the epoch at
    which the training ended, where that was before `epoch`.
    """
    journal = context.folder.journal
    values: dict[str, Any] = {"epoch": epoch}
    steps, _ = series(journal, "train/images_per_second", until=epoch)
    if steps and steps[-1] < epoch:
        values["stopped_at"] = steps[-1]
    failure = training_failure(journal, epoch)
    values["converged"] = failure is None
    alike = falling_diversity(*series(journal, "vs_real/diversity", until=epoch))
    for key, found in (("failure", failure), ("alike", alike)):
        if found is not None:
            values[key] = {"reason": found.reason, "onset": found.onset_epoch}
    weights = context.folder.at(epoch) / "weights.safetensors"
    context.finish([weights], values, epoch, journal_length)


def stop_rule(context: Context) -> Callable[[int], bool]:
    """What ends a training early, as `sweep.stop_on` asks for; asked with the epoch that ended."""
    if "convergence failure" not in context.spec.config.get("stop_on", ()):
        return lambda epoch: False
    return lambda epoch: training_failure(context.folder.journal, epoch) is not None


def training_failure(journal: Path, until: int) -> Failure | None:
    """The failure that a training is in at epoch `until`, by its journal; or None."""
    steps, d_loss = series(journal, "train/d_loss", until=until)
    _, g_loss = series(journal, "train/g_loss", until=until)
    bad, counts = series(journal, "train/non_finite_updates", until=until)
    failure = convergence_failure(steps, d_loss, g_loss)
    if failure is not None:
        return failure
    if bad:
        reason = f"{int(counts[0])} updates had a loss or a gradient that is not finite"
        return Failure(reason, bad[0])
    return frozen_output(*series(journal, "train/mean_output", until=until))
