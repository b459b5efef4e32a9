"""What a tracker should show: runs, their place in the tree, and the journals behind them.

Planners describe, `tracking` shows. A view holds no values of its own but summaries; curves and
pictures come from the job folders it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class JournalPart:
    """One job folder behind a run.

    Attributes:
        folder: the job's folder (journal.jsonl, covered.json, samples/).
        until: last step (epoch) to show, None for all: a trial shows its own part of a training.
        after: steps up to this one are left to another part: a decay's journal begins with those
            of the phase that it goes on from.
        whole: the job is finished and has no covered.json of its own: all lines count.
    """

    folder: Path
    until: int | None = None
    after: int = 0
    whole: bool = False


@dataclass(frozen=True)
class RunView:
    """One MLflow run.

    Attributes:
        key: identity within the experiment, e.g. ("sweep-mask", "trial-003", "seed-1").
        name: what people read.
        parent: key of the enclosing run, None at the top.
        params: settings, shown as parameters (str -> str).
        tags: further tags (kind, stage, unit notes).
        parts: job folders whose journals and samples belong to the run.
        summary: values that stand at the run itself (e.g. means over seeds), logged at step 0.
        summary_time: milliseconds since 1970 of the summary; fixed, so that a replay is identical.
        note: markdown shown on the run's page.
        artifacts: files to attach, once, under their name in a folder: (path, folder).
        status: "running", "finished" or "failed".
    """

    key: tuple[str, ...]
    name: str
    parent: tuple[str, ...] | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[JournalPart, ...] = ()
    summary: Mapping[str, float] = field(default_factory=dict)
    summary_time: int = 0
    note: str = ""
    artifacts: tuple[tuple[Path, str], ...] = ()
    status: Literal["running", "finished", "failed"] = "running"
