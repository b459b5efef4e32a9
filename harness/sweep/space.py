"""A search space in the words of Optuna, and a trial's settings in the words of the config."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from harness.base.errors import ConfigError
from harness.base.rng import generator
from harness.config.axes import AxisConfig
from harness.config.search import StageSweepConfig
from harness.config.section import Section

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution

S = TypeVar("S", bound=Section)


def distributions(space: Mapping[str, AxisConfig]) -> dict[str, BaseDistribution]:
    """Optuna distributions by dotted path."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    shapes: dict[str, BaseDistribution] = {}
    for path, axis in space.items():
        if axis.values is not None:
            shapes[path] = CategoricalDistribution(axis.values)
        elif axis.integer:
            low, high = map(int, axis.ends)
            shapes[path] = IntDistribution(low, high, log=axis.log)
        else:
            shapes[path] = FloatDistribution(*axis.ends, log=axis.log)
    return shapes


def is_asked(axis: AxisConfig, params: Mapping[str, Any]) -> bool:
    """Whether an axis applies beside the values that a trial has of the axes before it."""
    return all(params.get(other) in values for other, values in axis.when.items())


def ask(trial: Trial, space: Mapping[str, AxisConfig]) -> dict[str, Any]:
    """Values of every axis that applies, in the order of the space; suggested by the trial."""
    for path, axis in space.items():
        if not is_asked(axis, trial.params):
            continue
        if axis.values is not None:
            trial.suggest_categorical(path, axis.values)
        elif axis.integer:
            low, high = map(int, axis.ends)
            trial.suggest_int(path, low, high, log=axis.log)
        else:
            trial.suggest_float(path, *axis.ends, log=axis.log)
    return dict(trial.params)


def random_cells(space: Mapping[str, AxisConfig], seed: int, count: int) -> list[dict[str, Any]]:
    """So many settings drawn from a space, as a random search asks them."""
    from optuna import create_study, samplers

    study = create_study(sampler=samplers.RandomSampler(seed))
    return [ask(study.ask(), space) for _ in range(count)]


def grid_cells(space: Mapping[str, AxisConfig], seed: int) -> list[dict[str, Any]]:
    """Every combination of a space of listed values, in a shuffled, repeatable order; each once
    where axes that do not apply leave two of them equal.

    Raises:
        ConfigError: an axis is a range.
    """
    for path, axis in space.items():
        if axis.values is None:
            raise ConfigError(
                f"a grid needs `values` on every axis, but {path} is a range; list its values, or "
                "use `sampler: tpe`"
            )
    cells: list[dict[str, Any]] = []
    for values in itertools.product(*(axis.values or () for axis in space.values())):
        cell: dict[str, Any] = {}
        for (path, axis), value in zip(space.items(), values, strict=True):
            if is_asked(axis, cell):
                cell[path] = value
        if cell not in cells:
            cells.append(cell)
    order = generator(seed, "grid").permutation(len(cells))
    return [cells[index] for index in order]


def longest(sweep: StageSweepConfig, configured: int) -> int:
    """The most epochs that a trial of this space can ask for."""
    axis = sweep.space.get("schedule.epochs")
    if axis is None:
        return configured
    return max(listed_epochs(sweep)) if axis.values else int(axis.ends[1])


def listed_epochs(sweep: StageSweepConfig) -> tuple[int, ...]:
    """Epochs that the space lists; they are read out on the way to longer trainings."""
    axis = sweep.space.get("schedule.epochs")
    return tuple(int(v) for v in axis.values) if axis is not None and axis.values else ()
