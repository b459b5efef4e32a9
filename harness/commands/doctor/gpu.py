"""The GPUs of the machine, and whether the installed torch can use them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.base.text import first_of, size
from harness.commands.doctor.finding import Finding
from harness.commands.doctor.software import requirement

WHEELS = ((13, 0, "cu130"), (12, 8, "cu128"), (12, 0, "cu126"))
"""Newest builds of torch first: the least CUDA version of a driver that runs them, their index."""
HIDDEN = "CUDA_VISIBLE_DEVICES"
NVIDIA, DISPLAY = "0x10de", "0x03"
"""PCI vendor, and how the class of GPUs begins."""


@dataclass(frozen=True)
class Machine:
    """GPUs as the machine tells of them, without torch.

    Attributes:
        names: of each GPU.
        cuda: the newest CUDA that the driver runs, e.g. (12, 4); None without a driver.
    """

    names: tuple[str, ...] = ()
    cuda: tuple[int, int] | None = None


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
    return Finding("device", "warning", f"{said}; until then runs take the CPU")


def _why(machine: Machine, build: Build, torch: str) -> str:
    """Why a GPU that is there cannot be used, and what to do."""
    if machine.cuda is None:
        return "no driver answers; install NVIDIA's driver"
    runs = f"the driver runs CUDA {machine.cuda[0]}.{machine.cuda[1]}"
    wheel = _wheel(machine.cuda, build)
    if build.cuda is not None and HIDDEN in build.refused:
        return f"{build.refused}; unset it"
    if "out of memory" in build.refused:
        return "other programs hold its memory; end them"
    if wheel is None:
        return f"{runs}, which is too little for {torch}; update the driver"
    if build.cuda is None:
        return f"{torch} is a CPU build ({runs}); {pip_line(wheel)}"
    refused = build.refused or "no GPU answers to it"
    return f"{torch}, made for CUDA {build.cuda}, cannot use it ({refused}; {runs}); " + pip_line(
        wheel
    )


def pip_line(wheel: str) -> str:
    """What installs a build of torch in the place of the present one."""
    return (
        f"pip install --force-reinstall '{requirement('torch')}' "
        f"--index-url https://download.pytorch.org/whl/{wheel}"
    )


def _wheel(cuda: tuple[int, int], build: Build) -> str | None:
    """The build to install: another one than there is, and one that the driver runs.

    The newest one; where the present one has no kernels for the GPU, the oldest, which has those
    for older GPUs.
    """
    runnable = [wheel for *least, wheel in WHEELS if cuda >= tuple(least)]
    other = [wheel for wheel in runnable if not build.version.endswith(f"+{wheel}")]
    old_gpu = "no kernel image" in build.refused
    return (other[-1] if old_gpu else other[0]) if other else None


def look() -> Machine:
    """GPUs by nvidia-smi; else, without their names, on the PCI bus."""
    smi = shutil.which("nvidia-smi")
    if smi is not None:
        listed = _said(smi, "--query-gpu=name", "--format=csv,noheader").splitlines()
        version = re.search(r"CUDA Version: (\d+)\.(\d+)", _said(smi))
        if version and listed:
            return Machine(tuple(listed), (int(version[1]), int(version[2])))
    return Machine(tuple(_on_the_bus(Path("/sys/bus/pci/devices"))))


def _said(*command: str) -> str:
    """What a command prints; "" where it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
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
