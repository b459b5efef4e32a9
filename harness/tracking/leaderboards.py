"""Leaderboards: a sorted table of a sweep's trials or a comparison's arms, with columns.

Each is kept as a tag of the experiment: MLflow's pages open a table as such a tag describes it.
Nobody documents the tag; a version that does not know it shows its plain table of runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.tracking.mlflow_format import clean_name
from harness.tracking.run_view import RunView

SHARED_VIEW = "mlflow.sharedViewState."
_SUFFIX = "-leaderboard"
_TAG_LENGTH = 5000  # of an experiment's tag, by MLflow's limit
_LISTED = {"sweep": "trial", "comparison": "arm"}
"""What a table lists, by the kind of run that has them below it."""


def leaderboard_tags(views: Sequence[RunView]) -> dict[str, str]:
    """Tags of the experiment: one for each stage whose sweep has trials to show, one for the arms.

    A sweep's newest study is the one shown: an earlier one, of another space, would mix other
    columns in.
    """
    tags = {}
    for top in views:
        listed = _LISTED.get(top.tags.get("kind", ""))
        if listed is None or "objective" not in top.params:
            continue
        below = [view for view in views if view.parent == top.key]
        rows = [view for view in below if view.tags.get("kind") == listed]
        if not rows:
            continue
        where = {"kind": listed, **{n: top.tags[n] for n in ("stage", "study") if n in top.tags}}
        text = json.dumps(_state(where, top.params, rows), separators=(",", ":"))
        if len(text) <= _TAG_LENGTH:
            tags[f"{SHARED_VIEW}{top.tags.get('stage', 'arms')}{_SUFFIX}"] = text
    return tags


def _state(
    where: Mapping[str, str], top: Mapping[str, str], rows: Sequence[RunView]
) -> dict[str, Any]:
    """How the table looks, best rows first.

    Columns: the verdict, what the table is sorted by, settings, other scores, failed seeds.
    """
    objective = f"metrics.`{clean_name(top['objective'])}`"
    tags = {name for row in rows for name in row.tags}
    columns = ["tags.`verdict`"] if "verdict" in tags else []
    columns += [objective, *(f"params.`{clean_name(n)}`" for row in rows for n in row.params)]
    columns += [f"metrics.`{clean_name(name)}`" for row in rows for name in row.summary]
    columns += ["tags.`failed_seeds`"] if "failed_seeds" in tags else []
    return {
        "searchFilter": " and ".join(f'tags.{name} = "{text}"' for name, text in where.items()),
        "orderByKey": objective,
        "orderByAsc": top.get("direction") != "maximize",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(dict.fromkeys(columns)),
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
    }


def leaderboard_names(tags: Mapping[str, str]) -> dict[str, str]:
    """Leaderboards among the tags of an experiment: the tag's own name by stage, or "arms"."""
    names = [tag.removeprefix(SHARED_VIEW) for tag in tags if tag.startswith(SHARED_VIEW)]
    return {name.removesuffix(_SUFFIX): name for name in names if name.endswith(_SUFFIX)}
