"""The quickstart stays as cheap as the README says, in steps of a network that never changes."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import torch
from torch.nn import Conv2d, ReLU, Sequential
from torch.nn.functional import mse_loss

from harness.base.console import Console
from harness.commands.costs.forecast import plan_ahead, seconds_per_unit
from harness.commands.session import Session
from harness.commands.steps import prepare
from harness.config.load import load_experiment
from harness.jobs.forecast import Work
from harness.jobs.kinds import KINDS

FILE = Path(__file__).parents[2] / "experiments" / "quickstart.yaml"
FEW = 6
"""Patients enough for all roles; the cost of the GAN stages grows with those for training."""

MOST_STEPS = 40_000
"""Reference steps that the trainings of the quickstart may take: 17,000 where this was written; on
other processors the two kinds of step stand otherwise to each other."""
LOOKS = 3


def reference_seconds() -> float:
    """A step of four convolutions on 8 images of 64 x 64, one thread, the median of many: what
    computes beside slows it as it slows the steps that are timed."""
    torch.manual_seed(0)
    layers = [part for _ in range(4) for part in (Conv2d(16, 16, 3, padding=1), ReLU())]
    network, images = Sequential(*layers), torch.rand(8, 16, 64, 64)
    taken = []
    for _ in range(40):
        started = time.perf_counter()
        mse_loss(network(images), images).backward()
        taken.append(time.perf_counter() - started)
    return median(taken)


def test_its_trainings_take_no_more_reference_steps_than_the_readme_promises(
    tmp_path: Path,
) -> None:
    """Looked at again where somebody else computed just then."""
    looks: list[float] = []
    while len(looks) < LOOKS and min(looks, default=MOST_STEPS) >= MOST_STEPS:
        looks.append(reference_steps(tmp_path / str(len(looks))))
    assert min(looks) < MOST_STEPS, looks


def reference_steps(folder: Path) -> float:
    """What the trainings of the quickstart take, in reference steps."""
    whole = load_experiment(FILE, [])
    shares, patients = whole.data.roles, whole.data.phantom.patients
    few = load_experiment(FILE, [f"data.phantom.patients={FEW}"])
    session = Session(few, folder, Console(quiet=True), workers=2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with session.open(track=False):
            prepare(session)
            parts, seconds = plan_ahead(session, ["mask", "comparison"]), seconds_per_unit(session)
            reference = reference_seconds()
    finally:
        torch.set_num_threads(threads)
    trained = sum(role == "train" for role in session.roles.values())
    more = round(patients * (1 - shares.validation - shares.test)) / trained
    units = Work.of(request for part in parts for request in part.requests).units
    taken = sum(
        count * seconds[kind] * (1 if kind == "segmenter" else more)
        for kind, count in units.items()
        if KINDS.get(kind).training
    )
    return taken / reference
