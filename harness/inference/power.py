"""What a design of P patients and R replicates could see, before or after it was run.

The counterpart of `inference` on expected mean squares; simulated power at the effect it names is
0.77-0.81 for 5 or more replicates (0.75-0.79 for 3) where 0.80 is meant.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from harness.base.errors import DataError
from harness.inference.cohorts import overlap_factor
from harness.inference.crossed_t import VarianceComponents, critical_value

LARGEST_DESIGN = 500
"""Patients or replicates beyond which a design counts as out of reach."""


def standard_error(components: VarianceComponents, patients: int, replicates: int) -> float:
    """Standard error of the mean difference, in the unit of `components`."""
    return math.sqrt(
        components.patient**2 / patients
        + components.replicate**2 / replicates
        + components.residual**2 / (patients * replicates)
    )


def _expected(
    components: VarianceComponents, patients: int, replicates: int, overlap: float
) -> tuple[float, float, float]:
    """The procedure's standard error, the weight of the patients' t, and the degrees of freedom of
    the power's t."""
    _check(patients, replicates)
    residual = components.residual**2
    by_patient = replicates * components.patient**2 + residual
    by_replicate = patients * components.replicate**2 + residual
    by_replicate *= overlap_factor(overlap, replicates)
    total = by_patient + by_replicate
    if total == 0:
        return 0.0, 1.0, float(min(patients, replicates) - 1)
    variance = total - residual
    components_of_total = by_patient**2 / (patients - 1) + by_replicate**2 / (replicates - 1)
    df = variance**2 / components_of_total
    lowest, highest = min(patients, replicates) - 1, (patients - 1) * (replicates - 1)
    error = math.sqrt(variance / (patients * replicates))
    return error, by_patient / total, float(min(max(df, lowest), highest))


def smallest_detectable_effect(
    components: VarianceComponents,
    patients: int,
    replicates: int,
    power: float = 0.80,
    overlap: float = 0.0,
) -> float:
    """The true difference that the 95 % interval excludes 0 for with probability `power`.

    Args:
        components: assumed or observed standard deviations.
        patients, replicates: 2 or more each.
        overlap: rho of the replicates' training cohorts, in [0, 1); all of their spread is taken
            for one of cohorts, so that the power is no less.
    """
    from scipy.special import stdtrit  # as in `critical_value`

    error, weight, df = _expected(components, patients, replicates, overlap)
    critical = critical_value(0.05, weight, patients, replicates)
    return (critical + float(stdtrit(df, power))) * error


def equivalence_in_reach(
    components: VarianceComponents,
    patients: int,
    replicates: int,
    margin: float,
    power: float = 0.80,
    overlap: float = 0.0,
) -> bool:
    """Whether "no useful effect" would be found with `power` if the true difference were 0.

    Two one-sided tests: needs margin / SE of at least t[.95] + z[(1 + power) / 2].
    """
    from scipy.special import ndtri, stdtrit

    error, _, df = _expected(components, patients, replicates, overlap)
    if error == 0:
        return True
    needed = float(stdtrit(df, 0.95)) + float(ndtri((1 + power) / 2))
    return margin / error >= needed


def patients_needed(
    components: VarianceComponents, replicates: int, margin: float, overlap: float = 0.0
) -> int | None:
    """Fewest patients (2 or more) that see `margin` at 80 % power; None if 500 do not."""
    return _fewest(
        lambda n: smallest_detectable_effect(components, n, replicates, overlap=overlap) <= margin
    )


def replicates_needed(
    components: VarianceComponents, patients: int, margin: float, overlap: float = 0.0
) -> int | None:
    """Fewest replicates (2 or more) that see `margin` at 80 % power; None if 500 do not."""
    return _fewest(
        lambda n: smallest_detectable_effect(components, patients, n, overlap=overlap) <= margin
    )


def _fewest(seen: Callable[[int], bool]) -> int | None:
    if not seen(LARGEST_DESIGN):
        return None
    # The effect falls with the count, so bisection finds the first that is enough.
    low, high = 1, LARGEST_DESIGN
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


def collapse_rate_left_open(replicates: int) -> float:
    """Upper 95 % bound of a collapse rate that so many clean replicates leave open."""
    return 1.0 - 0.05 ** (1.0 / replicates)


def _check(patients: int, replicates: int) -> None:
    if patients < 2 or replicates < 2:
        raise DataError(
            "a design needs at least 2 patients and 2 replicates, "
            f"but got {patients} and {replicates}; plan for more"
        )
