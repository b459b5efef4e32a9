"""What a job has taken so far, over all its starts."""

from __future__ import annotations

import time
from collections.abc import Sequence


class Stopwatch:
    """Runs from its making on; a job that goes on from a saved state adds what it took before."""

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def spent(self) -> tuple[float, float]:
        """Seconds by the wall and of this process's cores."""
        return time.perf_counter() - self._wall, time.process_time() - self._cpu

    def add(self, earlier: Sequence[float]) -> None:
        """Count what `spent` said when the state was saved."""
        self._wall -= earlier[0]
        self._cpu -= earlier[1]
