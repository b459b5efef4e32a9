"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """Attributes:
    about: what was looked at, e.g. "memory".
    level: "fault" where it makes runs impossible.
    said: what was found; under a warning or a fault, what to do as well.
    """

    about: str
    level: Literal["ok", "warning", "fault"]
    said: str
