"""Interval of a share: k of n."""

from __future__ import annotations

import math
from statistics import NormalDist

from harness.base.errors import DataError


def wilson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share, without continuity correction.

    Unlike mean +- 2 standard errors it has a width at 0 and at n successes and stays in [0, 1].

    Args:
        successes: 0 to n.
        n: independent trials, at least 1.
        level: nominal coverage, between 0 and 1.

    Returns:
        The two ends, in [0, 1].

    Raises:
        DataError: a count or level outside its range.

    Source: Wilson 1927; its coverage: Brown, Cai and DasGupta 2001.
    """
    if not (n >= 1 and 0 <= successes <= n):
        raise DataError(
            "a share needs n >= 1 trials and 0 to n successes, "
            f"but got {successes} of {n}; count again"
        )
    if not 0 < level < 1:
        raise DataError(f"level must lie between 0 and 1, but got {level:g}; use 0.95")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, weight = successes / n, z * z / n
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / n + weight / (4 * n))
    # Exact at both ends, where rounding would leave 1e-17.
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == n else middle + half
    return low, high
