"""What the rows of a table of scores are, beside patient, replicate and arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Layout:
    """What decides by which procedure a table is judged, and for whom.

    Attributes:
        centre: of each patient; empty where nobody says.
        fold: of each patient: the part of a cross-validation in which it was tested; likewise.
        cohort: of each replicate: whose training patients it has, where several replicates share
            them; likewise.
        unpaired: replicate 3 of one arm has nothing to do with replicate 3 of another.
        other_centres: whether the claim is for other centres than these; None: from ten on.
    """

    centre: Mapping[str, str] = field(default_factory=dict)
    fold: Mapping[str, str] = field(default_factory=dict)
    cohort: Mapping[int | str, str] = field(default_factory=dict)
    unpaired: bool = False
    other_centres: bool | None = None


CROSSED = Layout()
"""Every replicate of every arm on every patient, in pairs."""
