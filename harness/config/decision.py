"""The section `decision`: the rule of a comparison, fixed before the test is opened."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from harness.config.arms import ArmName, arm_of
from harness.config.measures import DICE, MEASURES, Measure, MeasureName
from harness.config.questions import Asked, Question, asked, question_pairs
from harness.config.section import PositiveFloat, Section, full_sentences

OfArm = Annotated[str, ArmName()]


class AssumedComponents(Section):
    """Standard deviations of a paired difference to plan with, before any was observed.

    Those of Dice were observed of traditional+gan against traditional on OpenKBP with 20 training
    and 30 test patients, narrow networks and 5 replicates, in an earlier comparison than that of
    reports/openkbp-compare. Those of other measures are scaled from them and come from no study.
    """

    patient: float = Field(
        DICE.spread[0],
        ge=0,
        description="assumed sd of a paired difference in the measure over patients, until "
        "observed ones replace it; unset: of Dice from traditional+gan against traditional on "
        "OpenKBP, 20 training patients; of another measure from no published source, set your own",
    )
    replicate: float = Field(DICE.spread[1], ge=0, description="likewise over replicates")
    residual: float = Field(
        DICE.spread[2], ge=0, description="likewise, what patient and replicate leave"
    )


BUDGET_SEEDS = 3
"""Fewest seeds with an interval over them."""
FIRST_LOOK = 5
"""Fewest replicates at which a table may be looked at: those of a verdict."""


class DecisionConfig(Section):
    """Fixed before the test evaluation, and hashed into its record (all but `assumed`)."""

    question: Question = Field(
        "replace",
        description="the primary one: what the candidate's extra pairs are worth in the place of "
        "the baseline's, or on top of the same real pairs (`add`)",
    )
    baseline: OfArm = Field("traditional", description="arm A of the primary comparison")
    candidate: OfArm = Field("traditional+gan", description="arm B of the primary comparison")
    secondary: tuple[tuple[OfArm, OfArm], ...] = Field(
        (("traditional", "gan"),),
        description="further pairs [baseline, candidate], adjusted for their number",
    )
    measure: MeasureName = Field(
        DICE.name,
        description="of test patients, by which everything is decided; settings of the segmenters "
        "are chosen by it too",
    )
    # Both are never left at what stands here: the validator below asks the measure.
    margin: PositiveFloat = Field(  # type: ignore[assignment]
        None,
        description="the smallest difference that matters, in the unit of the measure; unset: "
        + ", ".join(f"{usual.margin:g} for {usual.words}" for usual in MEASURES.values())
        + ", which are conventions: set your own before the test is opened",
    )
    co_primary: dict[MeasureName, PositiveFloat] = Field(
        {},
        description="further measures that are primary too, each with its own margin: `{hd95_mm: "
        "1.0}`",
    )
    success: Literal["all", "any"] = Field(
        "all",
        description="of the primary measures: all must succeed for a word that they have in "
        "common (nothing is adjusted), or any may, each with a word of its own (adjusted for their "
        "number)",
    )
    looks: tuple[Annotated[int, Field(ge=FIRST_LOOK)], ...] = Field(
        (),
        description="numbers of replicates at which the test is looked at, the last of them "
        "replicates.count: training ends with an effect that is found early, at levels that add up "
        "to 5 %; `[5, 8, 10]` saves 15 to 30 % of the trainings where all ten would find the "
        "effect in 80 to 90 %",
    )
    looked_at: int = Field(
        0,
        ge=0,
        description="candidates that were looked at on these test patients before, by anyone: the "
        "verdict is adjusted for them, or for those in the register of openings if it knows more",
    )
    subgroups: tuple[Literal["metal", "small", "side", "spacing"], ...] = Field(
        (),
        description="groups of test patients in which the primary effect is looked at, with one "
        "test of each factor",
    )
    subgroups_file: str | None = Field(
        None,
        description="path of a CSV of further groups: a column `patient`, then one for each factor",
    )
    budget_seeds: int = Field(
        0,
        ge=0,
        description="sweep seeds, 3 or more, on which both arms of the primary question are also "
        "trained for half and twice the updates, to see whether these suffice; 0 leaves it open, "
        "and the verdict says so",
    )
    assumed: AssumedComponents = Field(  # type: ignore[assignment]
        {}, description="for planning only; no part of the rule, moves no result"
    )

    @field_validator("margin", "assumed", mode="before")
    @classmethod
    def _left_unset_is_the_measures(cls, value: Any, info: ValidationInfo) -> Any:
        measured = MEASURES[info.data.get("measure", DICE.name)]
        if isinstance(value, Mapping):
            usual = zip(AssumedComponents.model_fields, measured.spread, strict=True)
            return {**dict(usual), **value}
        return measured.margin if value is None and info.field_name == "margin" else value

    @model_validator(mode="after")
    def _measures_differ(self) -> DecisionConfig:
        if self.measure in self.co_primary:
            raise full_sentences(
                "decision.co_primary must name other measures than decision.measure, but got "
                f"'{self.measure}'; remove it"
            )
        return self

    @model_validator(mode="after")
    def _margins_can_be_seen(self) -> DecisionConfig:
        further = {f"co_primary.{n}": (MEASURES[n], m) for n, m in self.co_primary.items()}
        for name, (measured, margin) in {"margin": (self.measured, self.margin), **further}.items():
            if measured.share and margin >= 1:
                raise full_sentences(
                    f"decision.{name} must be below 1 for {measured.title}, which lies in 0 to 1, "
                    f"but got {margin:g}; set it to the smallest difference that matters"
                )
        return self

    @model_validator(mode="after")
    def _looks_grow(self) -> DecisionConfig:
        if problem := looks_problem(self.looks):
            raise full_sentences(f"decision.looks {problem}")
        if self.looks and self.co_primary:
            raise full_sentences(
                "decision.looks go with one primary measure, but got decision.co_primary too: the "
                "two were never tried together; remove one"
            )
        return self

    @model_validator(mode="after")
    def _pairs_differ(self) -> DecisionConfig:
        for one, other in ((self.baseline, self.candidate), *self.secondary):
            if one == other:
                raise ValueError(f"a comparison needs two arms, but got '{one}' twice")
        return self

    @field_validator("budget_seeds")
    @classmethod
    def _seeds_for_an_interval(cls, value: int) -> int:
        if 0 < value < BUDGET_SEEDS:
            raise ValueError(
                f"must be {BUDGET_SEEDS} or more, or 0, but got {value}: an interval needs as many"
            )
        return value

    @model_validator(mode="after")
    def _question_has_its_arms(self) -> DecisionConfig:
        for side, name in (("baseline", self.baseline), ("candidate", self.candidate)):
            arm = arm_of(name)
            if arm.order == "longer":
                raise full_sentences(
                    f"decision.{side} must be an arm that trains for segmentation.updates, but got "
                    f"'{name}'; name it in decision.secondary"
                )
            if arm.order == "added":
                plain = arm.product.removesuffix(":added")
                raise full_sentences(
                    f"decision.{side} must be an arm whose pairs are not added, but got '{name}'; "
                    f"name '{plain}' and set decision.question to add, which adds its pairs"
                )
        if self.question not in question_pairs(self.baseline, self.candidate):
            raise full_sentences(
                "decision.question may be 'add' for two arms that differ only in what fills a part "
                f"of every batch, but got '{self.baseline}' and '{self.candidate}'; name others, "
                "such as traditional and traditional+gan"
            )
        return self

    @property
    def measured(self) -> Measure:
        """What the measure is."""
        return MEASURES[self.measure]

    @property
    def first_look(self) -> int | None:
        """Replicates at the first look; None where all are looked at."""
        return next(iter(self.looks), None)

    @property
    def primary(self) -> tuple[str, str]:
        """Baseline and candidate of the primary question."""
        return question_pairs(self.baseline, self.candidate)[self.question]

    @property
    def primaries(self) -> list[tuple[str, str]]:
        """All pairs of the primary family: the one."""
        return [self.primary]

    def of_measure(self, name: str) -> DecisionConfig:
        """The primary comparison alone, by one of the primary measures and with its margin."""
        margin = self.co_primary.get(name, self.margin)
        alone = {"measure": name, "margin": margin, "co_primary": {}, "secondary": ()}
        return self.model_copy(update=alone)

    def comparisons(self, arms: Collection[str]) -> list[Asked]:
        """The primary comparison, then that of the other question where both of its arms are among
        `arms`, then the secondaries in their order."""
        pairs = question_pairs(self.baseline, self.candidate)
        other = [
            pair
            for question, pair in pairs.items()
            if question != self.question and pair not in self.secondary and set(pair) <= set(arms)
        ]
        return [asked(*pair) for pair in (self.primary, *other, *self.secondary)]


def looks_problem(looks: Sequence[int]) -> str:
    """What is wrong with the numbers of replicates at which a table is looked at; "" if nothing."""
    grow = len(looks) > 1 and list(looks) == sorted(set(looks))
    if not looks or (grow and looks[0] >= FIRST_LOOK):
        return ""
    return (
        f"must be two or more growing numbers of replicates from {FIRST_LOOK} on, but got "
        f"{', '.join(map(str, looks))}; name e.g. 5, 8, 10"
    )
