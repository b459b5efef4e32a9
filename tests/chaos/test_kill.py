"""SIGKILL at random moments, again and again: what is there at the end is what an uninterrupted
command leaves.

HARNESS_CHAOS_KILLS (3) says how often the sweep is killed, HARNESS_CHAOS_TRIALS (2) how many masks'
settings it tries, HARNESS_CHAOS_SEED (drawn) when the kills come; the seed is printed, so that a
failure can be looked at again (moments of other machines differ).
"""

from __future__ import annotations

import copy
import random
import shutil
import time
from pathlib import Path

import pytest
from factories.chaos import (
    EXPERIMENT,
    KILLS,
    SEED,
    Command,
    assert_equal,
    finish,
    killed_at_random,
    mlflow,
    started,
    sums,
    tail,
    wait_for,
    written,
)
from factories.tiny import lines_of, same, values_of

from harness.jobs.folder import JobFolder, WorkFolder
from harness.jobs.runner import run_request
from harness.jobs.spec import Request

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(5400)]

EPOCHS = 80
"""Of the long training: some eight seconds on one core."""


# --- a sweep --------------------------------------------------------------------------------------


def test_a_sweep_killed_at_random_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    file = written(tmp_path / "chaos.yaml", EXPERIMENT)
    kills = killed_at_random(file, tmp_path / "killed", KILLS, SEED)
    reference = tmp_path / "whole"
    finish(file, reference, "--workers", "1")
    assert kills >= min(KILLS, 2), "the kills came too late to say anything"
    assert_equal(tmp_path / "killed", reference)


# --- one long training ----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_training_killed_in_its_middle_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    """Killed before its first saved state and, where it is slow enough to have one, after it."""
    chance = random.Random(SEED + 1)
    print(f"HARNESS_CHAOS_SEED={SEED}")
    experiment = copy.deepcopy(EXPERIMENT)
    experiment["sweep"]["seeds"] = 1
    experiment["sweep"]["mask"] = {"trials": 1, "space": {"schedule.epochs": {"values": [EPOCHS]}}}
    experiment["mask"]["batch_size"] = 4
    file = written(tmp_path / "chaos.yaml", experiment)
    workdir = tmp_path / "killed"
    options = ("--stage", "mask", "--workers", "1")
    for kill in range(max(2, KILLS // 2)):
        with started(file, workdir, *options) as command:
            wait_for_the_middle(command, workdir, chance.randint(2, 15), saved=kill > 0)
            time.sleep(chance.uniform(0.0, 0.5))
            command.kill("everything")
        folder = training(workdir)[0]
        assert folder.checkpoints() == [1], "in the middle"
        print(f"killed at epoch {epoch_of(workdir)}, state saved: {folder.state.exists()}")
    finish(file, workdir, *options)
    reference = WorkFolder(tmp_path / "whole")
    shutil.copytree(workdir / "jobs" / "prepare", reference.jobs / "prepare")
    assert run_request(Request(folder.spec(), (1, EPOCHS), 3), reference).state == "done"
    whole = reference.job(folder.spec())
    same(values_of(folder), values_of(whole))
    for pattern in ("checkpoints/*/weights.safetensors", "samples/*.png"):
        assert sums(folder.path, pattern) == sums(whole.path, pattern)
    states, points = mlflow(workdir)
    assert set(states) == {"FINISHED"}
    logged = {name for _, name in values_of(whole)}  # the run shows its scores as well
    shown = {
        (step, name): value
        for (run, name, step), value in points.items()
        if run == "mask trial 000 seed 0" and name in logged
    }
    same(dict(sorted(shown.items())), dict(sorted(values_of(whole).items())))


def wait_for_the_middle(command: Command, workdir: Path, more: int, saved: bool) -> None:
    """Until the training is `more` epochs further, and, where asked, has saved its state."""
    assert wait_for(command, lambda: epoch_of(workdir) > 0), tail(workdir)
    target = min(epoch_of(workdir) + more, EPOCHS - 20)
    assert wait_for(command, lambda: epoch_of(workdir) >= target), tail(workdir)
    if saved:
        state = training(workdir)[0].state
        assert wait_for(command, lambda: state.exists() or epoch_of(workdir) >= EPOCHS - 20)


def training(workdir: Path) -> list[JobFolder]:
    return [JobFolder(path.parent) for path in workdir.glob("jobs/mask-stage/*/journal.jsonl")]


def epoch_of(workdir: Path) -> int:
    """Last epoch that the training's journal holds."""
    lines = [line for folder in training(workdir) for line in lines_of(folder)]
    return max((line.step for line in lines), default=0)
