"""A real Ray cluster on loopback: nodes of one CPU each, in processes of their own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest


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
