"""Leaderboards: a stage's trials as a sorted table with columns, kept as a tag of the experiment.

MLflow's pages open a table as such a tag describes it. Nobody documents the tag; a version that
does not know it shows its plain table of runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.tracking.mlflow_format import clean_name
from harness.tracking.run_view import RunView

SHARED = "mlflow.sharedViewState."
_SUFFIX = "-leaderboard"
_TAG_LENGTH = 5000  # of an experiment's tag, by MLflow's limit


def leaderboard_tags(views: Sequence[RunView]) -> dict[str, str]:
    """Tags of the experiment, one for each stage whose sweep has trials to show.

    Columns: the objective, how many seeds failed, the verdict, then the settings. A trial's newest
    study is the one shown: an earlier one, of another space, would mix other columns in.
    """
    found = {}
    for top in views:
        if top.tags.get("kind") != "sweep" or "objective" not in top.params:
            continue
        trials = [view for view in views if view.parent == top.key]
        params = list(dict.fromkeys(name for view in trials for name in view.params))
        if not trials:
            continue
        stage, study = top.tags["stage"], top.tags.get("study", "")
        where = f'tags.kind = "trial" and tags.stage = "{stage}"'
        where += f' and tags.study = "{study}"' if study else ""
        text = json.dumps(_state(where, top.params, params), separators=(",", ":"))
        if len(text) <= _TAG_LENGTH:
            found[f"{SHARED}{stage}{_SUFFIX}"] = text
    return found


def _state(where: str, sweep: Mapping[str, str], params: Sequence[str]) -> dict[str, Any]:
    objective = f"metrics.`{clean_name(sweep['objective'])}`"
    columns = [objective, "tags.`failed_seeds`", "tags.`verdict`"]
    columns += [f"params.`{clean_name(name)}`" for name in params]
    return {
        "searchFilter": where,
        "orderByKey": objective,
        "orderByAsc": sweep.get("direction") != "maximize",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
    }


def leaderboard_names(tags: Mapping[str, str]) -> dict[str, str]:
    """Leaderboards among the tags of an experiment: the tag's own name by stage."""
    names = [tag.removeprefix(SHARED) for tag in tags if tag.startswith(SHARED)]
    return {name.removesuffix(_SUFFIX): name for name in names if name.endswith(_SUFFIX)}
