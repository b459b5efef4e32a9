"""Everything at once: a team's servers, and a cluster that loses a node in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories.chaos import finish, mlflow, studies, written
from factories.cluster import EXPERIMENT, assert_every_trial_once, sweep_that_loses_a_node
from factories.servers import Team, assert_same_sweep, on_servers

from harness.jobs.identity import folder_identity

pytestmark = [pytest.mark.servers, pytest.mark.cluster, pytest.mark.timeout(1800)]


def test_a_sweep_that_loses_a_node_ends_as_one_without_cluster_and_servers(
    team: Team, tmp_path: Path
) -> None:
    tracked = {**EXPERIMENT, "tracking": {"sample_grids": 3}}
    workdir, alone = tmp_path / "cluster", tmp_path / "alone"
    sweep_that_loses_a_node(written(tmp_path / "two.yaml", on_servers(team, tracked)), workdir)
    finish(written(tmp_path / "alone.yaml", tracked), alone, "--engine", "inline")
    assert_every_trial_once(team.studies(folder_identity(workdir)))
    assert_same_sweep(team, workdir, alone)
    assert len(studies(alone)) == 1
    assert set(mlflow(alone)[0]) == {"FINISHED"}
