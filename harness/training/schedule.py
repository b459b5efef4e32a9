"""Learning-rate factors and epochs at which a training is scored or drawn. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.config.stages import constant_epochs


def pix2pix_decay(epoch: int, total: int) -> float:
    """pix2pix's rule: 1 for the constant epochs, then linear; the epoch after the last would be 0.

    Releases of the official code differ by an epoch (some train the last one at rate 0).

    Args:
        epoch: 1-based.
        total: all epochs; the last third decays (300: 200 constant, then 100/101 down to 1/101).
    """
    steady = constant_epochs(total)
    decay = total - steady
    return 1.0 - max(0, epoch - steady) / (decay + 1)


def cosine(share: float) -> float:
    """Half a cosine from 1 to 0 over `share` in [0, 1] of the training."""
    return 0.5 * (1.0 + math.cos(math.pi * min(max(share, 0.0), 1.0)))


def scored_epochs(total: int, about: int | Sequence[int]) -> tuple[int, ...]:
    """At most `about` epochs from 1 to `total`, log-spaced, ascending, the last one included; or
    those that are named, up to the last one.

    Short trainings give fewer: what rounds to the same epoch is counted once.
    """
    if not isinstance(about, int):
        return tuple(sorted({*(epoch for epoch in about if epoch < total), total}))
    if about < 2 or total < 2:
        return (total,)
    ratio = total ** (1 / (about - 1))
    return tuple(sorted({round(ratio**k) for k in range(about)} | {total}))


def picture_epochs(targets: Sequence[int], about: int) -> frozenset[int]:
    """Epochs after which sample grids are drawn: `about` of them up to the last target, spaced as
    `scored_epochs`, and every target, so that each checkpoint can be looked at."""
    return frozenset({*scored_epochs(targets[-1], about), *targets})


def watched(epoch: int) -> bool:
    """Epochs after which a training looks at its samples: each up to 31, then 16 an octave.

    Never depends on the total, so that the shorter training is the beginning of the longer one.
    """
    return epoch % (1 << max(0, epoch.bit_length() - 5)) == 0
