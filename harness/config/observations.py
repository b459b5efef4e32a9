"""The section `observations`: claims about the generators, written down before a sweep is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from harness.config.legacy import LegacyConfig, StageTwoTest, WhoseMasks
from harness.config.search import SweepConfig, score_problem
from harness.config.section import Positive, Section

Outcome = Literal[
    "healthy", "collapsed", "convergence failure", "mode collapse", "partial collapse"
]


class TrainingsConfig(Section):
    """Which trainings of a sweep, at which epoch, and how they are looked at."""

    params: dict[str, float | int | str | bool] = Field(
        {},
        description="values of axes of the stage's space; the mean is over all trials that have "
        "them",
    )
    epoch: Positive | None = Field(
        None, description="one of metrics.scored_epochs; null is each trial's last"
    )
    masks: WhoseMasks | None = Field(
        None, description="one of legacy.masks, for Stage II; null is the usual score"
    )
    test: StageTwoTest = Field(
        StageTwoTest(), description="how Stage II is tested on them, one of legacy.stage_two"
    )

    @property
    def tested(self) -> bool:
        """Whether the value is of a test of Stage II, not of the usual score."""
        return self.masks is not None


class ObservationConfig(Section):
    """One claim: a score lower or higher here than there, or how trainings end."""

    says: str = Field(min_length=1, description="the claim, a sentence")
    stage: Literal["mask", "image"] = Field(description="whose sweep")
    score: str | None = Field(None, description="a score of the stage, such as quality/kid")
    expects: Literal["lower", "higher"] = Field(
        "lower", description="side of the score on which it is expected"
    )
    of: TrainingsConfig = Field(TrainingsConfig(), description="which trainings")
    than: TrainingsConfig | None = Field(None, description="compared with which, seed by seed")
    than_value: float | None = Field(None, description="or with which number")
    verdict: Outcome | None = Field(
        None, description="in the place of a score: the verdict expected on every one of them"
    )

    @property
    def groups(self) -> tuple[TrainingsConfig, ...]:
        return (self.of,) if self.than is None else (self.of, self.than)

    @model_validator(mode="after")
    def _one_form(self) -> ObservationConfig:
        compared = (self.than is not None) + (self.than_value is not None)
        if (self.score is None) == (self.verdict is None):
            got = "both" if self.score is not None else "neither"
            raise ValueError(f"an observation needs either `score` or `verdict`, but got {got}")
        if compared != (self.score is not None):
            raise ValueError(
                "an observation needs `than` or `than_value` beside `score`, one of them, and "
                f"neither beside `verdict`, but got {compared or 'neither'}"
            )
        if self.verdict is not None and self.of.tested:
            raise ValueError(
                "a verdict is of a training's own samples, so `of.masks` must be null, but got "
                f"'{self.of.masks}'; remove it"
            )
        return self


def observation_problems(
    observations: Sequence[ObservationConfig],
    sweep: SweepConfig,
    legacy: LegacyConfig,
    epochs: int | tuple[int, ...],
) -> list[str]:
    """A full sentence for each part of an observation that the sweep will not make.

    Args:
        epochs: `metrics.scored_epochs`.
    """
    found: list[str] = []
    for number, one in enumerate(observations):
        at = f"observations[{number}]"
        space = getattr(sweep, one.stage)
        if space is None:
            found.append(
                f"{at}.stage must be one that is swept, but sweep.{one.stage} is null; give it a "
                "space of settings, or remove the observation"
            )
            continue
        if one.score is not None and (why := score_problem(one.stage, one.score)):
            found.append(f"{at}.score {why}")
        for group in one.groups:
            found += [f"{at}.{why}" for why in _group_problems(group, space.space, one)]
            if group.params and sweep.sampler != "grid":
                found.append(
                    f"{at} compares settings, so sweep.sampler must be 'grid', but got "
                    f"'{sweep.sampler}', which may try some settings more often than others; "
                    "change it"
                )
            if group.epoch is not None and group.epoch not in (
                epochs if isinstance(epochs, tuple) else ()
            ):
                found.append(
                    f"{at} needs epoch {group.epoch} among metrics.scored_epochs, a list of "
                    f"epochs, but got {epochs if isinstance(epochs, int) else list(epochs)}; add it"
                )
            if group.tested and (group.masks not in legacy.masks or group.test not in legacy.tests):
                found.append(
                    f"{at} needs {group.masks} among legacy.masks and its test "
                    f"({group.test.words}) among legacy.stage_two, which lack one; add it"
                )
    return found


def _group_problems(
    group: TrainingsConfig, space: dict[str, Any], one: ObservationConfig
) -> list[str]:
    found = []
    for path, value in group.params.items():
        values = space[path].values if path in space else None
        if values is None or value not in values:
            listed = "no listed values" if values is None else f"the values {list(values)}"
            found.append(
                f"params must give values of axes of sweep.{one.stage}.space, but got {path}: "
                f"{value}, and that has {listed}; change one"
            )
    if group.tested and one.stage != "image":
        found.append(f"masks is for the image stage, but got '{group.masks}'; remove it")
    if not group.tested and group.test != StageTwoTest():
        found.append("test needs `masks`, but got none; say on whose masks it was tested")
    if group.tested and group.epoch is not None and group.test != StageTwoTest():
        found.append(
            f"epoch must be null for a test other than as trained, but got {group.epoch}: those "
            "are made at the last epoch alone; remove it"
        )
    return found
