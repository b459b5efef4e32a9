"""A sweep planned over real job folders: what is trained, scored, told and chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from factories.sweep import LENGTHS, SIZES, Maker, Sweep, kid
from pydantic import ValidationError

from harness.base.errors import ConfigError
from harness.jobs.graph import JobGraph
from harness.sweep.plan import TrialRun


def test_a_sweep_ends_with_every_cell_told_and_the_best_one(make: Maker) -> None:
    plan = make().run()
    assert plan.finished
    assert [run.trial.number for run in plan.trials] == [0, 1, 2, 3]
    by_cell = {
        (run.trial.params["batch_size"], run.trial.params["schedule.epochs"]): run.trial
        for run in plan.trials
    }
    # abs(batch - 12) + 1 / epochs, and half of 0.01 for the mean over seeds 0 and 1
    expected = {(6, 4): 6.255, (6, 8): 6.13, (12, 4): 0.255, (12, 8): 0.13}
    assert {cell: trial.value for cell, trial in by_cell.items()} == pytest.approx(expected)
    assert plan.best == by_cell[12, 8]


def test_shorter_trials_are_read_out_on_the_way_of_longer_ones(make: Maker) -> None:
    sweep = make()
    sweep.run()
    trained = sweep.trained()
    assert len(trained) == 4  # two batch sizes x two seeds, not four cells x two seeds
    assert all({4, 8} <= epochs for epochs in trained.values())


def test_decays_branch_off_one_constant_phase(make: Maker) -> None:
    sweep = make(stage="image")
    sweep.run()
    steady = sweep.trained()
    assert len(steady) == 4  # two batch sizes x two seeds
    assert all({3, 5} <= epochs and max(epochs) == 5 for epochs in steady.values())
    decays = {(d, epoch) for kind, d, epoch in sweep.hands.done if kind == "image-decay"}
    assert len({digest for digest, _ in decays}) == 8
    assert {epoch for _, epoch in decays} >= {4, 8}


def test_every_seed_is_scored_on_one_ladder(make: Maker) -> None:
    """About three epochs up to 8 (1, 3, 8) and the listed ends, none behind a trial's own end."""
    sweep = make()
    plan = sweep.run()
    assert set(map(frozenset, sweep.scored().values())) == {frozenset({1, 3, 4, 8})}
    ladder = {run.epochs: sorted(run.seeds[0].scores) for run in plan.trials}
    assert ladder == {4: [1, 3, 4], 8: [1, 3, 4, 8]}


def test_seeds_are_those_of_sweeps(make: Maker) -> None:
    plan = make(seeds=3).run()
    assert {seed.seed for run in plan.trials for seed in run.seeds} == {0, 1, 2}
    assert all(seed.training.seed % 10_000 < 1000 for run in plan.trials for seed in run.seeds)


def test_a_wave_is_told_only_when_all_of_it_is_there(make: Maker) -> None:
    sweep = make()
    graph = JobGraph(sweep.work)
    plan = sweep.planner.plan(graph)
    assert [run.trial.value for run in plan.trials] == [None, None]
    requests = graph.ready()
    for request in requests[:-1]:
        sweep.hands.finish(request)
    again = sweep.planner.plan(JobGraph(sweep.work))
    assert [run.trial.value for run in again.trials] == [None, None]
    assert len(sweep.planner.study.trials()) == 2
    plan = sweep.run()
    assert plan.finished
    assert len(plan.trials) == 4


def test_a_driver_that_died_at_any_pass_leaves_the_same_sweep(folder: Path) -> None:
    space = {
        "optimiser.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
        "schedule.epochs": {"values": [4, 8]},
    }

    def score(config: Mapping[str, Any], seed: int, epoch: int) -> dict[str, Any]:
        rate = math.log10(config["optimiser"]["learning_rate"]) + 3
        return {"quality/kid": rate**2 + 1 / epoch}

    more = {"space": space, "sampler": "tpe", "trials": 14, "seeds": 1}
    whole = Sweep(folder / "whole", score, **more).run()
    for _ in range(3):
        Sweep(folder / "cut", score, **more).run(passes=5)
    cut = Sweep(folder / "cut", score, **more).run()
    assert [run.trial for run in cut.trials] == [run.trial for run in whole.trials]
    assert cut.best == whole.best


def test_nothing_finished_is_asked_for_again(make: Maker) -> None:
    sweep = make()
    sweep.run()
    count = len(sweep.hands.done)
    assert sweep.run().finished
    assert len(sweep.hands.done) == count


def test_a_seed_that_did_not_converge_rules_its_trial_out(make: Maker) -> None:
    def score(config: Mapping[str, Any], seed: int, epoch: int) -> dict[str, Any]:
        failed = config["batch_size"] == 12 and seed % 10 == 1
        return {**kid(config, seed, epoch), "converged": not failed}

    plan = make(score).run()
    failed = {run.trial.params["batch_size"]: run.trial.failed_seeds for run in plan.trials}
    assert failed == {6: 0, 12: 1}
    assert plan.best is not None
    assert plan.best.params == {"batch_size": 6, "schedule.epochs": 8}


def test_a_score_without_a_number_counts_as_failed(make: Maker) -> None:
    def score(config: Mapping[str, Any], seed: int, epoch: int) -> dict[str, Any]:
        return {"quality/kid": None if config["batch_size"] == 12 else 5.0}

    plan = make(score).run()
    assert plan.best is not None
    assert plan.best.params["batch_size"] == 6


