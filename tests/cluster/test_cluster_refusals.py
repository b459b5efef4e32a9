"""What cannot run on a cluster is refused at once, in one sentence: Ray would let it wait."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from factories.cluster import TwoNodes, two_nodes
from factories.tiny import Tiny, tiny_experiment

import harness
from harness.base.errors import EnvironmentFault
from harness.base.files import read_json
from harness.commands.compute import resolve_compute
from harness.jobs.executors import cluster_check
from harness.jobs.executors import ray as module
from harness.jobs.executors.ray import RayExecutor
from harness.jobs.spec import Request, Spec

pytestmark = pytest.mark.cluster


def until(true: Callable[[], bool], seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    with two_nodes(cpus=2) as made:
        yield made


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Whatever a test ends in, the next one connects anew."""
    yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


def ray_program() -> str:
    return str(Path(sys.executable).parent / "ray")


@contextlib.contextmanager
def started(command: list[str], **environment: str) -> Iterator[None]:
    """`ray start` as the last of the command, blocking, with everything that it starts."""
    process = subprocess.Popen(
        [*command, "--num-gpus", "0", "--block"],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait(30)
        for member in psutil.wait_procs(family, timeout=10)[1]:
            member.kill()


def third_node(address: str) -> list[str]:
    return [ray_program(), "start", "--address", address, "--num-cpus", "1"]


@contextlib.contextmanager
def executor(root: Path, address: str, workers: int | None = 1, threads: int = 1) -> Iterator[Any]:
    made = RayExecutor(root, workers, threads, address)
    try:
        yield made
    finally:
        made.close()


def test_workers_default_to_what_the_nodes_hold(tmp_path: Path, nodes: TwoNodes) -> None:
    with executor(tmp_path, nodes.address, None) as made:
        assert made.workers == 3
    with executor(tmp_path, nodes.address, None, threads=2) as made:
        assert made.workers == 1


def test_more_threads_than_any_node_has_cpus(tmp_path: Path, nodes: TwoNodes) -> None:
    with pytest.raises(EnvironmentFault) as caught, executor(tmp_path, nodes.address, threads=4):
        pass
    assert str(caught.value) == (
        "compute.threads must fit the CPUs of one node of the Ray cluster, but got 4 and at most 2 "
        "on any of 2 nodes; lower compute.threads, or start a node with --num-cpus 4"
    )


def test_a_gpu_where_none_is_declared(tmp_path: Path, nodes: TwoNodes) -> None:
    tiny = Tiny(tmp_path)
    cuda = Spec("mask-stage", {}, compute={"device": "cuda", "precision": "float32", "threads": 1})
    with executor(tiny.root, nodes.address) as made:
        with pytest.raises(EnvironmentFault) as caught:
            made.submit(Request(cuda, (1,)))
        assert "declares a GPU, but got 2 nodes without one" in str(caught.value)
        handle = made.submit(Request(tiny.mask(), (1,)))
        assert made.active() == {handle}, "others may still come"


def test_workers_share_a_gpu(tmp_path: Path) -> None:
    """Two on one declared GPU run side by side: each takes half of it."""
    ray = pytest.importorskip("ray", reason="ray is not installed")
    with two_nodes(head_cpus=0) as nodes:
        nodes.join(num_cpus=4, num_gpus=1)
        tiny = Tiny(tmp_path)
        compute = {"device": "cuda", "precision": "float32", "threads": 1}
        with executor(tiny.root, nodes.address, 2) as made:
            for seed in range(2):
                made.submit(Request(Spec("mask-stage", {}, seed, compute), (1,)))
            events: list[Any] = []
            until(lambda: bool(events.extend(made.wait(0.2))) or len(events) == 2)
            # Nobody here has that GPU, so the jobs fail; but they were not left waiting.
            assert {event.outcome.state for event in events} == {"failed"}
            assert ray.available_resources().get("GPU", 0) == pytest.approx(0, abs=0.01)


def test_a_node_that_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that alone could run a job is lost: the command waits a while, then says so."""
    monkeypatch.setattr(module, "WAITING_SECONDS", 3.0)
    tiny = Tiny(tmp_path)
    spec = tiny.mask()
    with two_nodes(cpus=2) as nodes, executor(tiny.root, nodes.address, threads=2) as made:
        wide = Spec(spec.kind, spec.config, spec.seed, {**spec.compute, "threads": 2}, spec.inputs)
        made.submit(Request(wide, (100_000,)))
        until(lambda: made.wait(0.2) == [] and tiny.work.job(wide).journal.exists())
        nodes.kill_other()
        events: list[Any] = []
        until(lambda: bool(events.extend(made.wait(0.2)) or events))
        assert [event.outcome.state for event in events] == ["lost"]
        made.submit(Request(wide, (2,)))
        with pytest.raises(EnvironmentFault, match="got 2 and at most 1 on any of 1 node;"):
            until(lambda: bool(made.wait(0.2)))


def test_auto_is_what_it_means_on_the_cluster(tmp_path: Path, nodes: TwoNodes) -> None:
    import ray

    experiment = tiny_experiment(compute={"device": "auto", "threads": 1})
    found = resolve_compute(experiment, tmp_path, nodes.address)
    ray.shutdown()
    assert found == resolve_compute(experiment, tmp_path / "here"), "the same machine, after all"
    assert read_json(tmp_path / "resolved.json")["device"] == found["device"]
    cuda = tiny_experiment(compute={"device": "cuda"})
    with pytest.raises(EnvironmentFault, match="got a machine without one"):
        resolve_compute(cuda, tmp_path / "cuda", nodes.address)["precision"]["mask"]


def test_a_silent_node_leaves_no_connection(
    tmp_path: Path, nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next command of the process would go to this cluster, whatever its address."""
    import ray

    monkeypatch.setattr(cluster_check, "ANSWER_SECONDS", 0.0)
    with pytest.raises(EnvironmentFault, match="must answer within"):
        resolve_compute(tiny_experiment(compute={"device": "auto"}), tmp_path, nodes.address)
    assert not ray.is_initialized()


def test_nobody_at_the_address(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    begun = time.monotonic()
    with pytest.raises(EnvironmentFault) as caught:
        RayExecutor(tmp_path, 1, 1, address)
    assert time.monotonic() - begun < 20
    assert str(caught.value).startswith(
        f"--address must be that of a running Ray cluster, but got '{address}' ("
    )


TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "5" * 64}


def test_a_cluster_that_wants_a_token(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = f"127.0.0.1:{port}"
    command = [ray_program(), "start", "--head", "--node-ip-address", "127.0.0.1", "--port", port]
    with started([*command, "--num-cpus", "1", "--include-dashboard", "false"], **TOKEN):
        until(lambda: listens(int(port)))
        with pytest.raises(EnvironmentFault) as caught:
            RayExecutor(tmp_path, 1, 1, address)
        assert str(caught.value).startswith(
            f"the Ray cluster at '{address}' wants its token, but got none or another; set "
        )


def listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


# --- nodes that are not as the driver's -----------------------------------------------------------


def refusal(root: Path, address: str, seconds: float = 60.0) -> str:
    """The sentence once the third node has joined."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        try:
            with executor(root, address, None) as made:
                assert made.workers <= 3, "the odd node takes part"
        except EnvironmentFault as refused:
            return str(refused)
        time.sleep(0.5)
    raise AssertionError("nobody was refused")


def test_a_node_that_does_not_see_the_work_folder(tmp_path: Path, nodes: TwoNodes) -> None:
    hide = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {tmp_path} && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*hide, "true"], check=False).returncode:
        pytest.skip("needs the right to mount, for a node that sees other files")
    root = tmp_path / "work"
    root.mkdir()
    with started([*hide, *third_node(nodes.address)]):
        said = refusal(root, nodes.address)
    assert said.startswith(
        "every node of the Ray cluster must see the work folder at the same path and have the same "
        f"harness, but got node {socket.gethostname()} ("
    )
    assert f": the work folder is not there; mount {root} and install harness" in said
    assert not list(root.glob("*.mark"))


def test_a_node_with_another_harness(
    tmp_path: Path, nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other" / "harness"
    shutil.copytree(Path(harness.__file__).parent, other)
    source = other / "__init__.py"
    source.write_text(source.read_text().replace(harness.__version__, "0.0.7"))
    root = tmp_path / "work"
    root.mkdir()
    monkeypatch.chdir(root)  # Ray lets workers import from the driver's folder before all else
    with started(third_node(nodes.address), PYTHONPATH=str(other.parent)):
        said = refusal(root, nodes.address)
    assert f"it has harness 0.0.7, not {harness.__version__}; mount" in said
