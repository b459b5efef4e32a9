"""Synthetic fractions of a batch: only whole places can be filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.config.stages import SegmentationConfig


def share_problems(
    settings: SegmentationConfig, shares: Mapping[str, Sequence[float]]
) -> list[str]:
    """Fractions that come to no place, to all of them, or to as many as another one.

    Args:
        shares: fractions by the path of the setting that lists them.

    Returns:
        A full sentence for each.
    """
    size, found = settings.batch_size, []
    for path, listed in shares.items():
        seen: dict[int, float] = {}
        for share in listed:
            slots = settings.extra_slots(share)
            here = f"{share:g}, which is {slots} of the {size} pairs of segmentation.batch_size"
            if slots in (0, size):
                found.append(
                    f"{path} must leave a pair to either side in every batch, but got {here}; "
                    "take another fraction or a larger batch"
                )
            elif slots in seen:
                found.append(
                    f"{path} must list fractions that differ in whole pairs, but got "
                    f"{seen[slots]:g} and {here}, too; take others or a larger batch"
                )
            seen[slots] = share
    return found
