"""The tracker beside the driver: a thread that keeps MLflow up to date and never stops a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from harness.base.errors import Damaged, Lost
from harness.jobs.waiting import LONGEST_WAIT_S
from harness.tracking.run_view import RunView
from harness.tracking.store import masked, quiet_environment
from harness.tracking.sync import MlflowSync, SyncCounts

SHARE = 1 / 30
"""Of one core, that syncs should take from the trainings beside them: they rest in proportion."""
LONGEST_REST_S = 20.0
"""Between two syncs that succeed: somebody may be watching."""
LAST_TRIES_S = 20.0


class SyncThread:
    """Calls `mlflow_sync.sync` every few seconds.

    A tracker that fails is said once, tried again after growing pauses, and filled up when it is
    back: the folders keep everything.

    Args:
        mlflow_sync: what sends.
        views: gives the runs to show; called from the thread.
        every_s: seconds between two syncs, at least: they rest longer where they take long.
        warn: takes one line for a person.
    """

    def __init__(
        self,
        mlflow_sync: MlflowSync,
        views: Callable[[], Sequence[RunView]],
        every_s: float = 3.0,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.mlflow_sync = mlflow_sync
        self.views = views
        self.every_s = every_s
        self.warn = warn
        self._failures = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tracking", daemon=True)

    def start(self) -> None:
        """Begin, unless it has begun. mlflow, which takes seconds, is imported here: imports from
        two threads at once can trip each other."""
        if self._thread.ident is not None:
            return
        quiet_environment()
        import mlflow  # noqa: F401

        self._thread.start()

    def stop(self, within_s: float = LAST_TRIES_S) -> SyncCounts:
        """Send what is left, mark what is still running as KILLED, and end.

        Args:
            within_s: how long to go on trying while the tracker fails.

        Returns:
            Counts of the last sync; `pending` values could not be sent.
        """
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        elif self.mlflow_sync.noted(self.views()):
            return SyncCounts()
        limit = time.monotonic() + within_s
        while True:
            views = self.views()
            counts = self._try(views, closing=True)
            if counts is not None:
                return counts
            pause = min(1.0, limit - time.monotonic())
            if pause <= 0:
                return SyncCounts(pending=self.mlflow_sync.pending(views))
            time.sleep(pause)

    def _run(self) -> None:
        while not self._ended.is_set():
            began = time.thread_time()
            self._try(self.views())
            rest = min((time.thread_time() - began) / SHARE, LONGEST_REST_S)
            wait = max(self.every_s, rest) * 2 ** min(self._failures, 10)
            self._ended.wait(min(wait, max(LONGEST_WAIT_S, self.every_s)))

    def _try(self, views: Sequence[RunView], closing: bool = False) -> SyncCounts | None:
        try:
            counts = self.mlflow_sync.sync(views, closing)
            if closing:
                self.mlflow_sync.note(views)
        except Lost:  # of which the command itself hears as well
            self._ended.set()
            return SyncCounts()
        except Damaged as damaged:  # and stays so, however often one tries
            self._ended.set()
            self._failures += 1
            if self._failures == 1:
                self.warn(str(damaged))
            return SyncCounts()
        except Exception as error:  # noqa: BLE001 - whatever a tracker does must not stop a run
            self._failures += 1
            if self._failures == 1:
                text = masked(f"{type(error).__name__}: {error}").partition("\n")[0]
                shown = text if len(text) <= 200 else f"{text[:200]}..."
                self.warn(
                    f"MLflow must answer to be kept up to date, but got {shown}; the folders keep "
                    "everything and it is filled up when it answers again"
                )
            return None
        if self._failures:
            self._failures = 0
            self.warn("MLflow answers again and is filled up")
        return counts
