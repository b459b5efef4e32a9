"""Words of notes that say that volume may be wrong: they are warnings wherever notes are shown."""

BARE = "between its contours without any"
CROSS = "of its contours overlap in part"
OVERRUN = "of its contours run over themselves"
OFF_SLICES = "off their slices"
MISCOUNTED = "than they state"


def at_stake(note: str) -> bool:
    """Whether a note of a region says that its volume, or its place, may be wrong."""
    return any(words in note for words in (BARE, CROSS, OVERRUN, OFF_SLICES, MISCOUNTED))
