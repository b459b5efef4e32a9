"""Shows runs in MLflow, which is a view of the job folders and holds nothing of its own.

Every step may be done again: points travel with the journal's times, so that MLflow takes an exact
repeat for what it already has; pictures have fixed names; runs are found by their key. What was
sent is noted at the run after it arrived, so that a restart goes on from there.
"""

from __future__ import annotations

import math
import operator
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from harness.base.owned import look_before
from harness.jobs.identity import folder_identity
from harness.jobs.journal import JournalLine
from harness.tracking.journal_cursor import Batch, Cursor, Sent, part_name, read_batch, span
from harness.tracking.last_shown import note_shown, still_shown
from harness.tracking.leaderboards import leaderboard_tags
from harness.tracking.mlflow_format import send_pictures, to_batches, to_metrics
from harness.tracking.run_index import (
    IMAGES,
    NAME_LENGTH,
    SENT,
    RunIndex,
    Shown,
    ensure_experiment,
    joined,
)
from harness.tracking.run_view import RunView
from harness.tracking.store import open_client, resolve

_STATUS = {"running": "RUNNING", "finished": "FINISHED", "failed": "FAILED"}
_SENT_LENGTH = 7900  # MLflow cuts longer tags


@dataclass(frozen=True)
class SyncCounts:
    """What a sync did: new runs, values and pictures sent, values still unsent."""

    runs: int = 0
    values: int = 0
    pictures: int = 0
    pending: int = 0

    def __add__(self, other: SyncCounts) -> SyncCounts:
        return SyncCounts(*map(operator.add, astuple(self), astuple(other)))


class MlflowSync:
    """Shows the views of one experiment in one work folder as runs.

    Args:
        workdir: the work folder.
        experiment: name of the MLflow experiment.
        uri: tracking URI; None is a SQLite database in the work folder.

    Raises:
        ConfigError: MLflow cannot use such a URI.
    """

    def __init__(self, workdir: Path, experiment: str, uri: str | None) -> None:
        self.workdir = workdir
        self.experiment = experiment
        self.store = resolve(workdir, uri)
        self._lock = threading.RLock()
        self._index: RunIndex | None = None
        self._sent: dict[str, Sent] = {}  # by run key; outlives a lost tracker

    def sync(self, views: Sequence[RunView], closing: bool = False) -> SyncCounts:
        """Make the tracker show the views; doing it again changes nothing.

        Args:
            views: all runs to show; those of earlier commands may be left out.
            closing: nothing will run after this: runs still "running", and those of this work
                folder that are RUNNING and in nobody's view, are shown as KILLED, until a later
                sync reopens them.

        Raises:
            Lost: another command took over the work folder.
            Whatever the tracker raises; the next sync looks again at what it has and goes on.
        """
        with self._lock:
            try:
                look_before(self.workdir)
                index = self._open_index()
                tree = _Tree(views, index)
                counts = SyncCounts()
                for view in _parents_first(views):
                    counts += self._sync_run(index, view, tree)
                for view in views:
                    self._set_status(index, view, tree, closing)
                alive = {joined(view.key) for view in views}
                for key, shown in index.shown.items():
                    if closing and key not in alive and shown.status == "RUNNING":
                        self._terminate(index, shown, "KILLED", 0)
                index.describe(leaderboard_tags(views))
                return counts
            except BaseException:
                self._index = None
                raise

    def note(self, views: Sequence[RunView]) -> None:
        """Note that a closing sync has just shown the views."""
        if self.store.database is not None:
            note_shown(self.store.database, self.workdir, self.experiment, views)

    def noted(self, views: Sequence[RunView]) -> bool:
        """Whether a closing sync would change nothing; needs no tracker."""
        database = self.store.database
        return database is not None and still_shown(database, self.workdir, self.experiment, views)

    def pending(self, views: Sequence[RunView]) -> int:
        """Values in the folders that no sync has confirmed; needs no tracker."""
        with self._lock:
            count = 0
            for view in views:
                sent = self._sent.get(joined(view.key), Sent())
                for part in view.parts:
                    batch = read_batch(part, sent.parts.get(part_name(part), Cursor()))
                    if batch.remade:
                        batch = read_batch(part, Cursor())
                    count += len(batch.lines)
                count += len(_summary_lines(view, sent))
            return count

    def _open_index(self) -> RunIndex:
        if self._index is None:
            client = open_client(self.store)
            experiment_id = ensure_experiment(client, self.store, self.experiment)
            self._index = RunIndex(client, experiment_id, folder_identity(self.workdir))
            self._sent = {key: shown.sent for key, shown in self._index.shown.items()}
        return self._index

    # --- one run ---------------------------------------------------------------------------

    def _sync_run(self, index: RunIndex, view: RunView, tree: _Tree) -> SyncCounts:
        look_before(self.workdir)
        before = index.find(view.key)
        had = before.sent if before else Sent()
        batches = {
            part_name(part): read_batch(part, had.parts.get(part_name(part), Cursor()))
            for part in view.parts
        }
        # Of a candidate that went on to a longer training the shorter one's points would stay.
        gone = {name for name, cursor in had.parts.items() if cursor.length} - batches.keys()
        if gone or any(batch.remade for batch in batches.values()):
            index.drop(view.key)
            return self._sync_run(index, view, tree)
        shown = before or index.make(view, tree.start(view) or _now())
        self._rename(index, view, shown)
        pictures = self._send_pictures(index, shown, batches)
        attached = self._attach(index, view, shown)
        summary = _summary_lines(view, had)
        sent = Sent(
            {**had.parts, **{name: batch.after for name, batch in batches.items()}},
            {**had.summary, **{line.name: (line.value, line.time) for line in summary}},
            {**had.artifacts, **attached},
        )
        lines = [line for batch in batches.values() for line in batch.lines]
        params, tags = index.news(view, shown)
        if pictures:
            tags[IMAGES] = "True"
        if (lines or summary or pictures or attached) and len(sent.text()) <= _SENT_LENGTH:
            tags[SENT] = sent.text()
        points = to_metrics([*lines, *summary])
        for batch in to_batches(points, params, tags, last=SENT):
            index.client.log_batch(shown.run_id, *batch)
        shown.note(params, tags, sent)
        self._sent[joined(view.key)] = sent
        return SyncCounts(int(before is None), len(lines) + len(summary), pictures)

    def _rename(self, index: RunIndex, view: RunView, shown: Shown) -> None:
        name = view.name[:NAME_LENGTH]
        if shown.name != name:
            index.client.update_run(shown.run_id, name=name)
            shown.name = name

    def _send_pictures(self, index: RunIndex, shown: Shown, batches: Mapping[str, Batch]) -> int:
        for name, batch in batches.items():
            if batch.pictures:
                born = max(batch.after.born, 1)
                send_pictures(index.client, shown.run_id, name, batch.pictures, born)
        return sum(len(batch.pictures) for batch in batches.values())

    def _attach(self, index: RunIndex, view: RunView, shown: Shown) -> dict[str, list[int]]:
        """Attach files that are new or changed; returns their sizes and times by name."""
        attached = {}
        for path, folder in view.artifacts:
            if not path.exists():
                continue
            name = f"{folder}/{path.name}"
            state = [path.stat().st_size, path.stat().st_mtime_ns]
            if shown.sent.artifacts.get(name) != state:
                index.client.log_artifact(shown.run_id, str(path), folder or None)
                attached[name] = state
        return attached

    # --- status ----------------------------------------------------------------------------

    def _set_status(self, index: RunIndex, view: RunView, tree: _Tree, closing: bool) -> None:
        shown = index.shown[joined(view.key)]
        wanted = "KILLED" if closing and view.status == "running" else _STATUS[view.status]
        if shown.status == wanted:
            return
        if wanted == "RUNNING":
            index.client.update_run(shown.run_id, status="RUNNING")
            shown.status = wanted
        else:
            self._terminate(index, shown, wanted, 0 if wanted == "KILLED" else tree.end(view))

    def _terminate(self, index: RunIndex, shown: Shown, status: str, end: int) -> None:
        look_before(self.workdir)
        index.client.set_terminated(shown.run_id, status, max(end or _now(), shown.start))
        shown.status = status


