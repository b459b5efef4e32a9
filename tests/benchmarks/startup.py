"""`startup`: what a user waits for before anything is computed.

    help     `harness --help`; target: under 0.4 s
    again    `harness run` of an experiment that is finished; target: under 5 s
    first    `harness run` in a folder whose patients are cut, to the first update; target 8 s
    second   from asking for a training to its first update, in a worker that had one; target 0.3 s

Phantoms, narrow networks, one worker; medians.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from harness.base.console import Console
from harness.commands.session import Session
from harness.config.load import load_experiment
from harness.data.pairs.store import Store
from harness.jobs.graph import JobGraph
from harness.jobs.journal import read_lines, series

EPOCHS = 2


def main(options: Sequence[str]) -> int:
    """Print what each part takes; 1 if one misses its target."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks startup")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(options).rounds
    good = True
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        file = _experiment(root)
        _harness("run", str(file), "--workdir", str(root / "again"))
        parts: tuple[tuple[str, float, Callable[[int], float]], ...] = (
            ("help", 0.4, lambda _: _seconds("--help")),
            ("again", 5.0, lambda _: _seconds("run", str(file), "--workdir", str(root / "again"))),
            ("first", 8.0, lambda number: _first(file, root / f"first-{number}")),
        )
        found = {part: [call(n) for n in range(rounds)] for part, _, call in parts}
        found["second"] = _second(file, root / "second", rounds)
    for part, target in (*((part, target) for part, target, _ in parts), ("second", 0.3)):
        value = median(found[part])
        good &= value <= target
        print(f"{part:10}{value:8.2f} s   target {target}{'' if value <= target else '   MISSED'}")
    return int(not good)


def _experiment(root: Path) -> Path:
    plain = {
        "name": "startup",
        "conclusive": False,
        "data": {
            "source": "phantom",
            "phantom": {"patients": 8, "slices": 16},
            "roles": {"validation": 0.25, "test": 0.25},
            "spacing_mm": 2.0,
        },
        "mask": {"width": 8, "batch_size": 12, "schedule": {"epochs": EPOCHS}},
        "image": {"width": 4, "batch_size": 8, "schedule": {"epochs": 1}},
        "synthesis": {"pairs": 20, "threshold": 0.0},
        "segmentation": {"channels": [4, 8], "residual_units": 0, "updates": 4},
        "replicates": {"count": 1},
        "metrics": {"images": 20, "scored_epochs": 1},
        "arms": ["none", "traditional"],
        "sweep": {"mask": None, "image": None, "segmentation": None},
        "decision": {"baseline": "none", "candidate": "traditional", "secondary": []},
    }
    file = root / "startup.yaml"
    file.write_text(yaml.safe_dump(plain))
    return file


def _harness(*words: str) -> None:
    command = [sys.executable, "-m", "harness", *words]
    subprocess.run(command, check=True, capture_output=True)


def _seconds(*words: str) -> float:
    started = time.perf_counter()
    _harness(*words)
    return time.perf_counter() - started


def _first(file: Path, folder: Path) -> float:
    _harness("prepare", str(file), "--workdir", str(folder))
    started = time.time()
    _harness("run", str(file), "--workdir", str(folder), "--workers", "1")
    return min(_written(file) for file in folder.glob("jobs/segmenter/*/journal.jsonl")) - started


def _second(file: Path, folder: Path, rounds: int) -> list[float]:
    session = Session(load_experiment(file), folder, Console(quiet=True), workers=1)
    waits = []
    with session.open(track=False):
        session.drive(lambda graph: graph.need(session.store))
        pairs = len(_pairs(session))
        for seed in range(rounds + 1):
            spec = session.specs.stage(session.store, session.experiment.mask, seed)
            asked = time.time()
            session.drive(lambda graph: _plan(graph, spec))  # noqa: B023 - used at once
            journal = session.work.job(spec).journal
            epoch = pairs / series(journal, "train/images_per_second")[1][0]
            waits.append(_written(journal) - epoch - asked)
    return waits[1:]


def _plan(graph: JobGraph, spec: Any) -> Any:
    return graph.need(spec, 1)


def _pairs(session: Session) -> Any:
    store = Store.open(session.work.job(session.store).path / "store")
    return store.select(role="train", selected=True)


def _written(journal: Path) -> float:
    """Seconds since 1970 of the journal's first line."""
    return read_lines(journal)[0][0].time / 1000
