"""A mean whose variance sums mean squares, each with degrees of freedom of its own.

The critical value is the mean of the t quantiles, weighted by the parts of the variance (Cochran
and Cox, *Experimental Designs*, 1957, section 4.14).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Interval = tuple[float, float]

SMALLEST_P = 1e-100
"""Far below any use; scipy's t quantiles break down near 1e-300."""


@dataclass(frozen=True)
class MixedT:
    """What a mean's interval and p go by.

    Attributes:
        standard_error: of `mean`, above 0.
        weights: of each t quantile, in [0, 1]; they sum to 1.
        df: degrees of freedom of each.
    """

    mean: float
    standard_error: float
    weights: tuple[float, ...]
    df: tuple[float, ...]

    def critical_value(self, alpha: float) -> float:
        """Two-sided, at the level alpha."""
        # The quantile function behind scipy.stats.t, without its checks: fifty times as fast.
        from scipy.special import stdtrit

        return sum(
            -weight * float(stdtrit(df, alpha / 2))
            for weight, df in zip(self.weights, self.df, strict=True)
        )

    def interval(self, alpha: float = 0.05) -> Interval:
        """Two-sided, at 1 - alpha."""
        half = self.critical_value(alpha) * self.standard_error
        return self.mean - half, self.mean + half

    def p(self, of: float = 0.0) -> float:
        """Two-sided, of the true mean being `of`; 0 below SMALLEST_P.

        The alpha at which the interval just reaches `of`.
        """
        from scipy.optimize import brentq

        ratio = abs(self.mean - of) / self.standard_error
        if ratio <= 0:
            return 1.0

        def excess(log_alpha: float) -> float:
            return self.critical_value(math.exp(log_alpha)) - ratio

        lowest = math.log(SMALLEST_P)
        if excess(lowest) <= 0:
            return 0.0
        return math.exp(brentq(excess, lowest, 0.0, xtol=1e-13, rtol=1e-13))

    def p_equivalence(self, margin: float) -> float:
        """The larger p of two one-sided tests (TOST), of a mean above -margin and below margin.

        Below 0.05 where the 90 % interval lies within the margin.
        """
        one_sided = []
        for edge, inside in ((-margin, self.mean + margin), (margin, margin - self.mean)):
            half = self.p(edge) / 2
            one_sided.append(half if inside > 0 else 1 - half)
        return max(one_sided)
