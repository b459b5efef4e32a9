"""The GPUs of the machine, and whether the installed torch can use them."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.base.text import first_of, size
from harness.commands.doctor.finding import Finding
from harness.commands.doctor.software import requirement

WHEELS = ((580, "cu130"), (570, "cu128"), (525, "cu126"))
"""Newest builds of torch first: the least driver that runs them (NVIDIA's table of CUDA's releases;
within CUDA 12 any driver from 525 on runs a build for 12.6), and the index that has them."""
SMI_SECONDS = 30.0
HIDDEN = "CUDA_VISIBLE_DEVICES"
NVIDIA, DISPLAY = "0x10de", "0x03"
"""PCI vendor, and how the class of GPUs begins."""


@dataclass(frozen=True)
class Machine:
    """GPUs as the machine tells of them, without torch.

    Attributes:
        names: of each GPU.
        driver: its major version, e.g. 550; None where none answers.
    """

    names: tuple[str, ...] = ()
    driver: int | None = None


@dataclass(frozen=True)
class Build:
    """The installed torch.

    Attributes:
        version: e.g. "2.9.1+cu128".
        cuda: what it was built with; None for a CPU build.
        refused: why a GPU is not used, or did not multiply; "" where nothing is known.
    """

    version: str
    cuda: str | None
    refused: str = ""


def devices() -> list[Finding]:
    """The device that runs will take, and bfloat16 on it."""
    try:
        import torch
    except (ImportError, OSError) as error:  # a shared library of it may be what is missing
        return [
            Finding(
                "torch",
                "fault",
                f"it must be importable, but got '{error}'; pip install --force-reinstall "
                f"'{requirement('torch')}'",
            )
        ]
    machine, build = look(), Build(torch.__version__, torch.version.cuda, _refused())
    usable = bool(torch.cuda.is_available() and not build.refused)
    found = [judge(machine, build, usable)]
    if usable:
        found += [_free(n) for n in range(torch.cuda.device_count())]
    return [*found, _bfloat16("cuda" if usable else "cpu")]


def judge(machine: Machine, build: Build, usable: bool) -> Finding:
    """The sentence about GPUs and torch; where the two do not fit, what to install."""
    torch = f"torch {build.version}"
    if usable:
        return Finding("device", "ok", f"cuda: {torch}")
    if not machine.names:
        return Finding("device", "ok", f"cpu: {torch}; the machine shows no NVIDIA GPU")
    said = f"the machine has {first_of(machine.names, 3)}, but {_why(machine, build, torch)}"
    # One that torch lists is taken by compute.device auto, although it does not compute.
    listed = build.refused and HIDDEN not in build.refused
    meanwhile = "add -s compute.device=cpu" if listed else "runs take the CPU"
    return Finding("device", "warning", f"{said}; until then {meanwhile}")


def _why(machine: Machine, build: Build, torch: str) -> str:
    """Why a GPU that is there cannot be used, and what to do."""
    if machine.driver is None:
        return "no driver answers; install NVIDIA's driver"
    driver = f"driver {machine.driver}"
    wheel = _wheel(machine.driver, build)
    if build.cuda is not None and HIDDEN in build.refused:
        return f"{build.refused}; unset it"
    if "out of memory" in build.refused:
        return "other programs hold its memory; end them"
    if wheel is None:
        return f"its {driver} is too old for {torch}; update the driver"
    if build.cuda is None:
        return f"{torch} is a CPU build ({driver}); {pip_line(wheel)}"
    refused = f"{build.refused or 'no GPU answers to it'}; {driver}"
    return f"{torch}, made for CUDA {build.cuda}, cannot use it ({refused}); {pip_line(wheel)}"


def pip_line(wheel: str) -> str:
    """What installs a build of torch in the place of the present one."""
    return (
        f"pip install --force-reinstall '{requirement('torch')}' torchvision "
        f"--index-url https://download.pytorch.org/whl/{wheel}"
    )


def _wheel(driver: int, build: Build) -> str | None:
    """The build to install: another one than there is, and one that the driver runs.

    The newest one; where the present one has no kernels for the GPU, the oldest, which has those
    for older GPUs.
    """
    runnable = [wheel for least, wheel in WHEELS if driver >= least]
    other = [wheel for wheel in runnable if not build.version.endswith(f"+{wheel}")]
    old_gpu = "no kernel image" in build.refused
    return (other[-1] if old_gpu else other[0]) if other else None


def look() -> Machine:
    """GPUs by nvidia-smi; else, without their names, on the PCI bus."""
    listed = [line.rsplit(", ", 1) for line in _smi().splitlines()]
    if listed:
        return Machine(tuple(name for name, _ in listed), int(listed[0][1].partition(".")[0]))
    return Machine(tuple(_on_the_bus(Path("/sys/bus/pci/devices"))))


def _smi() -> str:
    """Name and driver of each GPU in a line; "" where nvidia-smi is missing, fails or hangs."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return ""
    asked = [command, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=SMI_SECONDS)
    except subprocess.TimeoutExpired:  # which is then said: no driver answers
        return ""
    return done.stdout if done.returncode == 0 else ""


def _on_the_bus(devices: Path) -> list[str]:
    """A name for each NVIDIA GPU below `/sys/bus/pci/devices`."""
    return [
        f"an NVIDIA GPU at {device.name}"
        for device in sorted(devices.glob("*"))
        if (device / "vendor").read_text().strip() == NVIDIA
        and (device / "class").read_text().startswith(DISPLAY)
    ]


def _refused() -> str:
    """Why a GPU does not multiply; "" where all do, or there is none."""
    import torch

    if os.environ.get(HIDDEN) in ("", "-1"):
        return f"{HIDDEN} hides it"
    if not torch.cuda.is_available():
        return ""
    try:
        for number in range(torch.cuda.device_count()):
            ones = torch.ones(8, 8, device=f"cuda:{number}")
            assert float((ones @ ones).sum()) == 512.0
    except RuntimeError as error:  # no kernels for this GPU, no memory, a GPU in trouble
        return str(error).strip().splitlines()[0]
    return ""


def _free(number: int) -> Finding:
    import torch

    free, total = torch.cuda.mem_get_info(number)
    said = f"{torch.cuda.get_device_name(number)}: {size(free)} of {size(total)} free"
    if free > total / 2:
        return Finding("GPU memory", "ok", said)
    held = f"{said}; other programs hold the rest: end them, or name a free GPU in {HIDDEN}"
    return Finding("GPU memory", "warning", held)


def _bfloat16(device: str) -> Finding:
    from harness.training.precision import has_bfloat16

    if has_bfloat16(device):
        said = f"the {device} multiplies it; compute.precision auto takes it where it is faster"
    else:
        said = f"the {device} has none of its own; compute.precision auto takes float32"
    return Finding("bfloat16", "ok", said)
