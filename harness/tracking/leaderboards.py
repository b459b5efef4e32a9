"""Leaderboards: a sorted table of a sweep's trials or a comparison's arms, with columns.

Each is kept as a tag of the experiment: MLflow's pages open a table as such a tag describes it.
Nobody documents the tag; a version that does not know it shows its plain table of runs.

MLflow shows a metric with all its digits, cut off at the column's edge. A table is therefore sorted
by the metric and shows the run's tag of the score's title, which holds it in three digits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from harness.base.text import short
from harness.metrics.records import record_of, title_of
from harness.tracking.mlflow_format import clean_name
from harness.tracking.run_view import RunView

SHARED_VIEW = "mlflow.sharedViewState."
_SUFFIX = "-leaderboard"
_TAG_LENGTH = 5000  # of an experiment's tag, by MLflow's limit
_LISTED = {"sweep": "trial", "comparison": "arm"}
"""What a table lists, by the kind of run that has them below it."""
_NAME, _CREATED = "attributes.`Run Name`", "runDateAndNestInfo"
_DESCRIPTION, _VERDICT = "attributes.`Description`", "tags.`verdict`"
_WIDTHS = {_CREATED: 130, _DESCRIPTION: 300, _VERDICT: 150}
"""MLflow shows some 40 letters of a description, however wide its column is."""


def leaderboard_tags(views: Sequence[RunView]) -> dict[str, str]:
    """Tags of the experiment: one for all runs as a tree, one for each stage whose sweep has trials
    to show, one for the arms.

    A sweep's newest study is the one shown: an earlier one, of another space, would mix other
    columns in.
    """
    objectives = [view.params.get("objective", "") for view in views]
    decided = [name for name in objectives if name.startswith("test/")]
    scores = map(_column, ("quality/kid", *decided, "test/dice", "validation/dice"))
    overview = _state("", "attributes.start_time", False, [_DESCRIPTION, _VERDICT, *scores])
    tags = {f"{SHARED_VIEW}runs{_SUFFIX}": overview}
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
    """Verdict, scores, settings.

    Of a GAN's scores the objective alone: seven of them would push the verdict out of sight.
    """
    scores = [name for row in rows for name in row.summary if not name.startswith("quality/")]
    names = [_column(name) for name in (objective, *scores)]
    names += [f"params.`{clean_name(name)}`" for row in rows for name in row.params]
    return ([_VERDICT] if any("verdict" in row.tags for row in rows) else []) + names


def score_tags(scores: Mapping[str, float | None]) -> dict[str, str]:
    """Scores as a table shows them: title, and the value in three digits."""
    return {_title(name): short(value) for name, value in scores.items()}


def _title(name: str) -> str:
    return title_of(name) if record_of(name) else name.replace("/", " ").replace("_", " ")


def _column(score: str) -> str:
    return f"tags.`{_title(score)}`"


def _state(where: str, order: str, ascending: bool, columns: Sequence[str]) -> str:
    """How MLflow writes down what a table of runs looks like."""
    shown = list(dict.fromkeys(columns))
    widths = {name: max(80, 24 + 7 * len(name.split("`")[1])) for name in shown} | _WIDTHS
    widths[_NAME] = 190 if where else 235  # names of a tree are indented
    places = [_NAME, _CREATED, *shown]
    state = {
        "searchFilter": where,
        "orderByKey": order,
        "orderByAsc": ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": shown,
        "columnOrder": places,
        "columnWidths": {name: widths[name] for name in places},
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
