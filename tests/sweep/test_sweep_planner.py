"""A sweep planned over real job folders: what is trained, scored, told and chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from stand_in import Scorer, StandIn

from harness.base.errors import ConfigError
from harness.config.experiment import Experiment
from harness.jobs.board import Board
from harness.records.folder import JobFolder, WorkFolder
from harness.records.spec import Request, Spec
from harness.sweep.costs import count_costs
from harness.sweep.epochs import count_epochs
from harness.sweep.planner import StageSweep, SweepPlan, TrialRun
from harness.sweep.retention import drop_states
from harness.sweep.study import Study
from harness.work.specs import Specs

EXTRACTOR = {"name": "efficientnet-lite0", "weights": "0f" * 12}
COMPUTE = {"device": "cpu", "precision": "float32", "threads": 1}
GRID = {"batch_size": {"values": [6, 12]}, "schedule.epochs": {"values": [4, 8]}}


def kid(config: Mapping[str, Any], seed: int, epoch: int) -> dict[str, Any]:
    """Falls with the epochs; least at batch 12; the second seed is a little worse."""
    return {"quality/kid": abs(config["batch_size"] - 12) + 1 / epoch + 0.01 * (seed % 10)}


class Sweep:
    """A work folder with a stand-in for the workers; the planner is made anew at each use."""

    def __init__(self, root: Path, score: Scorer = kid, stage: str = "mask", **sweep: Any) -> None:
        space = sweep.pop("space", GRID)
        axes: dict[str, Any] = {"space": space, "trials": sweep.pop("trials", 4)}
        for name in ("objective", "direction", "further"):
            if name in sweep:
                axes[name] = sweep.pop(name)
        sections = {"seeds": 2, "sampler": "grid", "wave": 2, **sweep, stage: axes}
        self.stage = stage
        self.experiment = Experiment.model_validate(
            {"name": "s", "sweep": sections, "metrics": {"scored_epochs": 3}}
        )
        self.root = root
        self.work = WorkFolder(root)
        self.specs = Specs(self.experiment, COMPUTE, EXTRACTOR)
        self.store = self.specs.prepare({"a" * 24: "train"})
        self.hands = StandIn(self.work, score)
        self.finish_store()

    def finish_store(self) -> None:
        folder = self.work.job(self.store)
        folder.open(self.store)
        folder.finish([], {}, {}, {"seconds": 0.0}, {})

    @property
    def planner(self) -> StageSweep:
        settings = getattr(self.experiment.sweep, self.stage)
        path = self.root / "studies" / f"{self.stage}.db"
        study = Study(path, self.stage, self.experiment.sweep, settings, "base")
        return StageSweep(self.stage, self.specs, self.store, study)

    def run(self, passes: int = 10_000) -> SweepPlan:
        return self.hands.drive(lambda board: self.planner.plan(board), passes)

    def look(self) -> SweepPlan:
        return self.planner.look(Board(self.work))

    def trained(self) -> dict[str, set[int]]:
        """Readouts by the lineage's digest."""
        found: dict[str, set[int]] = {}
        for kind, digest, epoch in self.hands.done:
            if kind == f"{self.stage}-stage" and epoch is not None:
                found.setdefault(digest, set()).add(epoch)
        return found

    def scored(self) -> dict[str, set[int]]:
        """Scored epochs by the lineage's digest."""
        found: dict[str, set[int]] = {}
        for path in (self.work.jobs / f"{self.stage}-score").iterdir():
            training = JobFolder(path).spec().inputs["training"]
            found.setdefault(training.digest, set()).add(training.epoch or 0)
        return found


Maker = Callable[..., Sweep]


@pytest.fixture
def make(folder: Path) -> Maker:
    return lambda *args, **more: Sweep(folder, *args, **more)


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
    board = Board(sweep.work)
    plan = sweep.planner.plan(board)
    assert [run.trial.value for run in plan.trials] == [None, None]
    requests = board.ready()
    for request in requests[:-1]:
        sweep.hands.finish(request)
    again = sweep.planner.plan(Board(sweep.work))
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
    sweep = make(score, further=further)
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
    read = [run.trial for run in plan.trials if run.trial.readout_of is not None]
    assert read
    assert {trial.params["batch_size"] for trial in read} == {6}


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


def test_a_misspelt_objective_is_named_once_there_is_a_score(make: Maker) -> None:
    with pytest.raises(ConfigError) as error:
        make(objective="quality/kidd").run()
    assert str(error.value) == (
        "sweep.mask.objective must be one of: quality/kid; but got 'quality/kidd'; "
        "did you mean 'quality/kid'?"
    )


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
    board = Board(sweep.work)
    sweep.planner.plan(board)
    assert {request.spec.kind for request in board.pending()} == {
        "variety",
        "mask-stage",
        "mask-score",
    }
    assert [run.trial for run in sweep.look().trials] == trials


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
    sweep = make(stage=stage, space=THESIS, trials=12, seeds=1, wave=4)
    seen = sweep.planner.preview(Board(sweep.work))
    assert seen is not None
    assert count_epochs(seen).trained == trained, "known before anything is trained"
    epochs = count_epochs(sweep.run())
    assert (epochs.alone, epochs.trained) == (alone, trained)
    assert (epochs.trainings, epochs.lineages, epochs.readouts) == (12, 3, 0)
    assert epochs.share == pytest.approx({"mask": 0.5, "image": 0.667}[stage], abs=1e-3)


