"""The section `observations`: claims about the generators, to be told over the seeds of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from harness.base.text import meant
from harness.config.axes import AxisConfig
from harness.config.choices import SCORES
from harness.config.legacy import MADE, LegacyConfig, StageTwoTest, WhoseMasks
from harness.config.search import SweepConfig, score_problem
from harness.config.section import Positive, Section

LONGEST = 300
"""Characters of a claim."""
EPOCHS = "schedule.epochs"
UNPAIRED = "bands_db"
"""Of scores of pairs the one that made masks have as well."""
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


class ObservationConfig(Section):
    """One claim: a score lower or higher here than there, or how trainings end."""

    says: str = Field(description="the claim, a sentence of one line")
    stage: Literal["mask", "image"] = Field(description="whose sweep")
    score: str | None = Field(None, description="a score of the stage, such as quality/kid")
    expects: Literal["lower", "higher"] | None = Field(
        None, description="side of the score on which it is expected; null is lower"
    )
    of: TrainingsConfig = Field(TrainingsConfig(), description="which trainings")
    than: TrainingsConfig | None = Field(None, description="compared with which, seed by seed")
    than_value: float | None = Field(None, description="or with which number")
    verdict: Outcome | None = Field(
        None,
        description="in the place of a score: the verdict expected on every one of them; "
        "`collapsed` is any of the three after it",
    )

    @property
    def groups(self) -> dict[str, TrainingsConfig]:
        return {"of": self.of} | ({} if self.than is None else {"than": self.than})

    @field_validator("says")
    @classmethod
    def _is_one_line(cls, value: str) -> str:
        if not value.strip() or len(value) > LONGEST or not value.isprintable():
            raise ValueError(
                f"a claim must be one line of 1 to {LONGEST} printable characters, but got "
                f"{len(value)} characters: {value[:60]!r}"
            )
        return value

    @model_validator(mode="after")
    def _one_form(self) -> ObservationConfig:
        given = {name: getattr(self, name) is not None for name in ("score", "verdict")}
        if sum(given.values()) != 1:
            got = "both" if all(given.values()) else "neither"
            raise ValueError(f"an observation needs either `score` or `verdict`, but got {got}")
        beside = [n for n in ("than", "than_value", "expects") if getattr(self, n) is not None]
        if self.verdict is not None and (beside or self.of.masks is not None):
            beside += ["of.masks"] if self.of.masks is not None else []
            raise ValueError(
                "a verdict is of a training's own samples and compared with nothing, but got "
                f"{' and '.join(beside)} beside `verdict`; remove it"
            )
        compared = [name for name in beside if name != "expects"]
        if self.score is not None and len(compared) != 1:
            got = "both" if compared else "neither"
            raise ValueError(
                f"an observation of a score needs either `than` or `than_value`, but got {got}"
            )
        if self.than == self.of:
            raise ValueError(
                "of and than must be different trainings, but are the same; change one"
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
        swept = getattr(sweep, one.stage)
        if swept is None:
            found.append(
                f"{at}.stage must be one that is swept, but sweep.{one.stage} is null; give it a "
                "space of settings, or remove the observation"
            )
            continue
        if one.score is not None and (why := score_problem(one.stage, one.score)):
            found.append(f"{at}.score {why}")
        if sweep.sampler != "grid" and any(group.params for group in one.groups.values()):
            found.append(
                f"{at} compares settings, so sweep.sampler must be 'grid', but got "
                f"'{sweep.sampler}', which may try some settings more often than others; change it"
            )
        for side, group in one.groups.items():
            problems = [
                *_param_problems(group, swept.space, one.stage),
                *_epoch_problems(group, swept.space, epochs),
                *_test_problems(group, legacy, one),
            ]
            found += [f"{at}.{side}.{why}" for why in problems]
    return found


def _param_problems(
    group: TrainingsConfig, space: Mapping[str, AxisConfig], stage: str
) -> Iterator[str]:
    for path, value in group.params.items():
        if path not in space:
            yield (
                f"params must give values of axes of sweep.{stage}.space, {', '.join(space)}, but "
                f"got '{path}'{meant(path, space, '; change it')}"
            )
            continue
        values = space[path].values
        if values is None or not any(same_value(value, each) for each in values):
            listed = "is a range" if values is None else f"has the values {list(values)}"
            yield (
                f"params must give a listed value of the axis {path}, but got {value!r}, and the "
                f"axis {listed}; change one"
            )
        for other, wanted in space[path].when.items():
            if other in group.params and group.params[other] not in wanted:
                yield (
                    f"params must be of trials that there are, but {path} is asked only where "
                    f"{other} is one of {list(wanted)}, and got {group.params[other]!r}; change one"
                )


def same_value(one: Any, other: Any) -> bool:
    """Whether two values of an axis are the same setting: true is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _epoch_problems(
    group: TrainingsConfig, space: Mapping[str, AxisConfig], epochs: int | tuple[int, ...]
) -> Iterator[str]:
    if group.epoch is None:
        return
    if EPOCHS in space:
        yield (
            f"epoch must be null where {EPOCHS} is an axis, but got {group.epoch}; name the length "
            f"in params: {{{EPOCHS}: {group.epoch}}}"
        )
    elif group.epoch not in (epochs if isinstance(epochs, tuple) else ()):
        yield (
            f"epoch must be one of metrics.scored_epochs, given as a list, but got {group.epoch} "
            f"and {epochs if isinstance(epochs, int) else list(epochs)} there; add it"
        )


def _test_problems(
    group: TrainingsConfig, legacy: LegacyConfig, one: ObservationConfig
) -> Iterator[str]:
    usual = group.test == StageTwoTest()
    if group.masks is None:
        if not usual:
            yield "test needs `masks`, but got none; say on whose masks it was tested"
        return
    if one.stage != "image":
        yield f"masks is for the image stage, but got '{group.masks}'; remove it"
        return
    if group.epoch is not None and not usual:
        yield (
            f"epoch must be null for a test other than as trained, but got {group.epoch}: those "
            "are made at the last epoch alone; remove it"
        )
    if group.masks not in legacy.masks or group.test not in legacy.tests:
        yield (
            f"masks and test must be among legacy.masks and legacy.stage_two, but got "
            f"'{group.masks}' and '{group.test.words}'; add what lacks there"
        )
    key = (one.score or "").removeprefix("quality/")
    paired = key in SCORES.names() and SCORES.get(key).needs == "pairs" and key != UNPAIRED
    if group.masks in MADE and paired:
        yield (
            f"masks that were made have no true CT to compare with, but got '{group.masks}' for "
            f"{one.score}; take a score of features, quality/{UNPAIRED}, or other masks"
        )
