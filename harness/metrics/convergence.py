"""Convergence failure of a GAN, from its losses alone.

The thesis's batches of 64 and 128: the discriminator wins, its loss lies flat near zero while the
generator's stays high, and the output is noise. On real masks this reproduces, and the two groups
lie far apart (losses in nats, binary cross-entropy):

    failed   batch 64, thesis        D 0.001     G 8.9
    failed   batch 64, OpenKBP       D 0.00008   G 9.9
    healthy  batch 12, OpenKBP       D 0.28      G 3.5

The thresholds lie between the two groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError

D_NEAR_ZERO = 0.01
"""Discriminator loss at or below this is near zero (failed 0.001 and less, healthy 0.28)."""

G_HIGH = 6.0
"""Generator loss at or above this is high (failed 8.9 and more, healthy 3.5)."""

WINDOW = 5
"""Epochs over which both must hold, by their medians: one good batch is not a recovery."""


@dataclass(frozen=True)
class Failure:
    """Why a training counts as failed to converge, and since which epoch."""

    reason: str
    onset_epoch: int


def convergence_failure(
    epochs: Sequence[int] | NDArray[Any],
    d_loss: Sequence[float] | NDArray[Any],
    g_loss: Sequence[float] | NDArray[Any],
    window: int = WINDOW,
) -> Failure | None:
    """The failure that a training is in at its last epoch, or None.

    A loss that is not finite fails at once, whenever it happened. A winning discriminator fails
    where the medians over the last `window` epochs are beyond both thresholds; the onset is the
    first epoch beyond both in the unbroken row of such windows. Fewer epochs than `window` are too
    few to say.

    Args:
        epochs: ascending epoch numbers of the values.
        d_loss, g_loss: one value an epoch, in nats.
    """
    d, g = np.asarray(d_loss, np.float64), np.asarray(g_loss, np.float64)
    if not len(epochs) == len(d) == len(g):
        raise DataError(
            "losses need one value an epoch each, but got "
            f"{len(epochs)} epochs, {len(d)} and {len(g)} losses; pass equal lengths"
        )
    broken = np.flatnonzero(~(np.isfinite(d) & np.isfinite(g)))
    if len(broken):
        return Failure("a loss is not finite", int(epochs[int(broken[0])]))
    if len(d) < window:
        return None
    d_typical = _running_median(d, window)
    g_typical = _running_median(g, window)
    winning = (d_typical <= D_NEAR_ZERO) & (g_typical >= G_HIGH)
    if not winning[-1]:
        return None
    lost = np.flatnonzero(~winning)
    first = int(lost[-1]) + 1 if len(lost) else 0
    # The first epoch of that window that is itself beyond both: a window opens on healthy ones.
    first += int(np.argmax((d[first:] <= D_NEAR_ZERO) & (g[first:] >= G_HIGH)))
    return Failure(
        f"the discriminator wins: over the last {window} epochs its loss is {d_typical[-1]:.2g} "
        f"(near zero: at most {D_NEAR_ZERO:g}) and the generator's {g_typical[-1]:.2g} "
        f"(high: at least {G_HIGH:g})",
        int(epochs[first]),
    )


def _running_median(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    views = np.lib.stride_tricks.sliding_window_view(values, window)
    medians: NDArray[np.float64] = np.median(views, axis=1)
    return medians
