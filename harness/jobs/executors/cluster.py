"""A Ray cluster: the connection to it, and what its nodes declare.

Ray is imported when a cluster is asked for, never before.
"""

from __future__ import annotations

import importlib
import os
import secrets
import socket
import sys
from dataclasses import dataclass
from typing import Any

from harness.base.errors import EnvironmentFault
from harness.base.text import counted

CONNECT_SECONDS = 10.0
# The least that Ray takes: only requests and outcomes travel, all else goes by the work folder.
STORE_BYTES = 80 * 2**20


@dataclass(frozen=True)
class Need:
    """What a request takes of one node: CPUs (threads), and a share of a GPU."""

    cpus: int
    gpus: float = 0.0


@dataclass(frozen=True)
class Node:
    """A living node and what it declares."""

    id: str
    name: str
    cpus: float
    gpus: float

    def holds(self, need: Need) -> int:
        """How many such requests it can run at once."""
        by_cpu = int(self.cpus // need.cpus)
        # A hair more, for shares such as 1/3 that have no exact number.
        return by_cpu if not need.gpus else min(by_cpu, int(self.gpus / need.gpus + 1e-6))


def load() -> Any:
    """The package `ray`, told to be quiet.

    Raises:
        EnvironmentFault: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else a warning a start
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise EnvironmentFault(
            "--engine ray needs the package ray, but got a Python without it; "
            "type: pip install 'harness[distributed]'"
        ) from error


def connect(address: str | None, cpus: int | None = None) -> Any:
    """Ray, connected; a process has one connection, which later calls find again.

    Args:
        address: of a running cluster; None starts one on this machine that ends with the process.
        cpus: what a cluster started here declares; None leaves it to Ray.

    Raises:
        EnvironmentFault: Ray is not installed or does not start here, nothing that fits answers
            at the address, or it wants a token.
    """
    if address is None:
        _lock_out_others()
    ray = load()
    if ray.is_initialized():
        return ray
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        here = {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": STORE_BYTES}
        try:
            ray.init("local", **here, **quiet)
        except (ConnectionError, RuntimeError, OSError) as error:
            raise EnvironmentFault(
                f"--engine ray must be able to start Ray on this machine, but got: "
                f"{_first_line(error)}; look in /tmp/ray/session_latest/logs, or take --engine "
                "processes"
            ) from error
        return ray
    _reach(address)
    try:
        ray.init(address, **quiet)
    except (ConnectionError, ImportError, RuntimeError, ValueError) as error:
        if _wants_token(error):
            raise EnvironmentFault(
                f"the Ray cluster at '{address}' wants its token, but got none or another; set "
                "RAY_AUTH_MODE=token and the cluster's own RAY_AUTH_TOKEN or ~/.ray/auth_token"
            ) from error
        raise _no_cluster(address, _first_line(error)) from error
    return ray


def _lock_out_others() -> None:
    """Let nobody else on this machine give orders to a cluster started here.

    Ray would do so as well, but leave its token in the home folder, where it changes what
    `ray start` does later on. It reads the mode once, when it is imported.
    """
    if "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _wants_token(error: BaseException | None) -> bool:
    """Whether a token was the reason, anywhere in the chain of causes or in its words."""
    while error is not None:
        if "AuthenticationError" in f"{type(error).__name__} {error}":
            return True
        error = error.__cause__ or error.__context__
    return False


def _reach(address: str) -> None:
    """Ask whether anybody listens there: Ray itself would try for a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise _no_cluster(address, str(error)) from error


def _no_cluster(address: str, reason: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"--address must be that of a running Ray cluster, but got '{address}' ({reason}); start "
        "one with: ray start --head, or leave --address out"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def nodes(ray: Any) -> list[Node]:
    """The living nodes, named by host; those of one host by address and port as well."""
    living = [entry for entry in ray.nodes() if entry["Alive"]]
    hosts = [entry["NodeManagerHostname"] for entry in living]
    named = []
    for entry, host in zip(living, hosts, strict=True):
        where = f"{entry['NodeManagerAddress']}:{entry['NodeManagerPort']}"
        name = host if hosts.count(host) == 1 else f"{host} ({where})"
        cpus, gpus = (entry["Resources"].get(kind, 0.0) for kind in ("CPU", "GPU"))
        named.append(Node(entry["NodeID"], name, cpus, gpus))
    return named


def capacity(among: list[Node], need: Need) -> int:
    """How many such requests these nodes run at once."""
    return sum(node.holds(need) for node in among)


def check(among: list[Node], need: Need) -> None:
    """See that a request can run at all: Ray would let it wait for ever.

    Raises:
        EnvironmentFault: no node can meet the need.
    """
    if capacity(among, need):
        return
    of = counted(len(among), "node")
    if need.gpus and not any(node.gpus for node in among):
        raise EnvironmentFault(
            "compute.device may be cuda only where a node of the Ray cluster declares a GPU, but "
            f"got {of} without one; start Ray there with --num-gpus, or set compute.device to cpu"
        )
    most = max((node.cpus for node in among), default=0.0)
    raise EnvironmentFault(
        f"compute.threads must fit the CPUs of one node of the Ray cluster, but got {need.cpus} "
        f"and at most {most:g} on any of {of}; lower compute.threads, or start a node with "
        f"--num-cpus {need.cpus}"
    )