def test_nothing_is_chosen_where_everything_failed(make: Maker) -> None:
    plan = make(lambda *about: {"quality/kid": 0.1, "converged": False}).run()
    assert plan.finished
    assert plan.best is None


def test_a_higher_objective_may_be_better(make: Maker) -> None:
    plan = make(
        lambda config, seed, epoch: {"quality/ssim": config["batch_size"] / epoch},
        objective="quality/ssim",
        direction="maximize",
        stage="image",
    ).run()
    assert plan.best is not None
    assert plan.best.params == {"batch_size": 12, "schedule.epochs": 4}


def test_an_objective_that_no_score_has_is_named(make: Maker) -> None:
    with pytest.raises(
        ValidationError, match=r"but got 'quality/kidd'; did you mean 'quality/kid'\?"
    ):
        make(objective="quality/kidd")
    with pytest.raises(
        ValidationError, match=r"sweep\.mask\.objective must be one of: quality/kid, "
    ):
        make(objective="quality/ssim")
    with pytest.raises(ConfigError, match="needs quality/fid of every trial, but the scores of"):
        make(objective="quality/fid").run()


def test_looking_asks_nothing(make: Maker) -> None:
    sweep = make()
    assert sweep.look().trials == []
    assert not sweep.look().finished
    sweep.run(passes=1)
    looked = sweep.look()
    assert [run.trial.value for run in looked.trials] == [None, None]
    assert len(sweep.planner.study.trials()) == 2
    ended = sweep.run()
    assert sweep.look() == ended
    assert sweep.look().finished


def test_results_of_another_store_are_not_used(make: Maker) -> None:
    """A result whose input changed is stale: it is asked for again, and the same trials stay."""
    sweep = make()
    trials = [run.trial for run in sweep.run().trials]
    folder = sweep.work.job(sweep.store)
    (folder.path / "result.json").unlink()
    folder.finish([], {"now": "other"}, {}, {"seconds": 0.0}, {})
    graph = JobGraph(sweep.work)
    sweep.planner.plan(graph)
    assert {request.spec.kind for request in graph.pending()} == {
        "real-diversity",
        "mask-stage",
        "mask-score",
    }
    assert [run.trial for run in sweep.look().trials] == trials


BESIDE = {"quality/diversity": "maximize", "cost/epochs": "minimize"}


@pytest.mark.parametrize("sampler", ["grid", "tpe", "gp"])
def test_several_objectives_have_a_front_and_the_best_by_the_first_is_chosen(
    make: Maker, sampler: str
) -> None:
    def score(config: Mapping[str, Any], seed: int, epoch: int) -> dict[str, Any]:
        return {**kid(config, seed, epoch), "quality/diversity": config["batch_size"] / 16}

    space = {**SIZES, "schedule.epochs": {"values": [4, 8]}}
    sweep = make(
        score,
        space=space,
        trials=12,
        trials_per_batch=4,
        sampler=sampler,
        further_objectives=BESIDE,
    )
    plan = sweep.run()
    assert plan.finished

    def point(run: TrialRun) -> tuple[float, float, float]:
        """All to be as small as can be."""
        batch, epochs = run.trial.params["batch_size"], run.trial.params["schedule.epochs"]
        return abs(batch - 12) + 1 / epochs, -batch / 16, epochs

    points = {run.trial.number: point(run) for run in plan.trials}
    front = [
        number
        for number, mine in points.items()
        if not any(all(a <= b for a, b in zip(its, mine, strict=True)) and its != mine
                   for its in points.values())
    ]  # fmt: skip
    assert plan.front == front
    assert plan.best is not None
    assert points[plan.best.number][0] == min(value for value, _, _ in points.values())
    assert plan.best.number in front
    for run in plan.trials:
        _, recall, epochs = points[run.trial.number]
        assert run.trial.further == {"quality/diversity": -recall, "cost/epochs": epochs}


def test_a_failed_trial_is_on_no_front(make: Maker) -> None:
    def score(config: Mapping[str, Any], seed: int, epoch: int) -> dict[str, Any]:
        return {**kid(config, seed, epoch), "converged": config["batch_size"] != 12}

    plan = make(score, further_objectives={"cost/epochs": "minimize"}).run()
    sizes = {run.trial.number: run.trial.params["batch_size"] for run in plan.trials}
    assert {sizes[number] for number in plan.front} == {6}


def test_what_optuna_cannot_combine_is_refused(make: Maker) -> None:
    with pytest.raises(ValidationError, match="pruners order trials by one value"):
        make(further_objectives={"cost/epochs": "minimize"}, prune=True)
    with pytest.raises(ValidationError, match=r"must differ from `objective`"):
        make(further_objectives={"quality/kid": "minimize"})


def test_a_misspelt_further_objective_is_named(make: Maker) -> None:
    with pytest.raises(
        ValidationError, match=r"sweep\.mask\.further_objectives must be one of: .*cost/epochs; "
    ):
        make(further_objectives={"quality/recal": "maximize"}).run()


def test_a_gaussian_process_asks_within_the_space_and_the_same_again(folder: Path) -> None:
    runs = [
        Sweep(folder / name, space=LENGTHS, trials=12, sampler="gp", trials_per_batch=4).run()
        for name in ("one", "two")
    ]
    params = [[run.trial.params for run in plan.trials] for plan in runs]
    assert params[0] == params[1]
    assert all(1e-5 <= p["optimiser.learning_rate"] <= 1e-3 for p in params[0])
