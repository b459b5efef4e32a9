"""The starter experiment loads, and says what one's own folder needs."""

from __future__ import annotations

import re

import pytest

from harness.base.errors import ConfigError
from harness.config.experiment import Experiment
from harness.config.load import parse_experiment
from harness.config.starter import starter

ROOTS = ["~/ct", "/data/a b", "D:\\CT: old # 2", "it's", "@name", "100", "no", "größe", "a\\1"]


@pytest.mark.parametrize("root", ROOTS)
def test_it_loads_with_any_folder_name(root: str) -> None:
    loaded = parse_experiment(starter(root, "my-study"), "a")
    assert (loaded.name, loaded.data.source, loaded.data.root) == ("my-study", "dicom", root)


def test_it_asks_the_recommended_question() -> None:
    loaded = parse_experiment(starter("/x", "my-study"), "a")
    default = Experiment(name="my-study")
    for section in ("mask", "image", "synthesis", "segmentation", "arms", "replicates", "decision"):
        assert getattr(loaded, section) == getattr(default, section)
    assert loaded.data.roles == default.data.roles


@pytest.mark.parametrize(
    ("side", "names"),
    [
        (
            "parotid_left",
            ["L_Parotid", "Parotid_L", "LT PAROTID", "parotid left", "Ohrspeicheld. li"],
        ),
        ("parotid_right", ["R_Parotid", "Parotid_R", "RT PAROTID", "Ohrspeicheld. re"]),
    ],
)
def test_its_patterns_match_the_names_that_it_lists(side: str, names: list[str]) -> None:
    patterns = parse_experiment(starter("/x", "s"), "a").data.patterns
    other = {"parotid_left": "parotid_right", "parotid_right": "parotid_left"}[side]
    for name in names:
        assert any(re.search(pattern, name) for pattern in patterns[side])
        assert not any(re.search(pattern, name) for pattern in patterns[other])


def test_it_is_short_and_fits_a_screen_in_width() -> None:
    lines = starter("/x", "my-study").splitlines()
    assert len(lines) < 90
    assert max(map(len, lines)) <= 100


def test_a_name_that_cannot_be_a_folder_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        starter("/x", "my study")
    assert str(caught.value) == (
        "the new experiment, line 1: name must be 1 to 61 letters, digits, '_', '.' and '-', "
        "first a letter or digit, but got 'my study'"
    )
    with pytest.raises(ConfigError, match=r"data\.root must name the folder of the patients"):
        starter("", "my-study")
