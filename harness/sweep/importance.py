"""How much each axis of a search space mattered, and the axes as figures want them."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.config.axes import AxisConfig
from harness.figures.axes import SearchAxis, is_number
from harness.sweep.plan import SweepPlan
from harness.sweep.space import distributions
from harness.sweep.study import Trial

LEAST_TRIALS = 10
_LEAST_BEST = 5
_BEST_SHARE = 0.1


@dataclass(frozen=True)
class Importance:
    """What set the best trials apart.

    Attributes:
        shares: by axis, summing to 1, largest first; {} where `why` says why there are none.
        best, of: how many trials count as the best, and all that were looked at.
    """

    shares: Mapping[str, float] = field(default_factory=dict)
    best: int = 0
    of: int = 0
    why: str = ""


def importance(plan: SweepPlan, space: Mapping[str, AxisConfig]) -> Importance:
    """PED-ANOVA over finished trials without a failed or left-out seed, checkpoints included: how
    differently the best tenth of them (5 at least) lies along each axis from all of them.

    It needs no model of the objective, and takes trials that lack an axis for what they are.
    """
    sound = [
        t.trial
        for t in plan.trials
        if t.trial.sound
        and all(name in space and _fits(space[name], v) for name, v in t.trial.params.items())
    ]
    if len(sound) < LEAST_TRIALS:
        return Importance(
            of=len(sound),
            why=f"Parameter importance is not drawn: it needs {LEAST_TRIALS} finished trials "
            f"without a failed seed, and there {'is' if len(sound) == 1 else 'are'} {len(sound)}.",
        )
    best = max(_LEAST_BEST, math.ceil(_BEST_SHARE * len(sound)))
    shares = _shares(sound, plan.direction, space, best / len(sound))
    total = sum(shares.values())
    if not total > 0:
        return Importance(
            of=len(sound),
            why="Parameter importance is not drawn: the best trials lie along every axis as all "
            "trials do.",
        )
    ordered = sorted(shares.items(), key=lambda entry: -entry[1])
    return Importance({name: share / total for name, share in ordered}, best, len(sound))


def _shares(
    trials: Sequence[Trial], direction: str, space: Mapping[str, AxisConfig], quantile: float
) -> dict[str, float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("optuna").setLevel(logging.ERROR)
    known = distributions(space)
    study = optuna.create_study(direction=optuna.study.StudyDirection[direction.upper()])
    for trial in trials:
        params, shapes = dict(trial.params), {name: known[name] for name in trial.params}
        study.add_trial(
            optuna.trial.create_trial(value=trial.value, params=params, distributions=shapes)
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the evaluator is marked experimental
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile)
        return optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False)


def _fits(axis: AxisConfig, value: Any) -> bool:
    """Whether a trial's value is one of the space as it stands now."""
    if axis.values is not None:
        return value in axis.values
    low, high = axis.ends
    return is_number(value) and low <= value <= high


def search_axes(plan: SweepPlan, space: Mapping[str, AxisConfig]) -> list[SearchAxis]:
    """The axes along which the search can move, wide enough for all trials; those with a single
    value are left out."""
    found = []
    for path, axis in space.items():
        tried = [t.trial.params[path] for t in plan.trials if path in t.trial.params]
        if axis.values is not None:
            listed = SearchAxis.listed(path, (*axis.values, *tried))
            found += [listed] if len(listed.values) > 1 else []
            continue
        low, high = axis.ends
        numbers = [float(value) for value in tried if is_number(value)]
        ends = min([low, *numbers]), max([high, *numbers])
        found.append(SearchAxis(path, (), *ends, log=axis.log))
    return found
