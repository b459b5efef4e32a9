"""A real Ray cluster on loopback: nodes of one CPU each, in processes of their own; a sweep for it.

HARNESS_CLUSTER_TRIALS (6) says how many settings the sweep tries.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from factories.chaos import PHANTOMS, Command, started, tail
from factories.tiny import values_of

from harness.base.files import read_json
from harness.jobs.folder import JobFolder

TRIALS = int(os.environ.get("HARNESS_CLUSTER_TRIALS", "6"))
EXPERIMENT: dict[str, Any] = {
    "name": "two-nodes",
    "data": PHANTOMS,
    "mask": {"width": 4, "latent": 8},
    "metrics": {"images": 10, "scored_epochs": 1},
    "sweep": {
        "segmentation": None,
        "image": None,
        "seeds": 1,
        "trials_per_batch": 3,
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


class TwoNodes:
    """A cluster of a head and one more node.

    Attributes:
        address: of the cluster.
        other: the node that is not the head.
    """

    def __init__(self, cpus: int = 1, head_cpus: int = 1) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        head = {"num_cpus": head_cpus, "num_gpus": 0, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address: str = self._cluster.address
        self.other: Any = self.join(num_cpus=cpus, num_gpus=0)

    def join(self, **declared: Any) -> Any:
        return self._cluster.add_node(**declared)

    def kill_other(self) -> None:
        """SIGKILL to every process of the other node."""
        self._cluster.remove_node(self.other, allow_graceful=False)

    def end(self) -> None:
        self._cluster.shutdown()


@contextlib.contextmanager
def two_nodes(**declared: int) -> Iterator[TwoNodes]:
    """Skips where ray is not installed."""
    pytest.importorskip("ray", reason="ray is not installed (pip install 'harness[distributed]')")
    made = TwoNodes(**declared)
    try:
        yield made
    finally:
        made.end()


def sweep_that_loses_a_node(file: Path, workdir: Path) -> None:
    """Run the sweep on two nodes to its end; the other node is killed while it trains."""
    begun = time.monotonic()
    with (
        two_nodes() as nodes,
        started(file, workdir, "--engine", "ray", "--address", nodes.address) as command,
    ):
        _kill_in_the_middle(nodes, command, workdir)
        killed = time.monotonic() - begun
        done = len(list(workdir.glob("jobs/mask-score/*/result.json")))
        assert command.process.wait() == 0, tail(workdir)
    print(f"{TRIALS} trials; node killed after {killed:.1f} s with {done} scores made")
    print(f"ended after {time.monotonic() - begun:.1f} s")
    assert "died; goes on from its saved state" in workdir.with_suffix(".log").read_text()


def _kill_in_the_middle(
    nodes: TwoNodes, command: Command, workdir: Path, seconds: float = 300.0
) -> None:
    raylet = nodes.other.all_processes["raylet"][0].process.pid
    limit = time.monotonic() + seconds
    while True:
        assert not command.ended(), tail(workdir)
        assert time.monotonic() < limit
        try:
            if _trains_on(raylet, workdir):
                break
        except FileNotFoundError:  # a lease that was given back meanwhile
            continue
        time.sleep(0.02)
    nodes.kill_other()


def _trains_on(raylet: int, workdir: Path) -> bool:
    """Whether a training has come to epoch `KILL_AT` in a worker of this raylet."""
    workers = {child.pid for child in psutil.Process(raylet).children(recursive=True)}
    for path in workdir.glob("jobs/mask-stage/*/lease.json"):
        folder = JobFolder(path.parent)
        if not folder.journal.exists() or read_json(path)["pid"] not in workers:
            continue
        if max((step for step, _ in values_of(folder)), default=0) >= KILL_AT:
            return True
    return False


def assert_every_trial_once(studies: dict[str, Any]) -> None:
    """Of the one study: every setting asked for is told, the others are checkpoints on the way."""
    [trials] = studies.values()
    assert [number for number, *_ in trials] == list(range(len(trials)))
    assert {state.name for _, _, state, *_ in trials} == {"COMPLETE"}
    assert sum("checkpoint_of" not in attributes for *_, attributes in trials) == TRIALS
