from __future__ import annotations

import pytest

from harness.base.text import some


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 repeated contours dropped"),
        (1, "1 repeated contour dropped"),
        (12, "12 repeated contours dropped"),
    ],
)
def test_one_has_no_s(count: int, words: str) -> None:
    assert some(count, "repeated contours dropped") == words


def test_only_the_first_plural_changes() -> None:
    assert some(1, "contours on planes left out") == "1 contour on planes left out"
