"""What a GAN's own journal tells while it trains: losses, gradients, how varied its samples are.

Convergence failure is seen in the losses alone.

The thesis's batches of 64 and 128: the discriminator wins, its loss lies flat near zero while the
generator's stays high, and the output is noise. On real masks this reproduces, and the two groups
lie far apart (losses in nats, binary cross-entropy):

    failed   batch 64, thesis        D 0.001     G 8.9
    failed   batch 64, OpenKBP       D 0.00008   G 9.9
    healthy  batch 12, OpenKBP       D 0.28      G 3.5

The thresholds lie between the two groups. Further signs: a gradient or loss that is not a number,
samples of fixed inputs that stand still, samples that become alike.
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

LOOKS = 4
"""Looks at the samples in a row that must show them standing still, or alike."""

STILL = 1e-6
"""Change of the samples' mean (on [-1, 1]) from look to look, at or below which they stand still;
a training that moves at all changes it by 1e-4 and more."""

ALIKE = 0.5
"""Mean distance of the samples, relative to real images, below which they count as alike."""


@dataclass(frozen=True)
class Failure:
    """Why a training counts as failed to converge, and since which epoch."""

    reason: str
    onset_epoch: int


def convergence_failure(
    epochs: Sequence[int] | NDArray[Any],
    d_loss: Sequence[float] | NDArray[Any],
    g_loss: Sequence[float] | NDArray[Any],
) -> Failure | None:
    """The failure that a training is in at its last epoch, or None.

    A loss that is not finite fails at once, whenever it happened. A winning discriminator fails
    where the medians over the last `WINDOW` epochs are beyond both thresholds; the onset is the
    first epoch beyond both in the unbroken row of such windows. Fewer epochs are too few to say.

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
    if len(d) < WINDOW:
        return None
    windows = [np.lib.stride_tricks.sliding_window_view(loss, WINDOW) for loss in (d, g)]
    d_typical, g_typical = np.median(windows, axis=2)
    first = _last_run((d_typical <= D_NEAR_ZERO) & (g_typical >= G_HIGH))
    if first is None:
        return None
    # The first epoch of that window that is itself beyond both: a window opens on healthy ones.
    first += int(np.argmax((d[first:] <= D_NEAR_ZERO) & (g[first:] >= G_HIGH)))
    return Failure(
        f"the discriminator wins: over the last {WINDOW} epochs its loss is {d_typical[-1]:.2g} "
        f"(near zero: at most {D_NEAR_ZERO:g}) and the generator's {g_typical[-1]:.2g} "
        f"(high: at least {G_HIGH:g})",
        int(epochs[first]),
    )


def frozen_output(
    epochs: Sequence[int] | NDArray[Any], mean_output: Sequence[float] | NDArray[Any]
) -> Failure | None:
    """Samples of fixed inputs that no longer change, at the last look; or None.

    Args:
        epochs: ascending epoch numbers of the looks.
        mean_output: mean grey of the samples at each, on [-1, 1].
    """
    steps = np.abs(np.diff(np.asarray(mean_output, np.float64)))
    run = _last_run(steps <= STILL)
    if run is None or len(steps) - run + 1 < LOOKS:
        return None
    looks = len(steps) - run + 1
    return Failure(
        f"the output is frozen: in {looks} looks in a row the samples of the fixed inputs did not "
        f"change (mean grey by at most {STILL:g})",
        int(epochs[run]),
    )


def falling_diversity(
    epochs: Sequence[int] | NDArray[Any], diversity: Sequence[float] | NDArray[Any]
) -> Failure | None:
    """Samples of fixed inputs that are alike at the last looks, since when; or None.

    A generator begins with samples that are alike and parts them while it learns; what counts is
    how it ends.

    Args:
        epochs: ascending epoch numbers of the looks.
        diversity: spread of the samples relative to real images at each; about 1 when healthy.
    """
    values = np.asarray(diversity, np.float64)
    run = _last_run(values < ALIKE)
    if run is None or len(values) - run < LOOKS:
        return None
    return Failure(
        f"the samples are alike: {values[-1]:.2g} times the spread of real images "
        f"(healthy: at least {ALIKE:g})",
        int(epochs[run]),
    )


def _last_run(holds: NDArray[np.bool_]) -> int | None:
    """Where the unbroken row of True that reaches the end begins; None where the end is False."""
    if not len(holds) or not holds[-1]:
        return None
    broken = np.flatnonzero(~holds)
    return int(broken[-1]) + 1 if len(broken) else 0
