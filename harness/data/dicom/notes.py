"""Words of notes that say that volume may be wrong: they are warnings wherever notes are shown."""

BARE = "between its contours without any"
NO_IMAGE = "on planes without an image left out"
ACROSS = "outside image planes left out"
BETWEEN = "between slices left out"
CROSS = "of its contours overlap in part"
OVERRUN = "of its contours run over themselves"
OFF_SLICES = "off their slices"
MISCOUNTED = "than they state"
POSITIONS_DECIDE = "the structure set names no series here; its positions decide"
"""Whole, unlike the others: such a patient is looked at first."""
FRAME_DECIDES = (
    "the images and series that the structure set names are not here; it is drawn on images of "
    "the same frame of reference, which may be of another time"
)
REJECTED = "the structure set is marked as rejected"


def at_stake(note: str) -> bool:
    """Whether a note says that the volume of a region, or its place, may be wrong."""
    doubtful = (BARE, NO_IMAGE, ACROSS, BETWEEN, CROSS, OVERRUN, OFF_SLICES, MISCOUNTED)
    return any(words in note for words in (*doubtful, POSITIONS_DECIDE, FRAME_DECIDES, REJECTED))
