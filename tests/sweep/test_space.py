"""A search space as Optuna sees it, and a trial's settings as the stage sees them."""

from __future__ import annotations

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import ValidationError

from harness.base.errors import ConfigError
from harness.config.axes import apply
from harness.config.experiment import Experiment
from harness.config.search import StageSweepConfig
from harness.config.stages import DcganConfig, Pix2pixConfig
from harness.sweep.space import distributions, grid_cells, listed_epochs, longest


def sweep(**space: object) -> StageSweepConfig:
    named = {name.replace("__", "."): axis for name, axis in space.items()}
    return StageSweepConfig.model_validate({"space": named})


def test_axes_become_the_distributions_that_they_describe() -> None:
    space = sweep(
        batch_size={"values": [6, 12]},
        optimiser__learning_rate={"low": 1e-5, "high": 1e-3, "log": True},
        real_label={"low": 0.8, "high": 1},
        schedule__epochs={"low": 10, "high": 300, "integer": True, "log": True},
    ).space
    assert distributions(space) == {
        "batch_size": CategoricalDistribution((6, 12)),
        "optimiser.learning_rate": FloatDistribution(1e-5, 1e-3, log=True),
        "real_label": FloatDistribution(0.8, 1.0),
        "schedule.epochs": IntDistribution(10, 300, log=True),
    }


def test_the_default_spaces_are_valid_settings_at_both_ends() -> None:
    experiment = Experiment(name="x")
    for stage, base in (("mask", experiment.mask), ("image", experiment.image)):
        space = getattr(experiment.sweep, stage).space
        for pick in (0, -1):
            params = {
                path: axis.values[pick] if axis.values else (axis.low, axis.high)[pick]
                for path, axis in space.items()
            }
            found = apply(base, params)
            assert found.batch_size == params["batch_size"]
            assert found.optimiser.learning_rate == params["optimiser.learning_rate"]
            assert found.schedule.epochs == params["schedule.epochs"]


def test_a_trial_changes_its_own_settings_alone() -> None:
    base = DcganConfig(width=16)
    found = apply(base, {"optimiser.beta1": 0.0, "batch_size": 64})
    assert found.model_dump() == {
        **base.model_dump(),
        "batch_size": 64,
        "optimiser": {**base.optimiser.model_dump(), "beta1": 0.0},
    }
    assert base.batch_size == 12


def test_a_value_that_the_stage_refuses_is_refused_here() -> None:
    with pytest.raises(ConfigError, match="batch_size must be a whole number"):
        apply(Pix2pixConfig(), {"batch_size": 0})


def test_the_same_seed_shuffles_a_grid_the_same_way() -> None:
    space = sweep(batch_size={"values": [1, 2, 3]}, width={"values": [8, 16, 32]}).space
    assert grid_cells(space, 3) == grid_cells(space, 3)
    assert grid_cells(space, 3) != grid_cells(space, 4)
    assert len(grid_cells(space, 3)) == 9


def test_a_grid_has_each_cell_once_where_an_axis_does_not_apply() -> None:
    space = sweep(
        noise={"values": ["normal", "uniform"]},
        real_label={"values": [0.9, 1.0], "when": {"noise": ["uniform"]}},
        width={"values": [8, 16], "when": {"noise": ["uniform"], "real_label": [1.0]}},
    ).space
    cells = sorted(tuple(sorted(cell.items())) for cell in grid_cells(space, 0))
    uniform = ("noise", "uniform")
    assert cells == [
        (("noise", "normal"),),
        (uniform, ("real_label", 0.9)),
        (uniform, ("real_label", 1.0), ("width", 8)),
        (uniform, ("real_label", 1.0), ("width", 16)),
    ]


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"width": [8]}, "`when` of real_label must name an axis with `values` listed before it"),
        ({"batch_size": [8]}, r"but got batch_size: \[8\]"),
        ({"batch_size": []}, "and some of those values"),
        ({"latent": [5]}, "must name an axis with `values`"),
    ],
)
def test_a_condition_names_values_of_an_axis_before_it(when: object, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        sweep(
            batch_size={"values": [4, 6]},
            latent={"low": 4, "high": 9, "integer": True},
            real_label={"values": [0.9], "when": when},
            width={"values": [8]},
        )


def test_every_trial_has_a_length() -> None:
    with pytest.raises(ValidationError, match=r"schedule\.epochs must be an axis of every trial"):
        sweep(
            batch_size={"values": [4, 6]},
            schedule__epochs={"values": [9], "when": {"batch_size": [4]}},
        )


@pytest.mark.parametrize(
    ("axis", "most", "listed"),
    [
        ({"values": [50, 30, 100]}, 100, (50, 30, 100)),
        ({"low": 10, "high": 80, "integer": True}, 80, ()),
        (None, 300, ()),
    ],
)
def test_the_longest_training_of_a_space(axis: object, most: int, listed: tuple[int, ...]) -> None:
    space = {"batch_size": {"values": [1]}} | ({"schedule.epochs": axis} if axis else {})
    config = StageSweepConfig.model_validate({"space": space})
    assert longest(config, 300) == most
    assert listed_epochs(config) == listed
