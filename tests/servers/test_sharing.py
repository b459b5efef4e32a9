"""A sweep whose study and runs lie on a team's servers is the sweep that it is without them."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos_material import (
    KILLS,
    SEED,
    assert_same_results,
    assert_same_runs,
    finish,
    killed_at_random,
    mlflow,
    studies,
    tail,
    written,
)
from conftest import Team, on_servers

from harness.records.identity import folder_identity

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]


def assert_same_sweep(team: Team, workdir: Path, reference: Path) -> None:
    """Trials, scores, weights and runs are those of the sweep without servers."""
    folder = folder_identity(workdir)
    assert team.studies(folder) == studies(reference)
    assert_same_results(workdir, reference)
    assert_same_runs(team.runs(folder), mlflow(reference))


def test_a_sweep_on_servers_is_the_same(team: Team, reference: Path, tmp_path: Path) -> None:
    file, workdir = written(tmp_path / "team.yaml", on_servers(team)), tmp_path / "work"
    finish(file, workdir, "--workers", "2")
    assert_same_sweep(team, workdir, reference)
    assert not list(workdir.glob("studies/*.db"))
    assert "warning" not in tail(workdir)
    holders = [
        path for path in tmp_path.rglob("*") if path.is_file() and holds(path, team.password)
    ]
    assert not holders


def holds(path: Path, secret: str) -> bool:
    return secret.encode() in path.read_bytes()


def test_a_sweep_on_servers_killed_at_random_ends_as_an_undisturbed_one(
    team: Team, reference: Path, tmp_path: Path
) -> None:
    file = written(tmp_path / "team.yaml", on_servers(team))
    kills = killed_at_random(
        file, tmp_path / "killed", min(KILLS, 2) if KILLS == 3 else KILLS, SEED
    )
    assert kills
    assert_same_sweep(team, tmp_path / "killed", reference)
