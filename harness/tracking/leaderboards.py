"""Leaderboards: a sorted table of a sweep's trials or a comparison's arms, with columns.

Each is kept as a tag of the experiment: MLflow's pages open a table as such a tag describes it.
Nobody documents the tag; a version that does not know it shows its plain table of runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from harness.tracking.mlflow_format import clean_name
from harness.tracking.run_view import RunView

SHARED_VIEW = "mlflow.sharedViewState."
_SUFFIX = "-leaderboard"
_TAG_LENGTH = 5000  # of an experiment's tag, by MLflow's limit
_LISTED = {"sweep": "trial", "comparison": "arm"}
"""What a table lists, by the kind of run that has them below it."""
_OVERVIEW = (
    "tags.`verdict`",
    "metrics.`quality/kid`",
    "params.`batch_size`",
    "params.`learning_rate`",
    "params.`epochs`",
    "metrics.`validation/dice`",
    "metrics.`test/dice`",
)
"""Columns of the table of all runs."""


def leaderboard_tags(views: Sequence[RunView]) -> dict[str, str]:
    """Tags of the experiment: one for all runs as a tree, one for each stage whose sweep has trials
    to show, one for the arms.

    A sweep's newest study is the one shown: an earlier one, of another space, would mix other
    columns in.
    """
    tags = {f"{SHARED_VIEW}runs{_SUFFIX}": _state("", "attributes.start_time", False, _OVERVIEW)}
    for top in views:
        listed = _LISTED.get(top.tags.get("kind", ""))
        if listed is None or "objective" not in top.params:
            continue
        below = [view for view in views if view.parent == top.key]
        rows = [view for view in below if view.tags.get("kind") == listed]
        if not rows:
            continue
        where = {"kind": listed, **{n: top.tags[n] for n in ("stage", "study") if n in top.tags}}
        text = _state(
            " and ".join(f'tags.{name} = "{value}"' for name, value in where.items()),
            f"metrics.`{clean_name(top.params['objective'])}`",
            top.params.get("direction") != "maximize",
            _columns(top.params["objective"], rows),
        )
        if len(text) <= _TAG_LENGTH:
            tags[f"{SHARED_VIEW}{top.tags.get('stage', 'arms')}{_SUFFIX}"] = text
    return tags


def _columns(objective: str, rows: Sequence[RunView]) -> list[str]:
    """Verdict, scores, settings; MLflow groups them by kind and sorts each group by name.

    Of a GAN's scores the objective alone: seven of them would push the verdict out of sight.
    """
    scores = [name for row in rows for name in row.summary if not name.startswith("quality/")]
    names = [f"metrics.`{clean_name(name)}`" for name in (objective, *scores)]
    names += [f"params.`{clean_name(name)}`" for row in rows for name in row.params]
    return (["tags.`verdict`"] if any("verdict" in row.tags for row in rows) else []) + names


def _state(where: str, order: str, ascending: bool, columns: Sequence[str]) -> str:
    """How MLflow writes down what a table of runs looks like."""
    state = {
        "searchFilter": where,
        "orderByKey": order,
        "orderByAsc": ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(dict.fromkeys(columns)),
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
    }
    return json.dumps(state, separators=(",", ":"))


def leaderboard_names(tags: Mapping[str, str]) -> dict[str, str]:
    """Leaderboards among the tags of an experiment: the tag's own name by stage, "arms" or
    "runs"."""
    names = [tag.removeprefix(SHARED_VIEW) for tag in tags if tag.startswith(SHARED_VIEW)]
    return {name.removesuffix(_SUFFIX): name for name in names if name.endswith(_SUFFIX)}
