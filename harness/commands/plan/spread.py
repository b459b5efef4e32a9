"""What differences vary by: as `decision.assumed` says, or as a finished comparison's table shows.

Never as this experiment's own test patients show: their differences would choose the design that
they then judge.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from harness.base.errors import DataError
from harness.base.text import first_of
from harness.commands.session import Session
from harness.inference.crossed_t import VarianceComponents, crossed_weighted_t
from harness.inference.design import assumed_components
from harness.inference.scores_file import read_scores_file
from harness.inference.simulation import LEVEL
from harness.inference.table import Table

ASSUMED = "decision.assumed"
LEVELS = 0.05, 0.95
"""Mean Dice beyond which bounded tables would hardly spread."""
ELSE = f"name another table, or leave --spread out to plan with {ASSUMED}"


@dataclass(frozen=True)
class Spread:
    """Standard deviations to plan with.

    Attributes:
        components: of a paired difference in the measure that is decided.
        source: `ASSUMED`, or the file.
        level: Dice in the middle of bounded data.
    """

    components: VarianceComponents
    source: str = ASSUMED
    level: float = LEVEL


def spread_of(session: Session, path: Path | None, tests: set[str]) -> Spread:
    """The spread from its named source.

    Args:
        path: scores of a finished comparison, as `harness decide` reads them; None: `ASSUMED`.
        tests: names of this experiment's test patients.

    Raises:
        ConfigError, DataError: the file gives no spread or is of these patients, or there is none.
    """
    if path is None:
        found = Spread(assumed_components(session.experiment.decision))
    else:
        found = _observed(session, path, tests)
    if not any(asdict(found.components).values()):
        raise DataError(
            "a plan needs some spread, but got 0 for patients, replicates and residual from "
            f"{found.source}; set {ASSUMED} to what differences vary by, or name a table that has "
            "some with --spread"
        )
    return found


def _observed(session: Session, path: Path, tests: set[str]) -> Spread:
    table = read_scores_file(path, called="--spread").table
    shared = [name for name in table.patients if name in tests]
    if shared or path.resolve().is_relative_to(session.home.resolve()):
        whom = f"test patients of it ({first_of(shared, 3)})" if shared else "its own scores"
        raise DataError(
            "--spread must be of other patients than this experiment's test patients, whose "
            f"differences would choose the design that they then judge, but got {whom} in "
            f"'{path}'; {ELSE}"
        )
    baseline, candidate = _arms(session, table, path)
    arms = np.array([table.values(arm) for arm in (baseline, candidate)])
    known = arms[np.isfinite(arms)]
    measured = session.experiment.decision.measured
    beyond = known.size and (known.min() < 0 or (measured.share and known.max() > 1))
    if beyond:
        raise DataError(
            f"--spread must hold {measured.axis}, but got {known.min():g} to {known.max():g} in "
            f"'{path}'; {ELSE}"
        )
    found = crossed_weighted_t(table.difference(baseline, candidate))
    if found.components is None:
        raise DataError(
            f"--spread must be a table that gives a spread, but got '{path}': {found.note}; {ELSE}"
        )
    return Spread(found.components, str(path), float(np.clip(known.mean(), *LEVELS)))


def _arms(session: Session, table: Table, path: Path) -> tuple[str, str]:
    """The arms of the primary comparison, else the only two."""
    baseline, candidate = session.experiment.decision.primary
    if {baseline, candidate} <= set(table.arms):
        return baseline, candidate
    if len(table.arms) == 2:
        return table.arms[0], table.arms[1]
    raise DataError(
        f"--spread must be a table with the arms {baseline} and {candidate}, or of two arms, but "
        f"got {', '.join(table.arms)} in '{path}'; {ELSE}"
    )
