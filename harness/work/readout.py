"""What a GAN readout's result says: its losses, and whether the training had converged."""

from __future__ import annotations

import math
from typing import Any

from harness.metrics.convergence import convergence_failure
from harness.records.journal import series
from harness.work.context import Context

_LAST = ("d_loss", "g_loss", "l1", "d_real", "d_fake")


def finish_readout(context: Context, epoch: int, journal_length: int) -> None:
    """Store the readout's result with its last losses and the verdict on convergence."""
    journal = context.folder.journal
    values: dict[str, Any] = {"epoch": epoch}
    for name in _LAST:
        steps, numbers = series(journal, f"train/{name}", until=epoch)
        if steps:
            values[name] = numbers[-1] if math.isfinite(numbers[-1]) else None
    steps, d_loss = series(journal, "train/d_loss", until=epoch)
    _, g_loss = series(journal, "train/g_loss", until=epoch)
    failure = convergence_failure(steps, d_loss, g_loss)
    values["converged"] = failure is None
    if failure is not None:
        values["failure"] = {"reason": failure.reason, "onset": failure.onset_epoch}
    weights = context.folder.at(epoch) / "weights.safetensors"
    context.finish([weights], values, epoch, journal_length)
