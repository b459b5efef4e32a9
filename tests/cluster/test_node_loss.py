"""A sweep on two nodes, one of which is killed in the middle: nothing is lost, nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories.chaos import assert_same_results, finish, studies, sums, written
from factories.cluster import (
    EXPERIMENT,
    TRIALS,
    assert_every_trial_once,
    sweep_that_loses_a_node,
)
from factories.tiny import failure_of

from harness.jobs.folder import JobFolder

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


def jobs(workdir: Path) -> list[JobFolder]:
    return [JobFolder(path.parent) for path in sorted(workdir.glob("jobs/*/*/spec.json"))]


def test_a_sweep_that_loses_a_node_ends_as_one_without_a_cluster(tmp_path: Path) -> None:
    file = written(tmp_path / "two-nodes.yaml", EXPERIMENT)
    workdir, alone = tmp_path / "cluster", tmp_path / "alone"
    sweep_that_loses_a_node(file, workdir)
    finish(file, alone, "--engine", "inline")
    assert_every_trial_once(studies(workdir))
    assert studies(workdir) == studies(alone)
    assert_same_results(workdir, alone)
    assert len(sums(workdir, "jobs/*/*/checkpoints/*/weights.safetensors")) >= TRIALS
    assert [job.spec() for job in jobs(workdir)] == [job.spec() for job in jobs(alone)]
    assert not [job for job in jobs(workdir) if failure_of(job) is not None]
    left = [p.name for p in workdir.rglob("*") if p.name.endswith(("lease.json", ".mark", ".tmp"))]
    assert not left
