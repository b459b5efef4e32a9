"""`rtstruct`: a CT series and all its regions -> masks, beside rt-utils and plastimatch.

    rt-utils      seconds in the process, imports left out, from files to Hounsfield units and masks
                  in memory; target: a third of rt-utils's
    plastimatch   seconds of the whole process, start and imports included, from files to one
                  compressed NRRD file a region; target: no more than plastimatch's
    cores         patients an hour of two processes over one; target 1.6 on two cores

All read the same files: one real patient whose contours were first made to name the nearest slice,
without which rt-utils finds nothing. Every figure is of fresh processes on one core, in turn, so
that other load falls on all alike. `--table` prints the voxels of every region by every tool.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

PATIENTS = "lung1-001", "lung1-002"
TARGETS = {"rt-utils": 3.0, "plastimatch": 1.0, "cores": 1.6}
WORDS = {"rt-utils": "ours", "plastimatch": "ours", "cores": "both"}
NEEDS = {
    "rt-utils": "rt-utils must be installed for this comparison; try pip install rt-utils",
    "plastimatch": "plastimatch must be installed for this comparison; on Debian, "
    "apt-get install plastimatch",
}


def main(options: Sequence[str]) -> int:
    """Print each ratio beside its target; 1 if one misses it, 2 if a tool or the data lack."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks rtstruct")
    parser.add_argument("--parts", default=",".join(TARGETS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--table", action="store_true", help="voxels of every region by every tool")
    asked = parser.parse_args(options)
    parts = asked.parts.split(",")
    lacking = list(_lacking(TARGETS if asked.table else parts))
    if lacking:
        print(*lacking, sep="\n", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        if asked.table:
            print(*table(Path(scratch)), sep="\n")
            return 0
        return int(not _compared(Path(scratch), parts, asked.rounds))


def _lacking(parts: Sequence[str] | dict[str, float]) -> Iterator[str]:
    from tests.factories.parity import FOLDER

    if "HARNESS_TEST_DATA" not in os.environ or not FOLDER.is_dir():
        yield "HARNESS_TEST_DATA must name a folder with rtstruct/ of real patients; set it"
    if "rt-utils" in parts and not find_spec("rt_utils"):
        yield NEEDS["rt-utils"]
    if "plastimatch" in parts and not shutil.which("plastimatch"):
        yield NEEDS["plastimatch"]


@dataclass(frozen=True)
class Took:
    """Seconds by the clock, and of processor time: the second hardly sees other load."""

    wall: float
    processor: float


def _compared(scratch: Path, parts: Sequence[str], rounds: int) -> bool:
    patients = [_patient(name, scratch) for name in PATIENTS]
    print(f"medians of {rounds} rounds in turn; seconds, in brackets those of processor time")
    good = True
    for part in parts:
        if part == "cores" and len(_cores()) < 2:
            print(f"{part:12} needs two cores, but this process may use {len(_cores())}; left out")
            continue
        pairs = [_pair(part, patients, scratch) for _ in range(rounds)]
        ratio = median(other.wall / own.wall for other, own in pairs)
        spent = median(other.processor / own.processor for other, own in pairs)
        reached = ratio >= TARGETS[part]
        good &= reached
        print(
            f"{part:12}{_shown([other for other, _ in pairs])}   {WORDS[part]}"
            f"{_shown([own for _, own in pairs])}   ratio {ratio:5.2f} ({spent:.2f})   "
            f"target {TARGETS[part]:.1f}{'' if reached else '   MISSED'}"
        )
    return good


def _shown(took: Sequence[Took]) -> str:
    wall, processor = median(t.wall for t in took), median(t.processor for t in took)
    return f"{wall:7.2f} ({processor:.2f})"


def _patient(name: str, scratch: Path) -> Path:
    """A folder with the series in images/ and the structure set beside it."""
    from tests.factories.parity import FOLDER, rewritten

    rewritten(FOLDER / name, scratch / name)
    return scratch / name


def _pair(part: str, patients: Sequence[Path], scratch: Path) -> tuple[Took, Took]:
    """What ours is compared with, and ours."""
    first = patients[0]
    if part == "rt-utils":
        return _inside("rt-utils", first), _inside("ours", first)
    if part == "plastimatch":
        command = ["plastimatch", "convert", "--input", str(first), "--xor-contours"]
        command += ["--output-prefix", str(scratch / "theirs"), "--prefix-format", "nrrd"]
        return _whole([command]), _whole([_worker("ours", first, scratch / "ours")])
    one, other = ([_worker("ours", p) for p in those] for those in (patients, patients[::-1]))
    return _whole([_in_turn(one + other)]), _whole([_in_turn(one), _in_turn(other)])


def _worker(tool: str, *paths: Path) -> list[str]:
    return [sys.executable, "-m", __name__, tool, *map(str, paths)]


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _pinned(command: Sequence[str], place: int) -> list[str]:
    """The command on one core, where the system can say which."""
    cores = _cores()
    if not cores or not shutil.which("taskset"):
        return list(command)
    return ["taskset", "-c", str(cores[place % len(cores)]), *command]


def _in_turn(commands: Sequence[Sequence[str]]) -> list[str]:
    return ["sh", "-c", " && ".join(shlex.join(command) for command in commands)]


def _whole(commands: Sequence[Sequence[str]]) -> Took:
    """Of whole processes, each on a core of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    running = [
        subprocess.Popen(_pinned(command, place), stdout=subprocess.DEVNULL)
        for place, command in enumerate(commands)
    ]
    failed = [process.args for process in running if process.wait()]
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if failed:
        raise RuntimeError(f"every process of the benchmark must end well, but got {failed[0]}")
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _inside(tool: str, patient: Path) -> Took:
    """What the process itself counted."""
    command = _pinned(_worker(tool, patient), 0)
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Took(*map(float, printed.split()))


# --- what is timed -------------------------------------------------------------------------------


def _ours(patient: Path, out: Path | None) -> Took:
    from harness.data.dicom.series import read_hu
    from harness.data.dicom.structures import Roi
    from harness.data.dicom.survey import FoundSeries, survey
    from harness.data.dicom.walk import walk

    masks = {}

    def keep(number: int, series: FoundSeries, roi: Roi, mask: np.ndarray) -> None:
        if out is None:
            masks[roi.name] = mask
        else:
            assert series.series is not None
            _write(out / f"{roi.name}.nrrd", mask, series.series.grid.affine)

    started = time.perf_counter(), time.process_time()
    [series] = survey(walk(patient, None), (), {}, keep).series
    assert series.series is not None
    read_hu(series.series)
    return Took(time.perf_counter() - started[0], time.process_time() - started[1])


def _write(path: Path, mask: np.ndarray, affine: np.ndarray) -> None:
    """An NRRD file as plastimatch writes it: one byte a voxel, compressed."""
    columns = (",".join(map(repr, map(float, affine[:3, axis]))) for axis in (2, 1, 0))
    origin = ",".join(map(repr, map(float, affine[:3, 3])))
    lines = [
        "NRRD0004",
        "type: uchar",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, mask.shape[::-1]))}",
        f"space directions: {' '.join(f'({column})' for column in columns)}",
        f"space origin: ({origin})",
        "encoding: gzip",
    ]
    packer = zlib.compressobj(1, zlib.DEFLATED, 31, strategy=zlib.Z_RLE)
    packed = packer.compress(mask.data) + packer.flush()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes("\n".join([*lines, "", ""]).encode() + packed)


def _rt_utils(patient: Path) -> Took:
    import rt_utils  # noqa: F401 - its imports are not timed, as ours are not

    from tests.factories.parity import rt_utils_masks

    started = time.perf_counter(), time.process_time()
    masks = rt_utils_masks(patient / "images", patient / "structures.dcm")
    took = Took(time.perf_counter() - started[0], time.process_time() - started[1])
    assert masks
    return took


# --- the table -----------------------------------------------------------------------------------


def table(scratch: Path) -> list[str]:
    """Lines of a Markdown table: voxels of every region that we draw, by every tool."""
    from tests.factories.parity import (
        CASES,
        our_masks,
        plastimatch_masks,
        prepared,
        rewritten,
        rt_utils_masks,
    )

    lines = [
        "| case | region | ours | plastimatch XOR | differing | plastimatch OR | rt-utils | % |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for case in CASES:
        folder = prepared(case, scratch)
        ours = our_masks(folder)
        odd = plastimatch_masks(folder, scratch, xor=True)
        any_of = plastimatch_masks(folder, scratch, xor=False)
        filled = rt_utils_masks(*rewritten(folder, scratch / f"{case}-rewritten"))
        for name, found in ours.items():
            voxels = int(found.mask.sum())
            differing = int((found.mask != odd[name]).sum())
            touched = int(filled[name].sum()) if name in filled else 0
            lines.append(
                f"| {case} | {name} | {voxels} | {odd[name].sum()} | {differing} | "
                f"{any_of[name].sum()} | {touched} | {100 * (touched / voxels - 1):+.1f} |"
            )
    return lines


if __name__ == "__main__":
    tool, given, *rest = sys.argv[1:]
    out_folder = Path(rest[0]) if rest else None
    took = _rt_utils(Path(given)) if tool == "rt-utils" else _ours(Path(given), out_folder)
    print(took.wall, took.processor)
