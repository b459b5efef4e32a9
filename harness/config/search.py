"""`sweep:` what is searched, and how: two stages by Optuna, then the segmenter of each arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from harness.base.text import meant
from harness.config.axes import AxisConfig, axis_problems
from harness.config.choices import OFFERS, SCORES
from harness.config.section import Positive, PositiveFloat, Section, full_sentences
from harness.config.servers import storage_problem
from harness.config.stages import StageConfig

Direction = Literal["minimize", "maximize"]


class StageSweepConfig(Section):
    """The study of one stage. Keys of `space` are dotted paths inside the stage's section."""

    trials: Positive = Field(8, description="settings to try")
    space: dict[str, AxisConfig] = Field(description="axes")
    objective: str = Field(
        "quality/kid", description="a value of the stage's score at the last epoch, mean over seeds"
    )
    direction: Direction | None = Field(
        None, description="of the objective; null takes the better side of its score"
    )
    further_objectives: dict[str, Direction] = Field(
        {},
        description="names and directions: values of the score, or cost/epochs "
        "(those that a seed trains); the search looks for the Pareto front, and the best trial "
        "by `objective` on it is chosen",
    )

    @property
    def towards(self) -> Direction:
        """`direction`, or the better side of the objective's score."""
        better = self._better_side()
        return self.direction or ("maximize" if better == "high" else "minimize")

    def _better_side(self) -> str:
        key = self.objective.removeprefix("quality/")
        return str(SCORES.get(key).better) if key in SCORES.names() else "low"  # refused elsewhere

    @model_validator(mode="after")
    def _one_side_is_better(self) -> StageSweepConfig:
        if self.direction is None and not self._better_side():
            raise ValueError(
                f"direction must be given for {self.objective}, of which neither side is better, "
                "but got nothing; add minimize or maximize"
            )
        return self

    @model_validator(mode="after")
    def _objectives_differ(self) -> StageSweepConfig:
        if self.objective in self.further_objectives:
            raise ValueError(
                f"further objectives must differ from `objective`, but got {self.objective} twice"
            )
        return self

    @model_validator(mode="after")
    def _conditions_refer_to_axes(self) -> StageSweepConfig:
        seen: dict[str, AxisConfig] = {}
        for path, axis in self.space.items():
            if path == "schedule.epochs" and axis.when:
                raise ValueError("schedule.epochs must be an axis of every trial, but got `when`")
            for other, wanted in axis.when.items():
                values = seen[other].values if other in seen else None
                missing = [value for value in wanted if value not in (values or ())]
                if values is None or missing or not wanted:
                    raise ValueError(
                        f"`when` of {path} must name an axis with `values` listed before it, and "
                        f"some of those values, but got {other}: {list(wanted)}"
                    )
            seen[path] = axis
        return self


def _space(batch_sizes: tuple[int, ...], epochs: tuple[int, ...]) -> dict[str, AxisConfig]:
    return {
        "batch_size": AxisConfig(values=batch_sizes),
        "optimiser.learning_rate": AxisConfig(low=1e-5, high=1e-3, log=True),
        "schedule.epochs": AxisConfig(values=epochs),
    }


class SegmentationSweepConfig(Section):
    """What each side of the comparison chooses for itself, among equally many settings.

    Baseline and candidate of each question that is answered choose on the sweep's seeds, by
    `decision.measure` of whole volumes of validation patients and by successive halving: all
    candidates train for a quarter of the updates, the better half for half of them, the better half
    of these for all. Arms that control one of them take its settings. Keys of `space` are dotted
    paths inside `segmentation`; an arm varies those that it has.
    """

    candidates: int = Field(
        6, ge=2, description="settings that an arm chooses among, the experiment's own first"
    )
    space: dict[str, AxisConfig] = Field(
        {
            "augmentation.magnitude": AxisConfig(values=(0.5, 1.0, 2.0)),
            "synthetic_fraction": AxisConfig(values=(0.25, 0.5, 0.75)),
            "structure_share": AxisConfig(values=(0.33, 0.67)),
        },
        min_length=1,
        description="axes, each with `values`",
    )

    @field_validator("space")
    @classmethod
    def _lists_values(cls, value: dict[str, AxisConfig]) -> dict[str, AxisConfig]:
        for path, axis in value.items():
            if axis.values is None or axis.when:
                raise ValueError(f"an axis here must be a list of `values`, but {path} is not")
        return value


