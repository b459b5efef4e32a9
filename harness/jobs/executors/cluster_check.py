"""Is each node fit: does it see the work folder at the same path, and have the same harness?"""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.base.errors import EnvironmentFault, HarnessError
from harness.base.files import write_text
from harness.jobs.executors.cluster import Node
from harness.jobs.executors.ray_worker import differences, look

# A node under load starts a process and imports PyTorch before it answers.
ANSWER_SECONDS = 180.0


class Mark:
    """A small file in the work folder that every node must be able to read back.

    Each has a new name: a network file system may remember for a while that a name was not there.
    """

    def __init__(self, root: Path) -> None:
        for left in root.glob("cluster-*.mark"):  # of a killed driver
            left.unlink(missing_ok=True)
        token = secrets.token_hex(8)
        self.path = root / f"cluster-{token}.mark"
        write_text(self.path, token)
        self._seen = look(str(self.path))

    def compare(self, seen: Mapping[str, Any], node: str) -> None:
        """Refuse a node that saw something else than the driver does.

        Raises:
            EnvironmentFault: the work folder is not there, or its harness is another one.
        """
        for difference in differences(self._seen, seen):
            raise EnvironmentFault(
                "every node of the Ray cluster must see the work folder at the same path and have "
                f"the same harness, but got node {node}: {difference}; mount "
                f"{self.path.parent} and install harness {self._seen['version']} there, or leave "
                "the node out"
            )

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def ask(
    ray: Any, among: Sequence[Node], question: Callable[..., Any], *given: Any, gpu: bool = False
) -> list[tuple[Node, Any]]:
    """Call a function of harness on each of the nodes, all at once.

    Args:
        gpu: whether it needs to see the node's GPU.

    Raises:
        EnvironmentFault: a node cannot run harness, or does not answer.
        HarnessError: what the function raised.
    """
    asked = {tell(ray, node.id, question, *given, gpu=gpu): node for node in among}
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_SECONDS)
    for reference in silent:
        raise EnvironmentFault(
            f"every node of the Ray cluster must answer within {ANSWER_SECONDS:.0f} s, but got "
            f"node {asked[reference].name} silent; see to it, or leave it out"
        )
    return [(asked[reference], _answer(ray, reference, asked[reference])) for reference in answered]


def tell(ray: Any, node: str, action: Callable[..., Any], *given: Any, gpu: bool = False) -> Any:
    """Call a function of harness on a node, by its id; returns the answer's reference."""
    strategies = importlib.import_module("ray.util.scheduling_strategies")
    task = ray.remote(action).options(
        # It takes no CPU, and next to no GPU: it runs also where all are in use.
        num_cpus=0,
        num_gpus=0.001 if gpu else 0,
        max_retries=0,
        scheduling_strategy=strategies.NodeAffinitySchedulingStrategy(node, soft=False),
    )
    return task.remote(*given)


def _answer(ray: Any, reference: Any, node: Node) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, HarnessError):
            raise cause from None
        raise EnvironmentFault(
            f"every node of the Ray cluster must be able to run harness, but got node {node.name}: "
            f"{last_line(error)}; install harness there, or leave the node out"
        ) from error


def last_line(error: Exception) -> str:
    """Of a remote traceback: what went wrong."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
