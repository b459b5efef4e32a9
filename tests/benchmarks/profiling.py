"""`profile`: where the time of an experiment goes, by kind of job and by what was being done.

    python -m tests.benchmarks profile EXPERIMENT [-s KEY=VALUE] [--command run] [--workdir DIR]

The command runs from cold, as a user runs it. Every process that it starts looks a hundred times a
second at what its main thread is doing (`sampler/sitecustomize.py`): nothing in the package is
changed. A look counts the time since the one before it, for the innermost call that `DOING` names
and for the job in which it was made.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

SAMPLER = Path(__file__).parent / "sampler"


def main(options: Sequence[str]) -> int:
    """Run the experiment, print the table; the command's exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks profile")
    parser.add_argument("experiment", type=Path)
    parser.add_argument("-s", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--command", default="run", help="of harness: run, sweep, compare")
    parser.add_argument("--workdir", type=Path, help="kept; without it a new one is thrown away")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(options)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "looks"
        folder.mkdir()
        command = [sys.executable, "-m", "harness", asked.command, str(asked.experiment)]
        command += [f"-s{each}" for each in asked.settings]
        command += ["--workdir", str(asked.workdir or Path(root) / "work")]
        paths = [str(SAMPLER), os.getcwd(), os.environ.get("PYTHONPATH", "")]
        # What `__main__` set for benchmarks that compute here is no user's.
        users = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
        started = time.perf_counter()
        ran = subprocess.run(
            command,
            env={
                **users,
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                "HARNESS_LOOKS": str(folder),
            },
            check=False,
            stdout=sys.stderr,
        )
        seconds = time.perf_counter() - started
        looks = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    spent: Counter[tuple[str, str]] = Counter()
    jobs: dict[str, set[str]] = {}
    for look in looks:
        for kind, doing, value in look["spent"]:
            spent[kind, doing] += value
        for kind, digests in look["jobs"].items():
            jobs.setdefault(kind, set()).update(digests)
    if asked.json:
        rows = [[kind, doing, round(value, 3)] for (kind, doing), value in sorted(spent.items())]
        counts = {kind: len(digests) for kind, digests in jobs.items()}
        print(json.dumps({"seconds": round(seconds, 1), "jobs": counts, "spent": rows}))
    else:
        _print(spent, {kind: len(digests) for kind, digests in jobs.items()}, seconds)
    return ran.returncode


def _print(spent: Counter[tuple[str, str]], jobs: dict[str, int], seconds: float) -> None:
    whole = {"kind": Counter[str](), "doing": Counter[str]()}
    for (kind, doing), value in spent.items():
        whole["kind"][kind] += value
        whole["doing"][doing] += value
    columns = [name for name, _ in whole["doing"].most_common()]
    width = max(9, *(len(name) + 2 for name in columns))
    print(f"{seconds:.0f} s in all; seconds of each process's main thread")
    heads = "".join(f"{name:>{width}}" for name in ("all", *columns))
    print(f"{'':18}{'jobs':>6}{heads}")
    for kind, total in whole["kind"].most_common():
        cells = "".join(f"{spent[kind, name]:{width}.1f}" for name in columns)
        print(f"{kind:18}{jobs.get(kind, ''):>6}{total:{width}.1f}{cells}")
    cells = "".join(f"{whole['doing'][name]:{width}.1f}" for name in columns)
    print(f"{'all':18}{sum(jobs.values()):6}{sum(whole['doing'].values()):{width}.1f}{cells}")
