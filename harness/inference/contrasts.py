"""Contrasts beside the answer: the controls, what each GAN stage contributes, the factorial.

Each is a linear combination of the arms' tables, estimated as a difference of two arms is. None is
judged: they say how large an effect chance or another cause makes here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from harness.config.arms import Arm, arm_of
from harness.inference.crossed_t import Inference
from harness.inference.table import Table

if TYPE_CHECKING:
    from harness.config.decision import DecisionConfig

Group = Literal["control", "stage", "factorial"]
Weights = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Contrast:
    """A linear combination of arms, without a verdict.

    Attributes:
        group: of `Group`: an arm minus the one that it controls, a GAN stage's part, or one of the
            three of augmentation x synthetic pairs; or the factor of a subgroup.
        name: the difference, or what is contrasted.
        shows: what it is there to show.
        weights: arms and their weights, which sum to 0.
        inference: its mean and interval, not adjusted.
    """

    group: str
    name: str
    shows: str
    weights: Weights
    inference: Inference

    def to_dict(self) -> dict[str, Any]:
        """As plain data; what there is not is None."""
        about = self.inference
        return {
            "group": self.group,
            "name": self.name,
            "shows": self.shows,
            "weights": dict(self.weights),
            "status": about.status,
            "patients": about.patients,
            "replicates": about.replicates,
            "mean": about.mean,
            "interval_95": about.interval_95,
        }


def contrasts(table: Table, decision: DecisionConfig) -> list[Contrast]:
    """Controls, stages, factorial, each where all of its arms are in the table.

    Args:
        table: scores of arms of an experiment.
        decision: its primary comparison is not repeated among the controls.
    """
    arms = {arm_of(name): name for name in table.arms}
    baseline, candidate = decision.primary
    primary: Weights = ((candidate, 1.0), (baseline, -1.0))
    planned = [
        *(control for control in _controls(arms) if control[3] != primary),
        *_stages(arms),
        *_factorial(arms, arm_of(decision.candidate)),
    ]
    return [
        Contrast(group, name, shows, weights, table.infer(table.combination(weights)))
        for group, name, shows, weights in planned
    ]


_Planned = tuple[Group, str, str, Weights]


def _pair(group: Group, shows: str, candidate: str, baseline: str) -> _Planned:
    return group, f"{candidate} - {baseline}", shows, ((candidate, 1.0), (baseline, -1.0))


def _controls(arms: dict[Arm, str]) -> Iterator[_Planned]:
    """Arms that are there to show something, against the same with real pairs."""
    for arm, name in arms.items():
        if arm.order == "longer" and (shorter := replace(arm, order="mixed")) in arms:
            shows = "further updates for as long as the generators train"
            yield _pair("control", shows, name, arms[shorter])
            for other, made in arms.items():
                alike = (other.augmented, other.order) == (arm.augmented, "mixed")
                if alike and other.pairs.stages == ("mask", "image"):
                    yield _pair("control", "that time spent on generators instead", made, name)
        control = arm.pairs.empty or (arm.pairs.purpose and arm.pairs.stages != ("image",))
        real = replace(arm, filling="real")
        if arm.order == "mixed" and control and real in arms:
            yield _pair("control", arm.pairs.purpose or arm.pairs.words, name, arms[real])


def _stages(arms: dict[Arm, str]) -> Iterator[_Planned]:
    """From real pairs to CT generated for real masks, and from those to pairs of both stages."""
    for arm, name in arms.items():
        if arm.order != "mixed" or arm.pairs.stages != ("image",):
            continue
        real = replace(arm, filling="real")
        if real in arms:
            shows = "image stage (Stage II): generated CT in the place of real CT, on real masks"
            yield _pair("stage", shows, name, arms[real])
        for other, both in arms.items():
            alike = (other.augmented, other.order) == (arm.augmented, arm.order)
            if alike and other.pairs.stages == ("mask", "image"):
                shows = "mask stage (Stage I): generated masks in the place of real ones"
                yield _pair("stage", f"{shows}, both with generated CT", both, name)


def _factorial(arms: dict[Arm, str], candidate: Arm) -> Iterator[_Planned]:
    """Two factors of two levels: augmentation, and real or the candidate's extra pairs."""
    corners = [Arm(*at) for at in product((False, True), ("real", candidate.filling))]
    if not candidate.pairs.generated or not set(corners) <= set(arms):
        return
    words, names = candidate.pairs.words, [arms[corner] for corner in corners]
    more = f"effect of {words} with augmentation minus without"
    for name, shows, weights in (
        ("augmentation", f"mean of its effects without and with {words}", (-0.5, -0.5, 0.5, 0.5)),
        (words, "mean of their effects without and with augmentation", (-0.5, 0.5, -0.5, 0.5)),
        ("interaction", more, (1.0, -1.0, -1.0, 1.0)),
    ):
        yield "factorial", name, shows, tuple(zip(names, weights, strict=True))
