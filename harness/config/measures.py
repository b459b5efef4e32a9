"""The measures that a comparison can be decided by: their words, direction and usual settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.base.text import number, signed


@dataclass(frozen=True)
class Measure:
    """What the cells of a table are.

    Attributes:
        name: column of the job's table of scores.
        title: in sentences and figures.
        unit: of a margin: "mm", the title where the measure is a share in 0 to 1, or "" where
            nobody said.
        lower_is_better: estimates keep their sign all the same, candidate minus baseline.
        margin: smallest difference that matters where none is declared; a convention.
        spread: standard deviations of a paired difference to plan with where none are assumed,
            over patients, over replicates and residual.
        digits: decimals of a value; a difference has one more where it is judged.
    """

    name: str
    title: str
    unit: str
    lower_is_better: bool
    margin: float
    spread: tuple[float, float, float]
    digits: int

    @property
    def share(self) -> bool:
        """Whether it lies in 0 to 1."""
        return self.unit == self.title

    @property
    def words(self) -> str:
        """Title and unit."""
        return self.title if self.share or not self.unit else f"{self.title} in {self.unit}"

    @property
    def axis(self) -> str:
        """Title and range, or unit, as an axis has them."""
        return f"{self.title} ({'0 to 1' if self.share else self.unit})"

    @property
    def direction(self) -> str:
        """As an optimiser is told it."""
        return "minimize" if self.lower_is_better else "maximize"

    @property
    def worst(self) -> str:
        """Which of several values is the worst one."""
        return "highest" if self.lower_is_better else "lowest"

    def amount(self, margin: float) -> str:
        """A margin with its unit."""
        return f"{margin:g} {self.unit}".rstrip()

    def loss(self, value: float) -> float:
        """Larger where the value is worse."""
        return value if self.lower_is_better else -value

    def number(self, value: float | None) -> str:
        """A mean."""
        return number(value, self.digits)

    def signed(self, value: float | None) -> str:
        """A difference."""
        return signed(value, self.digits)


# The spread of Dice is that observed in an earlier comparison on OpenKBP. Nobody published one of
# the others: it is that of Dice times how much more than Dice they vary over 30 patients between
# two observers, those of harness/report/observers.json (sd 0.034 Dice, 0.048 surface Dice, 2.9 mm).
MEASURES: Mapping[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure("dice", "Dice", "Dice", False, 0.01, (0.019, 0.006, 0.02), 3),
        Measure(
            "surface_dice", "surface Dice", "surface Dice", False, 0.02, (0.027, 0.009, 0.028), 3
        ),
        Measure("hd95_mm", "HD95", "mm", True, 1.0, (1.7, 0.5, 1.7), 1),
    )
}
DICE = MEASURES["dice"]

if TYPE_CHECKING:
    MeasureName = str
else:
    MeasureName = Literal[tuple(MEASURES)]
