"""Broken DICOM files end in masks or in one sentence: no other error, no hang, no runaway memory.

Each mutation breaks one file of an intact patient, a slice or the structure set, and reads the
patient through the source and through the survey. Child processes do it, many mutations each, with
a limit on their memory; one that hangs or dies names the mutation.

    pytest -m fuzz                                   300 mutations, about a minute
    HARNESS_FUZZ_FILES=2000 pytest -m fuzz -s        the whole, with a summary
    HARNESS_FUZZ_SEED=7 HARNESS_FUZZ_FIRST=123 HARNESS_FUZZ_FILES=1 pytest -m fuzz -s
                                                     one mutation again, by its seed and number

Small real patients are broken too where `HARNESS_TEST_DATA` names a folder of them; numbers stand
for other mutations there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FILES = int(os.environ.get("HARNESS_FUZZ_FILES", "300"))
SEED = int(os.environ.get("HARNESS_FUZZ_SEED", "1"))
FIRST = int(os.environ.get("HARNESS_FUZZ_FIRST", "0"))
BATCH = 250  # mutations of one process
MOST_MEMORY = 2 * 10**9  # bytes that a process may ever hold
SHOWN = 30
HERE = Path(__file__).parent
pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(7200)]


def real_patients() -> str:
    folder = Path(os.environ.get("HARNESS_TEST_DATA", "")) / "rtstruct"
    return str(folder) if "HARNESS_TEST_DATA" in os.environ and folder.is_dir() else "-"


def broken(first: int, end: int, folder: Path) -> Iterator[dict[str, Any]]:
    """What became of each mutation; one that ends its process is a fault, and the next goes on."""
    while first < end:
        batch, number = min(first + BATCH, end), first
        place = folder / str(first)
        place.mkdir()
        for line in child(first, batch - first, place):
            yield line
            number = line["number"] + 1
        if number < batch:
            said = (place / "stderr").read_text()[-3000:]
            yield {"number": number, "faults": [f"the process ended: {said}"]}
            number += 1
        first = number


def child(first: int, count: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Lines of a process that breaks `count` files."""
    words = [HERE / "fuzz_child.py", SEED, first, count, folder, real_patients()]
    paths = [str(HERE.parent), str(HERE.parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with (
        open(folder / "stderr", "w") as errors,
        subprocess.Popen(
            [sys.executable, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        ) as process,
    ):
        assert process.stdout is not None
        yield from map(json.loads, process.stdout)


def test_a_broken_file_ends_in_masks_or_in_a_sentence(tmp_path: Path) -> None:
    lines = list(broken(FIRST, FIRST + FILES, tmp_path))
    print(f"\nseed {SEED}, mutations {FIRST} to {FIRST + FILES - 1}\n{summary(lines)}")
    faults = [
        f"HARNESS_FUZZ_SEED={SEED} HARNESS_FUZZ_FIRST={line['number']} HARNESS_FUZZ_FILES=1: "
        f"{line.get('mutation', '?')} of {line.get('file', '?')} of {line.get('patient', '?')}\n"
        + "\n".join(line["faults"])
        for line in lines
        if line["faults"]
    ]
    assert not faults, f"{len(faults)} of {len(lines)}\n\n" + "\n\n".join(faults[:SHOWN])
    assert [line["number"] for line in lines] == [*range(FIRST, FIRST + FILES)]
    assert max(line["peak"] for line in lines if "peak" in line) < MOST_MEMORY


def summary(lines: list[dict[str, Any]]) -> str:
    """How many ended how, the commonest sentences, the slowest mutation, the most memory."""
    known = [line for line in lines if "masks" in line]
    if not known:
        return "no mutation ended"
    slowest = max(known, key=lambda line: line["seconds"])
    said = Counter(words for line in known for words in set(line["sentences"]))
    return "\n".join(
        [
            f"{sum(line['masks'] > 0 for line in known)} ended in masks, "
            f"{sum(not line['masks'] for line in known)} in sentences alone",
            f"slowest: {slowest['seconds']} s, {slowest['mutation']} ({slowest['number']})",
            f"most memory: {max(line['peak'] for line in known) / 1e6:.0f} MB",
            *(f"{count:6} {words}" for words, count in said.most_common(SHOWN)),
        ]
    )
