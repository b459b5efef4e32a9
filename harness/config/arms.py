"""An arm is a product: augmented or not x what fills the extra places of a batch x the order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

from harness.base.errors import ConfigError
from harness.base.text import meant
from harness.config.choices import FILLINGS, OneOf

Order = Literal["mixed", "only", "first", "added", "longer"]
AUGMENTED = "traditional+"


@dataclass(frozen=True)
class Arm:
    """A way to train the segmenter.

    Attributes:
        augmented: ordinary augmentation, of all pairs.
        filling: of the extra places; a name of `choices.FILLINGS`.
        order: extra pairs in every batch beside the real ones ("mixed"), no real pairs at all
            ("only"), extra pairs alone before real ones alone ("first"), or beside the real ones
            with a loss of their own, so that real pairs train as if nothing were there ("added").
            "longer" is "mixed" with as many further updates as the generators' training would
            have bought.
    """

    augmented: bool
    filling: str
    order: Order = "mixed"

    @property
    def pairs(self) -> Any:
        """What fills the extra places: a `harness.work.fillings.filling.Filling`."""
        return FILLINGS.get(self.filling)

    @property
    def held(self) -> str:
        """What the extra places hold, and when."""
        words, purpose = self.pairs.words, self.pairs.purpose
        return {
            "mixed": f"{words}: {purpose}" if purpose else words,
            "only": f"{words} alone; batches shared with no arm",
            "first": f"{words} first, then real pairs; batches shared with no arm",
            "added": f"{words} on top of the same real ones, by a loss of their own",
            "longer": f"{words}, for as many further updates as the generators' training would "
            "have bought",
        }[self.order]

    @property
    def words(self) -> str:
        """The arm in one sentence part."""
        extra = "part of each batch: " if self.order == "mixed" else ""
        return f"{extra}{self.held}; {'' if self.augmented else 'no '}augmentation"

    @property
    def colour(self) -> str:
        """In every figure, "#rrggbb": the filling's, lighter for "only", darker for the two that
        are neither that nor "mixed"."""
        plain, augmented = self.pairs.colours
        colour: str = augmented if self.augmented else plain
        white, black = {
            "mixed": (0.0, 0.0),
            "only": (0.3, 0.0),
            "first": (0.0, 0.5),
            "added": (0.0, 0.25),
            "longer": (0.1, 0.35),
        }[self.order]
        parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        kept = 1 - white - black
        return "#" + "".join(f"{round(part * kept + 255 * white):02x}" for part in parts)

    @property
    def product(self) -> str:
        """Its name as `[traditional+]FILLING[:ORDER]`."""
        end = "" if self.order == "mixed" else f":{self.order}"
        return f"{AUGMENTED if self.augmented else ''}{self.filling}{end}"


NAMED: dict[str, Arm] = {
    "none": Arm(False, "real"),
    "traditional": Arm(True, "real"),
    "gan": Arm(False, "gan"),
    "traditional+gan": Arm(True, "gan"),
    "duplicate": Arm(True, "real-again"),
    "real-mask": Arm(True, "gan-on-real-masks"),
    "longer": Arm(True, "real", "longer"),
    "shuffled": Arm(True, "exchanged-labels"),
    "oracle": Arm(True, "fresh-phantoms"),
    "synthetic-only": Arm(True, "gan", "only"),
    "pretrain-finetune": Arm(True, "gan", "first"),
}
"""Arms with a name of their own; any other one is `[traditional+]FILLING[:only|:first|:added]`."""

DEFAULT = ("none", "traditional", "gan", "traditional+gan", "duplicate")
"""The arms of an experiment that names none."""


def known_arms() -> list[str]:
    """Every arm's name: those of their own, then the products."""
    ends = ("", ":only", ":first", ":added")
    made = product(FILLINGS.names(), ("", AUGMENTED), ends)
    return list(dict.fromkeys([*NAMED, *(f"{start}{name}{end}" for name, start, end in made)]))


def arm_of(name: str) -> Arm:
    """The arm called `name`.

    Raises:
        ConfigError: no such arm.
    """
    if name in NAMED:
        return NAMED[name]
    if name not in known_arms():
        hint = meant(name, known_arms())
        raise ConfigError(f"an arm must be {ArmName().rule()}, but got '{name}'{hint}")
    rest = name.removeprefix(AUGMENTED)
    filling, _, order = rest.partition(":")
    return Arm(rest != name, filling, order or "mixed")  # type: ignore[arg-type]


def arm_problems(arms: Sequence[str], source: str) -> list[str]:
    """What is wrong with the arms of an experiment, a full sentence each."""
    found: list[str] = []
    seen: dict[Arm, str] = {}
    for name in arms:
        arm = arm_of(name)
        if arm in seen:
            same = "twice" if seen[arm] == name else f"and '{seen[arm]}', which are one arm"
            found.append(f"arms must differ, but got '{name}' {same}; leave one out")
        seen[arm] = name
        needed = arm.pairs.needs_source
        if needed and source != needed:
            found.append(
                f"the arm '{name}' needs data.source '{needed}', where {arm.pairs.words} can be "
                f"made, but got '{source}'; remove it from `arms`"
            )
        if arm.order == "longer":
            found += _longer_problems(name, arm, arms)
        elif arm.pairs.empty and arm.order != "mixed":
            must = "add pairs" if arm.order == "added" else "train on pairs"
            found.append(f"arms must {must}, but got '{name}'; remove it from `arms`")
    return found


def _longer_problems(name: str, arm: Arm, arms: Sequence[str]) -> list[str]:
    """What the arm that trains as long as generators would needs beside it."""
    others = [arm_of(other) for other in arms]
    if replace(arm, order="mixed") not in others:
        shorter = next(n for n, known in NAMED.items() if known == replace(arm, order="mixed"))
        return [f"the arm '{name}' needs the arm it trains longer than; add '{shorter}' to `arms`"]
    if not any(other.pairs.stages for other in others):
        return [
            f"the arm '{name}' trains for as long as the generators would, but no arm has any; "
            "add one, such as 'traditional+gan', or remove it from `arms`"
        ]
    return []


class ArmName(OneOf):
    """Of a text that must name an arm."""

    def __init__(self) -> None:
        super().__init__(FILLINGS)

    def names(self) -> list[str]:
        return known_arms()

    def rule(self) -> str:
        fillings = ", ".join(FILLINGS.names())
        return (
            f"one of: {', '.join(NAMED)}; or [{AUGMENTED}]FILLING[:only|:first|:added] with a "
            f"filling of: {fillings}"
        )
