"""Pictures of one page, within a budget, so that the page stays small enough to be sent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.figures.encode import figure_uri, image_uri

# Of a page of at most 2 MB, the rest of which is text.
PICTURES_BYTES = 1_600_000


@dataclass(frozen=True)
class Picture:
    """An inlined picture. `uri` is empty where the page had no room left for it."""

    uri: str
    alt: str
    caption: str = ""


class PictureBudget:
    """Makes data URIs until the budget is spent; later pictures are named but left out."""

    def __init__(self, most: int = PICTURES_BYTES) -> None:
        self._left = most

    def figure(self, figure: Figure, alt: str, caption: str = "") -> Picture:
        """A matplotlib figure."""
        return self.keep(figure_uri(figure), alt, caption)

    def image(
        self, image: NDArray[np.uint8], alt: str, caption: str = "", most: int = 36_000
    ) -> Picture:
        """A picture of at most about `most` bytes."""
        return self.keep(image_uri(image, most), alt, caption)

    def keep(self, uri: str, alt: str, caption: str = "") -> Picture:
        """A data URI as it is."""
        if len(uri) > self._left:
            return Picture("", alt, caption)
        self._left -= len(uri)
        return Picture(uri, alt, caption)
