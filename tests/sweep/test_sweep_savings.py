"""Epochs, trials and bytes that a sweep saves: lengths, early ends, budgets, pruning, states."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.sweep import GRID, LENGTHS, SIZES, Maker, Sweep, kid

from harness.jobs.graph import JobGraph
from harness.sweep.costs import count_costs
from harness.sweep.epochs import count_epochs
from harness.sweep.retention import drop_states

THESIS = {"batch_size": {"values": [6, 12, 16]}, "schedule.epochs": {"values": [50, 100, 350, 500]}}


@pytest.mark.parametrize(
    ("stage", "alone", "trained"),
    [
        ("mask", 3000, 1500),  # 500 epochs a batch size instead of 1,000
        # Constant up to two thirds of 500, then thirds of 50, 100, 350 and 500.
        ("image", 3000, 3 * (333 + 17 + 33 + 117 + 167)),
    ],
)
def test_a_grid_of_lengths_costs_little_more_than_its_longest(
    make: Maker, stage: str, alone: int, trained: int
) -> None:
    sweep = make(stage=stage, space=THESIS, trials=12, seeds=1, trials_per_batch=4)
    seen = sweep.planner.preview(JobGraph(sweep.work))
    assert seen is not None
    assert count_epochs(seen).trained == trained, "known before anything is trained"
    epochs = count_epochs(sweep.run())
    assert (epochs.alone, epochs.trained) == (alone, trained)
    assert (epochs.trainings, epochs.first_phases, epochs.checkpoints) == (12, 3, 0)
    assert epochs.share == pytest.approx({"mask": 0.5, "image": 0.667}[stage], abs=1e-3)


def test_shorter_lengths_enter_the_study_for_nothing(make: Maker) -> None:
    sweep = make(space=LENGTHS, trials=6, sampler="tpe", trials_per_batch=3)
    plan = sweep.run()
    asked = [run.trial for run in plan.trials if run.trial.checkpoint_of is None]
    checkpoints = [run.trial for run in plan.trials if run.trial.checkpoint_of is not None]
    assert len(asked) == 6  # the others do not count against it
    longer = {trial.number: trial for trial in asked}
    for trial in asked:
        below = {e for e in (4, 8, 16) if e < trial.params["schedule.epochs"]}
        assert {
            r.params["schedule.epochs"] for r in checkpoints if r.checkpoint_of == trial.number
        } == below
    for trial in checkpoints:
        of = longer[trial.checkpoint_of]  # type: ignore[index]
        assert {**of.params, "schedule.epochs": trial.params["schedule.epochs"]} == trial.params
        epochs, batch = trial.params["schedule.epochs"], trial.params["batch_size"]
        assert trial.value == pytest.approx(abs(batch - 12) + 1 / epochs + 0.005)
    trained = {max(epochs) for epochs in sweep.trained().values()}
    assert trained == {trial.params["schedule.epochs"] for trial in asked}


def test_a_driver_that_died_before_the_readouts_asks_the_same(folder: Path) -> None:
    whole = Sweep(
        folder / "whole", space=LENGTHS, trials=6, sampler="tpe", trials_per_batch=3
    ).run()
    broken = Sweep(folder / "broken", space=LENGTHS, trials=6, sampler="tpe", trials_per_batch=3)
    for _ in range(100):  # a driver of its own for every pass
        plan = broken.run(passes=1)
        if plan.finished:
            break
    mine, its = (
        sorted(
            (str(run.trial.checkpoint_of), sorted(run.trial.params.items()), run.trial.value)
            for run in found.trials
        )
        for found in (plan, whole)
    )
    assert mine == its


@pytest.mark.parametrize("stage", ["mask", "image"])
def test_a_training_that_ends_early_is_scored_where_it_ended(make: Maker, stage: str) -> None:
    def lost_at_3(config: Mapping[str, Any], seed: int, epoch: int) -> dict[str, Any]:
        ended = config["batch_size"] == 6
        return {**kid(config, seed, epoch), "converged": not (ended and epoch >= 3)}

    sweep = make(lost_at_3, stage=stage, stop_on=["convergence failure"])
    sweep.hands.ends = lambda spec: 3 if spec.config.get("batch_size") == 6 else None
    plan = sweep.run()
    assert plan.finished
    assert all(s.training.config["stop_on"] for run in plan.trials for s in run.seeds)
    for run in plan.trials:
        ended = run.trial.params["batch_size"] == 6
        assert run.trial.failed_seeds == (2 if ended else 0)
        for seed in run.seeds:
            assert seed.stopped_at == (3 if ended else None)
            assert max(seed.scores) == (3 if ended else run.epochs)
    assert plan.best is not None
    assert plan.best.params["batch_size"] == 12
    epochs = count_epochs(plan)
    assert epochs.stopped == 4
    # Batch 6 ended after 3 epochs. Batch 12, each of two seeds: 8 epochs without a decay; with one
    # 5 constant epochs of which 3 are the shorter trial's, then 1 and 3 epochs of decay.
    assert epochs.trained == 2 * 3 + 2 * (8 if stage == "mask" else 5 + 1 + 3)


def test_a_budget_ends_the_asking_and_more_of_it_goes_on(make: Maker) -> None:
    """A stand-in's training takes a second, and each of its scores."""
    sweep = make(budget={"device_hours": 5 / 3600})
    plan = sweep.run()
    assert plan.finished
    assert len(plan.trials) == 2, "the first wave is completed, the second never asked"
    costs = count_costs(plan, sweep.work)
    shared = {s.training.digest for run in plan.trials for s in run.seeds}
    scored = sum(len(epochs) for epochs in sweep.scored().values())
    assert (costs.trainings, costs.scores) == (len(shared), scored)
    assert costs.bytes > 1000
    assert sweep.look().finished
    assert not plan.complete
    longer = make(budget={"device_hours": 1.0})
    assert len(longer.run().trials) == 4
    assert longer.look().finished