class _Tree:
    """When runs began and ended, those below them included."""

    def __init__(self, views: Sequence[RunView], index: RunIndex) -> None:
        self.index = index
        self.below: dict[tuple[str, ...], list[RunView]] = {}
        for view in views:
            if view.parent is not None:
                self.below.setdefault(view.parent, []).append(view)

    def start(self, view: RunView) -> int:
        """Time (ms) of the first value in the run and below it; 0 if there is none."""
        times = [span(view.parts, None)[0], *map(self.start, self.below.get(view.key, ()))]
        return min((time for time in times if time), default=0)

    def end(self, view: RunView) -> int:
        """Time (ms) of the newest value in the run and below it; 0 if there is none."""
        shown = self.index.find(view.key)
        own = span(view.parts, shown.sent if shown else None)[1]
        return max([own, view.summary_time, *map(self.end, self.below.get(view.key, ()))])


def _parents_first(views: Sequence[RunView]) -> list[RunView]:
    known = {view.key: view for view in views}
    above = {view.key: known.keys() & {view.parent} for view in known.values()}
    return [known[key] for key in TopologicalSorter(above).static_order()]


def _summary_lines(view: RunView, sent: Sent) -> list[JournalLine]:
    """Summary values that changed; a changed one is later than the one it replaces."""
    lines = []
    for name, value in view.summary.items():
        at = view.summary_time
        if name in sent.summary:
            before, then = sent.summary[name]
            if before == value or (math.isnan(before) and math.isnan(value)):
                continue
            at = max(at, then + 1)
        lines.append(JournalLine(0, name, float(value), at))
    return lines


def _now() -> int:
    return time.time_ns() // 1_000_000
