"""What a header claims, held against the free memory."""

from __future__ import annotations

import psutil
import pytest

from harness.base.errors import DataError
from harness.data.bounds import check_voxels


def test_what_fits_passes() -> None:
    check_voxels((40, 80, 80), 2)
    check_voxels((), 8)
    check_voxels((0, 512, 512), 8)


def test_more_than_the_free_memory_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        check_voxels((30000, 30000, 30000), 2)
    assert str(caught.value).startswith("a volume must fit the free memory (")
    assert str(caught.value).endswith(
        "but its header claims 30000 x 30000 x 30000 voxels, 5.4e+04 GB; check the file, or use a "
        "larger machine"
    )


def test_the_bound_is_the_free_memory() -> None:
    total = psutil.virtual_memory().total
    with pytest.raises(DataError, match=r"^a series must fit the free memory"):
        check_voxels((total, 1), 1, "a series")
    check_voxels((psutil.virtual_memory().available // 2, 1), 1)


def test_axes_are_counted() -> None:
    with pytest.raises(DataError) as caught:
        check_voxels((4, -3, -2), 2)
    assert str(caught.value) == (
        "a volume must have voxels, but its header claims 4 x -3 x -2; export it again"
    )
