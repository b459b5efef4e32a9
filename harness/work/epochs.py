"""Which epochs of a training are scored."""

from __future__ import annotations

import numpy as np


def scored_epochs(total: int, about: int) -> tuple[int, ...]:
    """About `about` epochs from 1 to `total`, log-spaced, ascending, the last one included."""
    spaced = np.geomspace(1, total, num=max(about, 1)) if about > 1 else np.array([total])
    return tuple(sorted({int(round(value)) for value in spaced} | {total}))