def test_a_budget_of_wall_time_begins_with_the_planner(make: Maker) -> None:
    sweep = make(budget={"hours": 0.5})
    late = sweep.planner
    late.began -= 1801
    plan = sweep.hands.drive(late.plan)
    assert (plan.finished, len(plan.trials)) == (True, 2)
    again = sweep.hands.drive(sweep.planner.plan)
    assert len(again.trials) == 4


def test_further_seeds_are_left_out_of_trials_worse_than_the_median_of_earlier_waves(
    folder: Path,
) -> None:
    asked = {"space": SIZES, "trials": 8, "trials_per_batch": 4, "seeds": 3, "prune": True}
    plan = Sweep(folder / "once", **asked).run()
    first, second = plan.trials[:4], plan.trials[4:]
    assert all(len(run.seeds) == 3 and not run.trial.pruned for run in first)
    # Of `kid`, at the first seed alone: the distance from batch 12.
    away = [abs(run.trial.params["batch_size"] - 12) for run in first]
    worse = [abs(run.trial.params["batch_size"] - 12) > np.median(away) for run in second]
    assert True in worse
    assert False in worse
    for run, expected in zip(second, worse, strict=True):
        assert run.trial.pruned == expected
        assert (len(run.seeds), run.pruned_seeds) == ((1, 2) if expected else (3, 0))
        assert run.trial.value == pytest.approx(
            kid(run.trial.params, 0, 300)["quality/kid"] + (0 if expected else 0.01)
        )
    assert plan.best is not None
    assert not plan.best.pruned
    assert count_epochs(plan).pruned == 2 * sum(worse)

    broken = Sweep(folder / "broken", **asked)
    for _ in range(1000):  # a driver of its own for every pass
        again = broken.run(passes=1)
        if again.finished:
            break
    assert [run.trial for run in again.trials] == [run.trial for run in plan.trials]


def test_without_numbers_no_seed_is_left_out(make: Maker) -> None:
    def broken(config: Mapping[str, Any], seed: int, epoch: int) -> dict[str, Any]:
        return {"quality/kid": None if seed % 10 == 0 else 1.0}

    plan = make(broken, space=SIZES, trials=8, trials_per_batch=4, seeds=3, prune=True).run()
    assert all(len(run.seeds) == 3 for run in plan.trials)


@pytest.mark.parametrize("stage", ["mask", "image"])
def test_states_are_dropped_and_what_was_read_out_stays(make: Maker, stage: str) -> None:
    sweep = make(stage=stage)
    plan = sweep.run()
    assert plan.complete
    kept, states = [], []
    steady = [seed.phases.steady for run in plan.trials for seed in run.seeds]
    for folder in {job.path: job for job in map(sweep.work.job, steady)}.values():
        epochs = folder.checkpoints()
        states += [folder.state, folder.branch(epochs[0])]
        kept += [folder.at(epoch) / "result.json" for epoch in epochs]
    for path in states:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 100)
    assert drop_states(plan, sweep.work) == 100 * len(states)
    assert not any(path.exists() for path in states)
    assert all(path.exists() for path in kept)
    assert drop_states(plan, sweep.work) == 0


def test_ending_early_is_another_question(make: Maker) -> None:
    asked = make(stop_on=["convergence failure"])
    plain = make()
    assert asked.planner.study.name != plain.planner.study.name
    assert {s.training.config.get("stop_on") for r in plain.run().trials for s in r.seeds} == {None}


def test_decaying_trials_have_no_free_readouts(make: Maker) -> None:
    plan = make(stage="image", space=LENGTHS, trials=4, sampler="tpe").run()
    assert all(run.trial.checkpoint_of is None for run in plan.trials)


def test_a_preview_leaves_out_no_seeds_of_trials_that_nobody_asked(make: Maker) -> None:
    sweep = make(space=GRID, trials=4, trials_per_batch=2, seeds=3, prune=True)
    sweep.run()
    shutil.rmtree(sweep.root / "studies")  # the trainings are still there
    preview = sweep.planner.preview(JobGraph(sweep.work))
    assert [len(run.seeds) for run in preview.trials] == [3, 3, 3, 3]
