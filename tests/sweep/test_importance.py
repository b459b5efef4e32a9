"""Parameter importance: what Optuna says of the same trials, and when nothing is said."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import optuna
import pytest

from harness.config.axes import AxisConfig
from harness.config.stages import DcganConfig
from harness.sweep.importance import LEAST_TRIALS, importance, search_axes
from harness.sweep.plan import SweepPlan, TrialRun
from harness.sweep.study import Trial

RATE = "optimiser.learning_rate"
SPACE = {
    "batch_size": AxisConfig(values=(6, 12, 64)),
    RATE: AxisConfig(low=1e-5, high=1e-2, log=True),
}


def plan(trials: list[Trial], direction: str = "minimize") -> SweepPlan:
    runs = [TrialRun(trial, DcganConfig(), 8, ()) for trial in trials]
    return SweepPlan("mask", "mask-study", "quality/kid", direction, runs)


def told(count: int, sign: float = 1.0, failed: int = 0) -> list[Trial]:
    """Trials whose objective follows the learning rate alone; it is best at 1e-3."""
    rng = np.random.default_rng(5)
    found = []
    for number in range(count):
        rate = float(10 ** rng.uniform(-5, -2))
        params = {"batch_size": int(rng.choice([6, 12, 64])), RATE: rate}
        found.append(Trial(number, params, sign * abs(np.log10(rate) + 3), 0))
    lost = [Trial(count + n, {"batch_size": 64, RATE: 1e-3}, -99.0, 1) for n in range(failed)]
    return found + lost


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1.0), ("maximize", -1.0)])
def test_the_axis_that_alone_matters_has_nearly_all_of_it(direction: str, sign: float) -> None:
    found = importance(plan(told(60, sign), direction), SPACE)
    assert next(iter(found.shares)) == RATE
    assert found.shares[RATE] > 0.9
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert (found.best, found.of, found.why) == (6, 60, "")


def test_it_is_what_optuna_says_of_the_same_trials() -> None:
    trials = told(60)
    study = optuna.create_study()
    shapes: dict[str, Any] = {
        "batch_size": optuna.distributions.CategoricalDistribution((6, 12, 64)),
        RATE: optuna.distributions.FloatDistribution(1e-5, 1e-2, log=True),
    }
    for trial in trials:
        study.add_trial(
            optuna.trial.create_trial(
                value=trial.value, params=dict(trial.params), distributions=shapes
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()  # the best tenth
        expected = optuna.importance.get_param_importances(study, evaluator=evaluator)
    found = importance(plan(trials), SPACE)
    assert dict(found.shares) == pytest.approx(expected)


def test_failed_and_unfinished_trials_say_nothing() -> None:
    waiting = Trial(99, {"batch_size": 6, RATE: 1e-4}, None, 0)
    assert importance(plan([*told(30, failed=5), waiting]), SPACE) == importance(
        plan(told(30)), SPACE
    )


def test_few_trials_get_a_sentence_and_no_shares() -> None:
    found = importance(plan(told(LEAST_TRIALS - 1, failed=4)), SPACE)
    assert found.shares == {}
    assert found.why == (
        "Parameter importance is not drawn: it needs 10 finished trials without a failed seed, "
        "and there are 9."
    )
    assert importance(plan(told(LEAST_TRIALS)), SPACE).shares


def test_an_axis_that_only_some_trials_have_is_no_obstacle() -> None:
    space = {**SPACE, "penalty": AxisConfig(low=0.0, high=10.0)}
    trials = [
        Trial(t.number, {**t.params, **({"penalty": 2.0} if t.number % 2 else {})}, t.value, 0)
        for t in told(40)
    ]
    found = importance(plan(trials), space)
    assert set(found.shares) == {*SPACE, "penalty"}
    assert next(iter(found.shares)) == RATE


def test_axes_hold_every_trial_and_can_move() -> None:
    space = {**SPACE, "noise": AxisConfig(values=("normal",))}
    wide = plan([Trial(0, {"batch_size": 128, RATE: 0.1, "noise": "normal"}, 0.3, 0)])
    batch, rate = search_axes(wide, space)
    assert batch.values == (6, 12, 64, 128)
    assert (rate.low, rate.high, rate.log) == (1e-5, 0.1, True)
