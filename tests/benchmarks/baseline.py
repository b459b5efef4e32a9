"""`baseline`: what raises the U-Net of real patients alone, one change at a time.

    python -m tests.benchmarks baseline --data FOLDER --workdir DIR [--only NAME ...]

The arm `traditional` of `experiments/openkbp/compare.yaml` trains under each variant; scored by 3D
Dice on validation patients, as `harness sweep` scores what it chooses. Never on test patients: what
is found here is chosen, and a later comparison may open the test. A variant that is best of many
looks better than it is; another pair of seeds tells.

What was trained in DIR is not trained again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.base.console import Console
from harness.base.errors import ConfigError, HarnessError
from harness.commands.session import Session
from harness.compare.budget import scored
from harness.compare.replicate import ReplicatePlanner
from harness.config.experiment import Experiment
from harness.config.load import load_experiment
from harness.inference.crossed_t import REPLICATES_FOR_INTERVAL, crossed_weighted_t
from harness.jobs.graph import JobGraph

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "openkbp" / "compare.yaml"
ARM, PRESENT = "traditional", "present"
UPDATES = "segmentation.updates"
DYNUNET = {"segmentation.network": "dynunet"}
VARIANTS: dict[str, dict[str, str]] = {
    PRESENT: {},
    "updates-x2": {UPDATES: "x2"},
    "spacing-2mm": {"data.spacing_mm": "2.0"},
    "one-slice": {"segmentation.neighbours": "0"},
    "neighbours-1": {"segmentation.neighbours": "1"},
    "neighbours-1-kept": {
        "segmentation.neighbours": "1",
        "segmentation.neighbour_dropout": "0.0",
    },
    "structure-0.5": {"segmentation.structure_share": "0.5"},
    "structure-0.66": {"segmentation.structure_share": "0.66"},
    "rate-2e-3": {"segmentation.learning_rate": "2.0e-3"},
    "rate-5e-4": {"segmentation.learning_rate": "5.0e-4"},
    "batch-32": {"segmentation.batch_size": "32"},
    "wide": {"segmentation.channels": "[32, 64, 128, 256, 512]"},
    "dynunet": DYNUNET,
    "dynunet-batch": {**DYNUNET, "segmentation.norm": "batch"},
    "dynunet-group": {**DYNUNET, "segmentation.norm": "group"},
    "dynunet-residual": {**DYNUNET, "segmentation.residual": "true"},
    "dynunet-deep": {**DYNUNET, "segmentation.deep_supervision": "true"},
    **{f"patients-{n}": {"data.limit.train": str(n)} for n in (5, 10, 40, 60)},
}
"""Overrides of the experiment by name; "x2" is twice the updates of the others. The last ones are
the learning curve, one cohort a size."""


@dataclass(frozen=True)
class Trained:
    """What came of a variant.

    Attributes:
        dice: validation patients x seeds, in the order of the patients' digests.
        seconds: of each training.
    """

    dice: NDArray[np.float64]
    seconds: tuple[float, ...]


def overrides(names: Sequence[str], updates: int) -> dict[str, str]:
    """Those of variants taken together.

    Raises:
        ConfigError: there is none of that name, or two set one thing differently.
    """
    found = {UPDATES: str(updates)}
    for name in names:
        if name not in VARIANTS:
            raise ConfigError(
                f"a variant must be one of {', '.join(VARIANTS)}, but got '{name}'; name one of "
                "them"
            )
        for path, value in VARIANTS[name].items():
            before = found.get(path) if path != UPDATES else None
            if before not in (None, value):
                raise ConfigError(
                    f"variants taken together must agree, but got {path} {before} and {value} of "
                    f"'{name}'; leave one out"
                )
            found[path] = str(2 * updates) if path == UPDATES else value
    return found


def experiment_of(asked: argparse.Namespace, name: str, changes: Mapping[str, str]) -> Experiment:
    """The experiment under a variant, or under several joined by "+"."""
    called = f"baseline-{name.replace('+', '.')}"
    settings = [f"data.root={asked.data}", f"name={called}", "tracking.enabled=false"]
    settings += [*asked.settings, *(f"{path}={value}" for path, value in changes.items())]
    return load_experiment(asked.experiment, settings)


def trained(asked: argparse.Namespace, name: str, changes: Mapping[str, str]) -> Trained:
    """Train and score what is missing of a variant."""
    experiment = experiment_of(asked, name, changes)
    session = Session(experiment, asked.workdir, Console(), asked.workers, asked.engine)

    def plan(graph: JobGraph) -> Trained | None:
        if graph.need(session.store, label="prepare pairs") is None:
            return None
        planner = ReplicatePlanner(session.specs, session.store, experiment.mask, experiment.image)
        chains = [
            planner.plan(graph, seed, [ARM], f"{name}, seed {seed}") for seed in range(asked.seeds)
        ]
        scores = scored(planner, graph, chains, name)
        results = [graph.folder(spec).result() for spec in scores.values()]
        runs = [graph.folder(c.segmenters[ARM]).result(c.epochs[ARM]) for c in chains]
        columns = [sorted(r["values"]["measures"]["dice"].items()) for r in results if r]
        seconds = [run["cost"]["seconds"] for run in runs if run]
        if len(columns) < asked.seeds or len(seconds) < asked.seeds:
            return None
        dice = [[np.nan if value is None else value for _, value in column] for column in columns]
        return Trained(np.array(dice, float).T, tuple(seconds))

    with session.open(track=False):
        found: Trained = session.drive(plan)
    return found


def row(name: str, found: Trained, present: Trained) -> str:
    """A line of the table; without an interval where there are too few seeds, and for `present`."""
    seeds = " ".join(f"{value:.4f}" for value in found.dice.mean(0))
    line = f"{name:20} {seeds}  {found.dice.mean():.4f}"
    if found is not present:
        judged = crossed_weighted_t(found.dice - present.dice)
        line += f"  {judged.mean:+.4f}"
        if judged.interval_95 is not None:
            low, high = judged.interval_95
            line += f" ({low:+.4f} to {high:+.4f})"
        else:
            line += " " * 20
    else:
        line += " " * 29
    return f"{line}  {np.mean(found.seconds):7.1f} s"


def rows(asked: argparse.Namespace) -> Iterator[str]:
    """A line for each variant as it is known; `present` comes first, for all are set beside it."""
    chosen = [(name,) for name in asked.only or VARIANTS if name != PRESENT]
    chosen += [tuple(names.split(",")) for names in asked.together]
    changes = {"+".join(names): overrides(names, asked.updates) for names in chosen}
    present = trained(asked, PRESENT, overrides([PRESENT], asked.updates))
    yield row(PRESENT, present, present)
    for name, settings in changes.items():
        yield row(name, trained(asked, name, settings), present)


def main(options: Sequence[str]) -> int:
    """Print the table, a line as soon as it is known."""
    asked = _asked(options)
    print(
        f"arm {ARM}, 3D Dice of validation patients: each seed, mean; minus {PRESENT}, paired by "
        f"patient and seed (95 %, from {REPLICATES_FOR_INTERVAL} seeds on); seconds a training"
    )
    try:
        for line in rows(asked):
            print(line, flush=True)
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _asked(options: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks baseline")
    parser.add_argument("--data", type=Path, required=True, help="a clone of OpenKBP")
    parser.add_argument("--workdir", type=Path, required=True, help="keeps what was trained")
    parser.add_argument("--experiment", type=Path, default=EXPERIMENT)
    parser.add_argument("--updates", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="NAME", help=", ".join(VARIANTS))
    parser.add_argument(
        "--together", action="append", default=[], metavar="NAME,NAME", help="variants as one"
    )
    parser.add_argument("-s", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--engine", default="processes")
    asked = parser.parse_args(options)
    asked.data, asked.workdir = asked.data.absolute(), asked.workdir.absolute()
    asked.workdir.mkdir(parents=True, exist_ok=True)
    return asked
