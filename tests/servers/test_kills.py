"""A team's servers and everything at once: random kills, and a node of a cluster that is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos_material import KILLS, SEED, finish, killed_at_random, mlflow, studies, written
from cluster_material import EXPERIMENT, assert_every_trial_once, sweep_that_loses_a_node
from servers_material import Team, assert_same_sweep, on_servers

from harness.records.identity import folder_identity

pytestmark = [pytest.mark.servers, pytest.mark.timeout(5400)]


def test_a_sweep_killed_at_random_ends_as_an_uninterrupted_one_without_servers(
    team: Team, reference: Path, tmp_path: Path
) -> None:
    file = written(tmp_path / "chaos.yaml", on_servers(team))
    kills = killed_at_random(file, tmp_path / "killed", KILLS, SEED)
    assert kills >= min(KILLS, 2), "the kills came too late to say anything"
    assert_same_sweep(team, tmp_path / "killed", reference)


@pytest.mark.cluster
def test_a_sweep_that_loses_a_node_ends_as_one_without_cluster_and_servers(
    team: Team, tmp_path: Path
) -> None:
    tracked = {**EXPERIMENT, "tracking": {"pictures": 3}}
    workdir, alone = tmp_path / "cluster", tmp_path / "alone"
    sweep_that_loses_a_node(written(tmp_path / "two.yaml", on_servers(team, tracked)), workdir)
    finish(written(tmp_path / "alone.yaml", tracked), alone, "--engine", "inline")
    assert_every_trial_once(team.studies(folder_identity(workdir)))
    assert_same_sweep(team, workdir, alone)
    assert len(studies(alone)) == 1
    assert set(mlflow(alone)[0]) == {"FINISHED"}
