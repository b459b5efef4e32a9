"""A sweep on two nodes, one of which is killed in the middle: nothing is lost, nothing twice.

HARNESS_CLUSTER_TRIALS (6) says how many settings the sweep tries.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
import yaml
from cluster_material import TwoNodes, two_nodes
from tiny_material import same, values_of

from harness.base.files import read_json, sha256_file
from harness.records.folder import JobFolder

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

TRIALS = int(os.environ.get("HARNESS_CLUSTER_TRIALS", "6"))
EXPERIMENT: dict[str, Any] = {
    "name": "two-nodes",
    "data": {
        "source": "phantom",
        "phantom": {"patients": 6, "slices": 12, "spacing_mm": [4.0, 3.0, 3.0]},
        "roles": {"validation": 0.34, "test": 0.17},
        "spacing_mm": 3.0,
    },
    "mask": {"width": 4, "latent": 8},
    "metrics": {"images": 10, "scored_epochs": 1},
    "sweep": {
        "segmentation": None,
        "image": None,
        "seeds": 1,
        "wave": 3,
        "mask": {
            "trials": TRIALS,
            "space": {
                "batch_size": {"values": [4, 8]},
                "optimiser.learning_rate": {"low": 1e-4, "high": 1e-3, "log": True},
                "schedule.epochs": {"values": [6, 12]},
            },
        },
    },
    "compute": {"device": "cpu", "precision": "float32", "threads": 1},
    "tracking": {"enabled": False},
}
KILL_AT = 3
"""Epoch of a training on the other node at which that node is killed, at the earliest."""


def sweep(file: Path, workdir: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from harness.cli import main; main()", "sweep", str(file)]
    with open(workdir.with_suffix(".log"), "ab") as log:
        return subprocess.Popen(
            [*command, "--stage", "mask", "--workdir", str(workdir), *options],
            stdout=subprocess.DEVNULL,
            stderr=log,
        )


def said(workdir: Path) -> str:
    return workdir.with_suffix(".log").read_text()


def trials(workdir: Path) -> list[Any]:
    """Every trial of every study: number, parameters, state, values, whose readout it is."""
    found = []
    for path in sorted((workdir / "studies").glob("*.db")):
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
        for name in optuna.get_all_study_names(storage):
            asked = optuna.load_study(study_name=name, storage=storage).get_trials()
            found += [
                (t.number, t.params, t.state.name, t.values, t.user_attrs.get("readout_of"))
                for t in asked
            ]
        storage.engine.dispose()
    return found


def jobs(workdir: Path) -> list[JobFolder]:
    return [JobFolder(path.parent) for path in sorted(workdir.glob("jobs/*/*/spec.json"))]


def results(workdir: Path) -> dict[str, Any]:
    """Values of every result of every job."""
    made = {}
    for path in sorted(workdir.glob("jobs/*/*/**/result.json")):
        made[str(path.relative_to(workdir))] = read_json(path)["values"]
    return made


def weights(workdir: Path) -> dict[str, str]:
    found = sorted(workdir.glob("jobs/*/*/readouts/*/weights.safetensors"))
    return {str(path.relative_to(workdir)): sha256_file(path) for path in found}


def trains_on(raylet: int, workdir: Path) -> bool:
    """Whether a training has come to epoch `KILL_AT` in a worker of this raylet."""
    workers = {child.pid for child in psutil.Process(raylet).children(recursive=True)}
    for path in workdir.glob("jobs/mask-stage/*/lease.json"):
        folder = JobFolder(path.parent)
        if not folder.journal.exists() or read_json(path)["pid"] not in workers:
            continue
        if max((step for step, _ in values_of(folder)), default=0) >= KILL_AT:
            return True
    return False


def kill_in_the_middle(
    nodes: TwoNodes, running: Callable[[], bool], workdir: Path, seconds: float = 300.0
) -> None:
    raylet = nodes.other.all_processes["raylet"][0].process.pid
    limit = time.monotonic() + seconds
    while True:
        assert running(), said(workdir)[-3000:]
        assert time.monotonic() < limit
        try:
            if trains_on(raylet, workdir):
                break
        except FileNotFoundError:  # a lease that was given back meanwhile
            continue
        time.sleep(0.02)
    nodes.kill_other()


def test_a_sweep_that_loses_a_node_ends_as_one_without_a_cluster(tmp_path: Path) -> None:
    file = tmp_path / "two-nodes.yaml"
    file.write_text(yaml.safe_dump(EXPERIMENT, sort_keys=False))
    workdir, alone = tmp_path / "cluster", tmp_path / "alone"
    begun = time.monotonic()
    with two_nodes() as nodes:
        command = sweep(file, workdir, "--engine", "ray", "--address", nodes.address)
        try:
            kill_in_the_middle(nodes, lambda: command.poll() is None, workdir)
            killed = time.monotonic() - begun
            done = len(list(workdir.glob("jobs/mask-score/*/result.json")))
            assert command.wait() == 0, said(workdir)[-3000:]
        finally:
            command.kill()
    print(f"{TRIALS} trials; node killed after {killed:.1f} s with {done} scores made")
    print(f"ended after {time.monotonic() - begun:.1f} s")
    assert "died; goes on from its saved state" in said(workdir)
    again = sweep(file, alone, "--engine", "inline")
    assert again.wait() == 0, said(alone)[-3000:]
    found = trials(workdir)
    assert [number for number, *_ in found] == list(range(len(found)))
    assert sum(of is None for *_, of in found) == TRIALS, "the others are readouts on the way"
    assert {state for _, _, state, *_ in found} == {"COMPLETE"}
    assert found == trials(alone)
    assert results(workdir) == results(alone)
    assert weights(workdir) == weights(alone)
    assert len(weights(workdir)) >= TRIALS
    for ours, theirs in zip(jobs(workdir), jobs(alone), strict=True):
        assert ours.spec() == theirs.spec()
        assert ours.failure() is None
        if ours.journal.exists():
            same(values_of(ours), values_of(theirs))  # where a line that stands twice fails
    left = [p.name for p in workdir.rglob("*") if p.name.endswith(("lease.json", ".mark", ".tmp"))]
    assert not left
