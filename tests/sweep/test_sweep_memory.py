"""Trials whose trainings do not fit their device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories.sweep import Maker, Sweep, kid

from harness.jobs.spec import Request, Spec
from harness.sweep.epochs import count_epochs


def is_wide(spec: Spec) -> bool:
    """A training of batch 12, that its device has no memory for."""
    return spec.kind in ("mask-stage", "image-decay") and spec.config["batch_size"] == 12


def test_a_trial_that_does_not_fit_its_device_fails_and_the_sweep_goes_on(make: Maker) -> None:
    sweep = make()
    sweep.hands.too_large = is_wide
    plan = sweep.run()
    assert plan.complete
    large = [run for run in plan.trials if run.trial.params["batch_size"] == 12]
    assert [run.trial.failed_seeds for run in large] == [2, 2]
    assert all(math.isfinite(run.trial.value or math.nan) for run in large)
    reasons = {seed.too_large for run in large for seed in run.seeds}
    assert reasons == {"a job must fit, but does not"}
    assert plan.best is not None
    assert plan.best.params["batch_size"] == 6
    assert count_epochs(plan).trainings == 4, "two cells of the size that fits, of two seeds"


def test_a_trial_that_did_not_fit_is_not_tried_again(make: Maker) -> None:
    sweep = make()
    sweep.hands.too_large = is_wide
    sweep.run()
    sweep.hands.too_large = lambda spec: pytest.fail("it was asked for again")
    assert sweep.run().complete


def test_a_decay_that_does_not_fit_fails_its_own_trial_alone(make: Maker) -> None:
    """The constant phases are there, so what was scored on the way stays."""
    sweep = make(stage="image")
    sweep.hands.too_large = lambda spec: is_wide(spec) and spec.config["epochs"] == 8
    plan = sweep.run()
    failed = {
        (run.trial.params["batch_size"], run.epochs): run.trial.failed_seeds for run in plan.trials
    }
    assert failed == {(6, 4): 0, (6, 8): 0, (12, 4): 0, (12, 8): 2}
    (large,) = [run for run in plan.trials if run.trial.failed_seeds]
    assert all(seed.scores and max(seed.scores) < 8 for seed in large.seeds)


def test_a_steady_phase_that_does_not_go_on_fails_only_what_needs_it_to(make: Maker) -> None:
    """Batch 12 is refused memory after the epoch at which the short trial's decay branches off."""
    sweep = make(stage="image")
    finish = sweep.hands.finish

    def refuse(request: Request) -> None:
        spec = request.spec
        if spec.kind != "image-stage" or spec.config["batch_size"] != 12:
            return finish(request)
        finish(replace(request, epochs=tuple(e for e in request.epochs if e <= 3)))
        return sweep.work.job(spec).fail("no room", too_large=True)

    sweep.hands.finish = refuse  # type: ignore[method-assign]
    failed = {
        (run.trial.params["batch_size"], run.epochs): run.trial.failed_seeds
        for run in sweep.run().trials
    }
    assert failed == {(6, 4): 0, (6, 8): 0, (12, 4): 0, (12, 8): 2}


def test_further_objectives_of_what_does_not_fit_are_no_made_up_numbers(make: Maker) -> None:
    def score(config: Mapping[str, Any], seed: int, epoch: int) -> dict[str, Any]:
        return {**kid(config, seed, epoch), "quality/diversity": 0.5}

    further = {"cost/epochs": "minimize", "quality/diversity": "maximize"}
    sweep = make(score, further_objectives=further)
    sweep.hands.too_large = is_wide
    plan = sweep.run()
    assert plan.complete
    for run in plan.trials:
        wide = run.trial.params["batch_size"] == 12
        cost = {"cost/epochs": float(run.epochs)}
        assert run.trial.further == (cost if wide else {**cost, "quality/diversity": 0.5})


def test_further_seeds_wait_for_none_that_does_not_fit(make: Maker) -> None:
    sweep = make(prune=True, seeds=3)
    sweep.hands.too_large = is_wide
    plan = sweep.run()
    assert plan.complete
    assert {run.trial.params["batch_size"] for run in plan.trials if run.trial.sound} == {6}


def test_a_driver_that_died_in_a_wave_with_large_trials_leaves_the_same_sweep(
    folder: Path,
) -> None:
    plans = []
    for name, passes in (("whole", [10_000]), ("cut", [1, 2, 3, 10_000])):
        for count in passes:
            sweep = Sweep(folder / name)
            sweep.hands.too_large = is_wide
            plan = sweep.run(count)
        plans.append(plan)
    whole, cut = plans
    assert cut.complete
    assert [run.trial for run in cut.trials] == [run.trial for run in whole.trials]


def test_shorter_lengths_of_a_trial_that_did_not_fit_are_no_trials(make: Maker) -> None:
    space = {
        "batch_size": {"values": [6, 12]},
        "optimiser.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
        "schedule.epochs": {"values": [4, 8]},
    }
    sweep = make(space=space, sampler="random", trials=10, seeds=1)
    sweep.hands.too_large = is_wide
    plan = sweep.run()
    read = [run.trial for run in plan.trials if run.trial.checkpoint_of is not None]
    assert read
    assert {trial.params["batch_size"] for trial in read} == {6}
