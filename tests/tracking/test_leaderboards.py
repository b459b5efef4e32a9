"""Leaderboards: tags of the experiment that MLflow's pages read, in a real store."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from harness.base.text import DASH
from harness.tracking.leaderboards import (
    SHARED_VIEW,
    leaderboard_names,
    leaderboard_tags,
    score_tags,
)
from harness.tracking.run_view import RunView
from harness.tracking.store import open_client, resolve
from harness.tracking.sync import MlflowSync

OVERVIEW = f"{SHARED_VIEW}runs-leaderboard"
TOP = ("sweep-mask", "mask-abc")


def sweep(direction: str = "minimize", **params: str) -> list[RunView]:
    tags = {"stage": "mask", "study": "mask-abc"}
    asked = {"objective": "quality/kid", "direction": direction}
    trial = RunView(
        (*TOP, "trial-0000"),
        "t",
        TOP,
        params,
        {"kind": "trial", "failed_seeds": "0", "verdict": "healthy", **tags},
        summary={"quality/fid": 80.0, "quality/kid": 0.1},
    )
    return [RunView(TOP, "sweep mask", None, asked, {"kind": "sweep", **tags}), trial]


def stored(workdir: Path) -> dict[str, str]:
    found = open_client(resolve(workdir, None)).get_experiment_by_name("demo")
    assert found is not None
    return boards(found.tags)


def boards(tags: Mapping[str, str]) -> dict[str, str]:
    """Shared tables but that of all runs, which every experiment has."""
    names = [name for name in tags if name.startswith(SHARED_VIEW)]
    assert OVERVIEW in names
    return {name: tags[name] for name in names if name != OVERVIEW}


def test_the_store_describes_a_table_of_the_trials(workdir: Path) -> None:
    MlflowSync(workdir, "demo", None).sync(sweep(batch_size="12", beta1="0.5"))
    (name,) = stored(workdir)
    state = json.loads(stored(workdir)[name])
    assert state["orderByKey"] == "metrics.`quality/kid`"
    assert state["orderByAsc"] is True
    assert state["selectedColumns"] == [
        "tags.`verdict`", "tags.`KID`", "params.`batch_size`", "params.`beta1`",
    ]  # fmt: skip
    assert state["columnOrder"][2:] == state["selectedColumns"]
    assert state["columnWidths"].keys() == set(state["columnOrder"])
    assert leaderboard_names(stored(workdir)) == {"mask": "mask-leaderboard"}
    # The words find the trial and nothing else.
    client = open_client(resolve(workdir, None))
    experiment = client.get_experiment_by_name("demo")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], state["searchFilter"])
    assert [run.info.run_name for run in found] == ["t"]


def test_a_new_axis_is_a_new_column_and_a_replay_changes_nothing(workdir: Path) -> None:
    mlflow_sync = MlflowSync(workdir, "demo", None)
    mlflow_sync.sync(sweep(a="1"))
    before = stored(workdir)
    mlflow_sync.sync(sweep(a="1"))
    MlflowSync(workdir, "demo", None).sync(sweep(a="1"))
    assert stored(workdir) == before
    mlflow_sync.sync(sweep(a="1", b="2"))
    (text,) = stored(workdir).values()
    assert json.loads(text)["selectedColumns"][2:4] == ["params.`a`", "params.`b`"]


def test_the_greatest_comes_first_where_it_is_the_best() -> None:
    (text,) = boards(leaderboard_tags(sweep("maximize"))).values()
    assert json.loads(text)["orderByAsc"] is False


def test_a_table_shows_scores_by_title_in_three_digits() -> None:
    scores = {"quality/kid": 0.09966236, "test/hd95_mm": 5.18834, "validation/dice": math.nan}
    assert score_tags(scores) == {"KID": "0.0997", "test hd95 mm": "5.19", "validation dice": DASH}


def test_nothing_to_show_is_no_leaderboard(workdir: Path) -> None:
    assert boards(leaderboard_tags(sweep()[:1])) == {}
    comparison = RunView(("comparison",), "c", tags={"kind": "comparison"})
    assert boards(leaderboard_tags([comparison])) == {}
    MlflowSync(workdir, "demo", None).sync([RunView(("a",), "a", status="finished")])
    assert stored(workdir) == {}