class BudgetConfig(Section):
    """When a stage's sweep stops asking for further trials; those asked are finished."""

    hours: PositiveFloat | None = Field(
        None, description="wall-clock hours since the command began the stage; null is no limit"
    )
    device_hours: PositiveFloat | None = Field(
        None,
        description="of workers on the stage's trainings and scores, over all "
        "commands (GPU-hours on a GPU); null is no limit",
    )


class SweepConfig(Section):
    """Optuna over both stages, each a study of its own; then the segmenter of each arm."""

    seeds: Positive = Field(3, description="trainings per trial; seeds 0, 1, 2 ...")
    seed: int = Field(0, description="of the sampler")
    sampler: Literal["tpe", "gp", "random", "grid"] = Field(
        "tpe", description="how settings are asked"
    )
    stop_on: tuple[Literal["convergence failure"], ...] = Field(
        (),
        description="ends a training at the first such epoch, at which its trial is scored; a "
        "failure seen early may recover later, so none is the default (a loss that is not finite "
        "always ends a training)",
    )
    prune: bool = Field(
        False,
        description="leave out a trial's further seeds where the mean of those so far is worse "
        "than the median of earlier batches after as many (Optuna's MedianPruner)",
    )
    budget: BudgetConfig = Field(BudgetConfig(), description="limits beside the number of trials")
    trials_per_batch: Positive = Field(
        4, description="trials asked before any of them is told; not the number of workers"
    )
    storage: str | None = Field(
        None,
        description="database of the studies, postgresql://HOST/DATABASE, its password in "
        "PGPASSWORD or ~/.pgpass; null is sqlite in the work folder",
    )
    mask: StageSweepConfig | None = Field(
        StageSweepConfig(space=_space((6, 12, 16, 32, 64, 128), (30, 50, 100, 300, 500))),
        description="null skips this stage",
    )
    image: StageSweepConfig | None = Field(
        StageSweepConfig(space=_space((1, 4, 8, 16), (30, 100, 200, 300))),
        description="null skips this stage",
    )
    segmentation: SegmentationSweepConfig | None = Field(
        SegmentationSweepConfig(),
        description="null keeps the experiment's own settings of the segmenter in every arm",
    )

    @field_validator("storage", mode="before")
    @classmethod
    def _holds_no_secret(cls, value: Any) -> Any:
        problem = storage_problem(value)
        if problem:
            raise full_sentences(problem)
        return value

    @field_validator("seeds")
    @classmethod
    def _below_replicates(cls, value: int) -> int:
        if value > 999:
            raise ValueError(f"seeds must be below 1000 (replicates start there), but got {value}")
        return value

    @model_validator(mode="after")
    def _nothing_is_pruned_by_several_objectives(self) -> SweepConfig:
        for name in ("mask", "image"):
            stage = getattr(self, name)
            if self.prune and stage is not None and stage.further_objectives:
                raise full_sentences(
                    f"sweep.prune must be false where sweep.{name}.further_objectives has some, "
                    "but got true: Optuna's pruners order trials by one value; take one of them "
                    "out"
                )
        return self

    def problems(self, segmentation: Section, *stages: StageConfig) -> list[str]:
        """A full sentence for each axis and objective that does not fit the experiment."""
        found: list[str] = []
        if self.segmentation is not None:
            found += axis_problems(type(segmentation), self.segmentation.space, "segmentation")
        for settings in stages:
            sweep = getattr(self, settings.stage)
            if sweep is not None:
                found += axis_problems(type(settings), sweep.space, settings.stage)
                found += _objective_problems(settings.stage, sweep)
        return found


def _objective_problems(stage: str, sweep: StageSweepConfig) -> list[str]:
    """A full sentence for each objective that the stage cannot be scored by."""
    asked: list[tuple[str, str, list[str]]] = [("objective", sweep.objective, [])]
    asked += [("further_objectives", name, ["cost/epochs"]) for name in sweep.further_objectives]
    return [
        f"sweep.{stage}.{of} {why}"
        for of, name, others in asked
        if (why := score_problem(stage, name, others))
    ]


def score_problem(stage: str, name: str, others: Sequence[str] = ()) -> str:
    """Why a key is none of a stage's scores nor of `others`; empty where it is."""
    valid = [f"quality/{key}" for key in SCORES.names() if _offered(stage, key)] + [*others]
    if name in valid:
        return ""
    full = f"quality/{name}"
    hint = f"; did you mean '{full}'?" if full in valid else meant(name, valid)
    return f"must be one of: {', '.join(valid)}; but got '{name}'{hint}"


def _offered(stage: str, score: str) -> bool:
    return SCORES.get(score).needs in OFFERS[stage]
