"""What a header claims against what the machine can hold, before voxels are read."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.base.errors import DataError


def check_voxels(shape: Sequence[int], bytes_per_voxel: float, what: str = "a volume") -> None:
    """Refuse what a header claims where it does not fit the free memory.

    Args:
        shape: voxels along each axis, as the header says; not trusted.
        bytes_per_voxel: that reading takes at once, copies included.
        what: the subject of the sentence.

    Raises:
        DataError: an axis is negative, or the voxels take more than the free memory.
    """
    import psutil

    sizes = [int(size) for size in shape]
    claimed = " x ".join(map(str, sizes))
    if min(sizes, default=0) < 0:
        raise DataError(
            f"{what} must have voxels, but its header claims {claimed}; export it again"
        )
    wanted, free = math.prod(sizes) * bytes_per_voxel, psutil.virtual_memory().available
    if wanted > free:
        raise DataError(
            f"{what} must fit the free memory ({free / 1e9:.3g} GB), but its header claims "
            f"{claimed} voxels, {wanted / 1e9:.3g} GB; check the file, or use a larger machine"
        )
