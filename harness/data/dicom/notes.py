"""Words of notes that say that volume may be wrong: they are warnings wherever notes are shown."""

BARE = "between its contours without any"
CROSS = "of its contours overlap in part"
OVERRUN = "of its contours run over themselves"
OFF_SLICES = "off their slices"
MISCOUNTED = "than they state"
POSITIONS_DECIDE = "the structure set names no series here; its positions decide"
"""Whole, unlike the others: such a patient is looked at first."""


def at_stake(note: str) -> bool:
    """Whether a note says that the volume of a region, or its place, may be wrong."""
    doubts = (BARE, CROSS, OVERRUN, OFF_SLICES, MISCOUNTED, POSITIONS_DECIDE)
    return any(words in note for words in doubts)
