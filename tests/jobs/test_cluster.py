"""What a cluster's nodes can hold, and which of them are fit: without a cluster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.base.errors import EnvironmentFault
from harness.jobs.executors.cluster import Need, Node, capacity, check
from harness.jobs.executors.cluster_check import Mark
from harness.jobs.executors.ray_worker import look

HEAD, SMALL, BIG = Node("0", "head", 0, 0), Node("1", "small", 3, 0), Node("2", "big", 16, 2)


@pytest.mark.parametrize(
    ("need", "held"),
    [
        (Need(1), [0, 3, 16]),
        (Need(2), [0, 1, 8]),
        (Need(4), [0, 0, 4]),
        (Need(1, 1.0), [0, 0, 2]),
        (Need(1, 0.3333), [0, 0, 6]),
        (Need(8, 0.25), [0, 0, 2]),
    ],
)
def test_a_node_holds_what_both_its_cpus_and_its_gpus_allow(need: Need, held: list[int]) -> None:
    assert [node.holds(need) for node in (HEAD, SMALL, BIG)] == held
    assert capacity([HEAD, SMALL, BIG], need) == sum(held)


def test_what_no_single_node_can_meet_is_refused() -> None:
    check([HEAD, SMALL, BIG], Need(16, 0.5))
    with pytest.raises(EnvironmentFault, match=r"got 17 and at most 16 on any of 3 nodes"):
        check([HEAD, SMALL, BIG], Need(17))
    with pytest.raises(EnvironmentFault, match=r"declares a GPU, but got 2 nodes without one"):
        check([HEAD, SMALL], Need(1, 0.5))
    with pytest.raises(EnvironmentFault, match=r"at most 0 on any of 1 node; .*--num-cpus 2"):
        check([HEAD], Need(2))


def test_a_node_must_see_the_mark_and_have_the_same_harness(tmp_path: Path) -> None:
    mark = Mark(tmp_path)
    seen = look(str(mark.path))
    mark.compare(seen, "twin")
    mark.compare({**seen, "recipes": {**seen["recipes"], "of-another-package": 3}}, "richer")
    for odd, words in (
        (look(str(tmp_path / "elsewhere" / mark.path.name)), "the work folder is not there"),
        ({**seen, "version": "0.0.7"}, r"it has harness 0\.0\.7, not"),
        (
            {**seen, "recipes": {**seen["recipes"], "prepare": 99}},
            "its harness makes prepare jobs by recipe 99, not",
        ),
    ):
        with pytest.raises(EnvironmentFault, match=f"but got node odd: {words}"):
            mark.compare(odd, "odd")


def test_the_mark_of_a_killed_driver_is_swept_up(tmp_path: Path) -> None:
    left = Mark(tmp_path)
    mark = Mark(tmp_path)
    assert list(tmp_path.iterdir()) == [mark.path]
    assert left.path != mark.path
    mark.remove()
    assert not list(tmp_path.iterdir())


def sweep(tmp_path: Path, *options: str, without: str = "") -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.modules[{without!r}] = None; from harness.cli import main; main()"
    file = tmp_path / "phantoms.yaml"
    file.write_text("name: phantoms\ndata: {source: phantom}\n")
    return subprocess.run(
        [sys.executable, "-c", code, "sweep", str(file), "--workdir", str(tmp_path), *options],
        capture_output=True,
        text=True,
    )


def test_an_address_needs_the_engine_it_belongs_to(tmp_path: Path) -> None:
    said = sweep(tmp_path, "--address", "auto")
    assert said.returncode == 2
    assert said.stderr.strip().endswith(
        "--address is that of a Ray cluster and needs --engine ray, but got --engine processes; "
        "add --engine ray, or leave --address out"
    )


def test_without_ray_the_sentence_says_what_to_install(tmp_path: Path) -> None:
    said = sweep(tmp_path, "--engine", "ray", "--address", "auto", without="ray")
    assert said.returncode == 3
    assert said.stderr.strip().endswith(
        "--engine ray needs the package ray, but got a Python without it; type: pip install "
        "'harness[distributed]'"
    )