LENGTHS = {
    "batch_size": {"values": [6, 12]},
    "optimiser.learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
    "schedule.epochs": {"values": [4, 8, 16]},
}


def test_shorter_lengths_enter_the_study_for_nothing(make: Maker) -> None:
    sweep = make(space=LENGTHS, trials=6, sampler="tpe", wave=3)
    plan = sweep.run()
    asked = [run.trial for run in plan.trials if run.trial.readout_of is None]
    readouts = [run.trial for run in plan.trials if run.trial.readout_of is not None]
    assert len(asked) == 6  # the others do not count against it
    longer = {trial.number: trial for trial in asked}
    for trial in asked:
        below = {e for e in (4, 8, 16) if e < trial.params["schedule.epochs"]}
        assert {
            r.params["schedule.epochs"] for r in readouts if r.readout_of == trial.number
        } == below
    for trial in readouts:
        of = longer[trial.readout_of]  # type: ignore[index]
        assert {**of.params, "schedule.epochs": trial.params["schedule.epochs"]} == trial.params
        epochs, batch = trial.params["schedule.epochs"], trial.params["batch_size"]
        assert trial.value == pytest.approx(abs(batch - 12) + 1 / epochs + 0.005)
    trained = {max(epochs) for epochs in sweep.trained().values()}
    assert trained == {trial.params["schedule.epochs"] for trial in asked}


def test_a_driver_that_died_before_the_readouts_asks_the_same(folder: Path) -> None:
    whole = Sweep(folder / "whole", space=LENGTHS, trials=6, sampler="tpe", wave=3).run()
    broken = Sweep(folder / "broken", space=LENGTHS, trials=6, sampler="tpe", wave=3)
    for _ in range(100):  # a driver of its own for every pass
        plan = broken.run(passes=1)
        if plan.finished:
            break
    mine, its = (
        sorted(
            (str(run.trial.readout_of), sorted(run.trial.params.items()), run.trial.value)
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


SIZES = {"batch_size": {"values": [2, 4, 6, 8, 10, 12, 14, 16]}}


def test_further_seeds_are_left_out_of_trials_worse_than_the_median_of_earlier_waves(
    folder: Path,
) -> None:
    asked = {"space": SIZES, "trials": 8, "wave": 4, "seeds": 3, "prune": True}
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

    plan = make(broken, space=SIZES, trials=8, wave=4, seeds=3, prune=True).run()
    assert all(len(run.seeds) == 3 for run in plan.trials)


BESIDE = {"quality/recall": "maximize", "cost/epochs": "minimize"}


@pytest.mark.parametrize("sampler", ["grid", "tpe", "gp"])
def test_several_objectives_have_a_front_and_the_best_by_the_first_is_chosen(
    make: Maker, sampler: str
) -> None:
    def score(config: Mapping[str, Any], seed: int, epoch: int) -> dict[str, Any]:
        return {**kid(config, seed, epoch), "quality/recall": config["batch_size"] / 16}

    space = {**SIZES, "schedule.epochs": {"values": [4, 8]}}
    sweep = make(score, space=space, trials=12, wave=4, sampler=sampler, further=BESIDE)
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
        assert run.trial.further == {"quality/recall": -recall, "cost/epochs": epochs}


def test_a_failed_trial_is_on_no_front(make: Maker) -> None:
    def score(config: Mapping[str, Any], seed: int, epoch: int) -> dict[str, Any]:
        return {**kid(config, seed, epoch), "converged": config["batch_size"] != 12}

    plan = make(score, further={"cost/epochs": "minimize"}).run()
    sizes = {run.trial.number: run.trial.params["batch_size"] for run in plan.trials}
    assert {sizes[number] for number in plan.front} == {6}


def test_what_optuna_cannot_combine_is_refused(make: Maker) -> None:
    with pytest.raises(ValidationError, match="pruners order trials by one value"):
        make(further={"cost/epochs": "minimize"}, prune=True)
    with pytest.raises(ValidationError, match=r"must differ from `objective`"):
        make(further={"quality/kid": "minimize"})


def test_a_misspelt_further_objective_is_named(make: Maker) -> None:
    with pytest.raises(ConfigError, match=r"sweep\.mask\.further must be one of: .*cost/epochs; "):
        make(further={"quality/recal": "maximize"}).run()


@pytest.mark.parametrize("stage", ["mask", "image"])
def test_states_are_dropped_and_what_was_read_out_stays(make: Maker, stage: str) -> None:
    sweep = make(stage=stage)
    plan = sweep.run()
    assert plan.complete
    kept, states = [], []
    steady = [seed.phases.steady for run in plan.trials for seed in run.seeds]
    for folder in {job.path: job for job in map(sweep.work.job, steady)}.values():
        epochs = folder.readouts()
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
    assert all(run.trial.readout_of is None for run in plan.trials)


def test_a_gaussian_process_asks_within_the_space_and_the_same_again(folder: Path) -> None:
    runs = [
        Sweep(folder / name, space=LENGTHS, trials=12, sampler="gp", wave=4).run()
        for name in ("one", "two")
    ]
    params = [[run.trial.params for run in plan.trials] for plan in runs]
    assert params[0] == params[1]
    assert all(1e-5 <= p["optimiser.learning_rate"] <= 1e-3 for p in params[0])
