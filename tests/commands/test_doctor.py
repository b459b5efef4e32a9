"""What the doctor says of machines and installations, in whole sentences."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import psutil
import pytest
from packaging.requirements import Requirement

from harness.base.version import DISTRIBUTION
from harness.commands.doctor.command import doctor, lines
from harness.commands.doctor.finding import Finding
from harness.commands.doctor.gpu import Build, Machine, _on_the_bus, judge, look
from harness.commands.doctor.machine import _limits, disk, file_system, place, usable_cores
from harness.commands.doctor.software import databases, declared, judge_package, requirement

H200 = ("NVIDIA H200",)
CPU_BUILD = Build("2.9.0+cpu", None)
NO_KERNEL = "CUDA error: no kernel image is available for execution on the device"


def index(finding: Finding) -> str:
    """The build that a finding has pip install; "" where it does not."""
    return finding.said.rpartition("/whl/")[2].partition(";")[0] if "/whl/" in finding.said else ""


@pytest.mark.parametrize(
    ("machine", "build", "wheel", "words"),
    [
        (Machine(H200, 550), CPU_BUILD, "cu126", "is a CPU build (driver 550)"),
        (Machine(H200, 570), CPU_BUILD, "cu128", "is a CPU build"),
        (Machine(H200, 590), CPU_BUILD, "cu130", "is a CPU build"),
        (
            Machine(H200, 470),
            CPU_BUILD,
            "",
            "its driver 470 is too old for torch 2.9.0",
        ),
        (Machine(H200, 550), Build("2.9.0+cu130", "13.0"), "cu126", "no GPU answers to it"),
        (Machine(("GTX",), 580), Build("2.9.0+cu130", "13.0", NO_KERNEL), "cu126", "no kernel"),
        (Machine(("B200",), 580), Build("2.9.0+cu126", "12.6", NO_KERNEL), "cu128", NO_KERNEL),
        (
            Machine(H200, 580),
            Build("2.9.0+cu130", "13.0", "CUDA out of memory"),
            "",
            "end them",
        ),
        (
            Machine(H200, 580),
            Build("2.9.0+cu130", "13.0", "CUDA_VISIBLE_DEVICES hides it"),
            "",
            "CUDA_VISIBLE_DEVICES hides it; unset it",
        ),
        (Machine(("an NVIDIA GPU at 0000:01:00.0",)), CPU_BUILD, "", "install NVIDIA's driver"),
    ],
)
def test_a_gpu_that_torch_cannot_use_is_named_with_the_mend(
    machine: Machine, build: Build, wheel: str, words: str
) -> None:
    found = judge(machine, build, usable=False)
    assert found.level == "warning"
    assert found.said.startswith(f"the machine has {machine.names[0]}, but ")
    assert words in found.said
    assert index(found) == wheel
    listed = build.refused and "hides" not in build.refused  # by torch, so that auto takes it
    assert found.said.endswith("add -s compute.device=cpu" if listed else "runs take the CPU")
    if wheel:
        install = f"pip install --force-reinstall '{requirement('torch')}' torchvision --index-url"
        assert install in found.said


def test_a_gpu_that_is_used_and_a_machine_without_one_are_fine() -> None:
    used = judge(Machine(H200, 570), Build("2.9.0+cu128", "12.8"), usable=True)
    assert used == Finding("device", "ok", "cuda: torch 2.9.0+cu128")
    none = judge(Machine(), CPU_BUILD, usable=False)
    assert (none.level, none.said[:20]) == ("ok", "cpu: torch 2.9.0+cpu")


def test_gpus_are_those_of_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it prints for two GPUs; then a driver that does not answer, with its exit code."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text('#!/bin/sh\necho "NVIDIA A40, 550.54.15"\necho "NVIDIA L4, 550.54.15"\n')
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert look() == Machine(("NVIDIA A40", "NVIDIA L4"), 550)
    smi.write_text('#!/bin/sh\necho "NVIDIA-SMI has failed"\nexit 9\n')
    assert look().driver is None


def test_gpus_are_found_on_the_bus(tmp_path: Path) -> None:
    """A network card, a GPU of another maker, a display and a computing GPU of NVIDIA."""
    cards = (("0x15b3", "0x020000"), ("0x8086", "0x030000"), ("0x10de", "0x030000"))
    for number, (vendor, kind) in enumerate((*cards, ("0x10de", "0x030200"), ("0x10de", "0x0403"))):
        folder = tmp_path / f"0000:0{number}:00.0"
        folder.mkdir()
        (folder / "vendor").write_text(vendor + "\n")
        (folder / "class").write_text(kind + "\n")
    places = ["0000:02:00.0", "0000:03:00.0"]
    assert _on_the_bus(tmp_path) == [f"an NVIDIA GPU at {place}" for place in places]


def test_packages_are_judged_by_their_ranges() -> None:
    here = metadata.version("numpy")
    assert judge_package(Requirement(f"numpy=={here}")) is None
    assert judge_package(Requirement("numpy")) is None
    assert judge_package(Requirement("numpy<1")) == Finding(
        "package numpy", "warning", f"it must be <1, but got {here}; pip install 'numpy<1'"
    )
    assert judge_package(Requirement("no-such-package>=3")) == Finding(
        "package no-such-package",
        "fault",
        "it must be there, but is not; pip install 'no-such-package>=3'",
    )


def test_what_is_asked_for_is_what_pyproject_says() -> None:
    """Without extras: pytest is one of `dev`."""
    python, needed = declared()
    assert python == ">=3.11"
    names = {need.name for need in needed}
    assert {"torch", "monai", "mlflow", "optuna", "packaging"} <= names
    assert "pytest" not in names
    assert DISTRIBUTION not in names


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_of_others_is_a_fault(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert place(tmp_path / "work").level == "fault"


def test_a_work_folder_that_is_no_folder_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, file / "work"):
        found = place(path)
        assert found.level == "fault", path
        assert found.said.startswith(f"'{path}' must be a folder that can be written, but got")


def test_a_disk_in_memory_is_warned_of(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if file_system(memory) != "tmpfs":
        pytest.skip("needs a disk in memory")
    found = disk(memory / "harness-work")
    assert found.level == "warning"
    mounted = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    assert file_system(Path("/")) == mounted["/"]
    assert file_system(Path("/proc/self")) == "proc"


def test_limits_of_a_control_group_and_those_above_it(tmp_path: Path) -> None:
    line = next(t for t in Path("/proc/self/cgroup").read_text().splitlines() if t[:3] == "0::")
    own = tmp_path / line[3:].lstrip("/")
    own.mkdir(parents=True, exist_ok=True)
    (own / "cpu.max").write_text("200000 100000\n")
    assert _limits("cpu.max", tmp_path) == ["200000 100000"]
    assert _limits("memory.max", tmp_path) == []
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_cores_that_may_not_be_used_are_not_counted() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from harness.commands.doctor.machine import cores; f = cores(); print(f.level, f.said)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count = os.cpu_count() or 1
    if count > 1:
        assert done.stdout.startswith(f"warning 1 of {count} may be used here")
        assert done.stdout.endswith("add --workers 1\n")


def test_databases_are_opened_and_left_as_they_are(tmp_path: Path) -> None:
    assert [f.said for f in databases(tmp_path)] == ["none yet: a command makes them"]
    (tmp_path / "studies").mkdir()
    (tmp_path / "mlflow").mkdir()
    good, bad = tmp_path / "studies" / "mask.db", tmp_path / "mlflow" / "mlflow.db"
    with sqlite3.connect(good) as connection:
        connection.execute("CREATE TABLE studies (study_id INTEGER)")
        connection.executemany("INSERT INTO studies VALUES (?)", [(1,), (2,)])
    connection.close()
    bad.write_bytes(b"no database at all" * 99)
    before = bad.read_bytes(), good.read_bytes()
    runs, studies = databases(tmp_path)
    assert (studies.level, studies.said) == ("ok", "opens, studies: 2")
    assert runs.level == "fault"
    assert "but got 'file is not a database'; put back a copy of it" in runs.said
    assert (bad.read_bytes(), good.read_bytes()) == before


def test_this_installation_can_run(tmp_path: Path) -> None:
    found = doctor(tmp_path / "work")
    assert found["possible"]
    assert not (tmp_path / "work").exists(), "nothing is made"
    about = [finding["about"] for finding in found["findings"]]
    assert about[0] == "harness"
    assert {"Python", "packages", "device", "bfloat16", "cores", "memory", "disk"} <= set(about)
    assert lines(found)[-1].startswith("runs are possible")
    shown = [line.split()[0] for line in lines(found)[:-1]]
    assert set(shown) <= {"ok", "warning"}
