"""An experiment whose pairs are exported, and readers of the dataset."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from factories.fake_executor import FakeExecutor
from numpy.typing import NDArray

from harness.base.console import Console
from harness.commands import steps
from harness.commands.chosen_settings import choice
from harness.commands.session import Session
from harness.config.load import load_experiment
from harness.data.pairs.store import PairRow, Store, write_store
from harness.jobs.spec import Spec

LOW, HIGH = -324.0, 176.0

GLAND_HU = 90.0  # what `write_openkbp` fills structures with

MADE = 6

ARMS = (
    "arms=[traditional, traditional+gan, real-mask, synthetic-only, shuffled, pretrain-finetune, "
    "traditional+gan:added]"
)


@dataclass
class Work:
    """A work folder whose pairs are real and whose trainings are a stand-in's."""

    file: Path
    root: Path

    def session(self, *changes: str) -> Session:
        experiment = load_experiment(self.file, [ARMS, *changes])
        return Session(experiment, self.root, Console(quiet=True), engine="inline")

    def train(self, passes: int = 1000) -> None:
        """Finish the comparison, or its first passes, and paint the made stores' pictures."""
        session = self.session()
        planner = steps.comparison_of(session, choice(session))
        hands = FakeExecutor(session.work, lambda *_: {"quality/kid": 0.1})
        plan = hands.drive(planner.plan, passes)
        for replicate in plan.replicates:
            for spec, shade in (
                (replicate.synthesis, replicate.seed),
                (replicate.stores.get("gan-on-real-masks"), replicate.seed + 10),
            ):
                if spec is not None and session.work.job(spec).result() is not None:
                    self.paint(session, spec, shade)

    @staticmethod
    def paint(session: Session, spec: Spec, shade: int) -> None:
        """A store of flat pictures; `shade` says whose."""
        real = Store.open(session.work.job(session.store).path / "store")
        shape = (MADE, 1, *real.ct.shape[-2:])
        ct = np.full(shape, (shade - 1000) / 100, np.float32)
        masks = np.zeros(shape, np.uint8)
        masks[..., 60:70, 50:80] = 1
        trained = [p["digest"] for p in real.meta["patients"] if p["role"] == "train"]
        meta = {
            **real.meta,
            "kind": "synthetic",
            "patients": [],
            "lineage": {"patients": sorted(trained)},
        }
        rows = [PairRow.synthetic(n, 300) for n in range(MADE)]
        write_store(session.work.job(spec).path / "store", ct, masks, rows, meta)


def voxels(path: Path) -> NDArray[Any]:
    """(F, F) of a file with one slice."""
    array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    assert array.shape[0] == 1
    return np.asarray(array[0])


def cases(dataset: Path) -> list[dict[str, str]]:
    with open(dataset / "cases.csv", newline="") as file:
        return list(csv.DictReader(file))


def names(folder: Path, ending: str) -> set[str]:
    found = [path.name for path in folder.iterdir()]
    assert all(name.endswith(ending) for name in found)
    return {name.removesuffix(ending) for name in found}


def splits_of(dataset: Path) -> list[dict[str, list[str]]]:
    made: list[dict[str, list[str]]] = json.loads((dataset / "splits_final.json").read_text())
    return made
