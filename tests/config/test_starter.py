"""The starter experiment loads, and says what one's own folder needs."""

from __future__ import annotations

from typing import Any

import pytest

from harness.base.errors import ConfigError
from harness.config.data import DataConfig
from harness.config.experiment import Experiment
from harness.config.load import parse_experiment
from harness.config.starter import Sizes, starter

ROOTS = [
    "/ct",
    "/data/a b",
    "D:\\CT: old # 2",
    "it's",
    "@name",
    "100",
    "no",
    "größe",
    "a\\1",
    "@found",
]
WORDS = {
    "found": "3 of 4 patients have these.",
    "named": "'Parotid_L' (3), '@root: # x' (1)",
    "window": "From somebody's CT.",
    "crop": "They fit.",
    "cost": "harness run mine.yaml --dry-run",
}
GPU = Sizes.of(2, gpu=True)


def written(name: str = "my-study", sizes: Sizes = GPU, **data: Any) -> str:
    settings = {"source": "dicom", "root": "/x", "patterns": {}, **data}
    return starter(name, DataConfig(**settings), WORDS, sizes)


@pytest.mark.parametrize("root", ROOTS)
def test_it_loads_with_any_folder_name(root: str) -> None:
    loaded = parse_experiment(written(root=root), "a")
    assert (loaded.name, loaded.data.source, loaded.data.root) == ("my-study", "dicom", root)


def test_it_asks_the_recommended_question() -> None:
    loaded = parse_experiment(written(), "a")
    default = Experiment(name="my-study")
    for section in ("mask", "image", "synthesis", "segmentation", "arms", "replicates", "decision"):
        assert getattr(loaded, section) == getattr(default, section)
    assert loaded.data.roles == default.data.roles
    assert loaded.data.crop == default.data.crop


def test_it_holds_the_settings_that_it_is_given() -> None:
    data = {
        "source": "images",
        "structures": ("gtv: a",),
        "patterns": {"gtv: a": (r"^GTV\ \#1$", "^it's$")},
        "window_hu": (-1000, 360.5),
        "spacing_mm": 3.6,
    }
    loaded = parse_experiment(written(**data), "a").data
    assert {name: getattr(loaded, name) for name in data} == data


def test_a_machine_without_gpu_gets_narrow_networks() -> None:
    few, many = (
        parse_experiment(written(sizes=Sizes.of(cores, gpu=False)), "a") for cores in (2, 16)
    )
    assert (few.mask.width, few.image.width, few.image.schedule.epochs) == (16, 16, 100)
    assert (many.mask.width, many.image.width, many.image.schedule.epochs) == (32, 24, 300)
    text = written(sizes=Sizes.of(1, gpu=False))
    assert "# Widths and epochs below are for 1 core without a GPU. `harness run" in text


def test_it_is_short_and_fits_a_screen_in_width() -> None:
    lines = written().splitlines()
    assert len(lines) < 90
    assert max(map(len, lines)) <= 100


def test_a_name_that_cannot_be_a_folder_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        written("my study")
    assert str(caught.value) == (
        "the new experiment, line 1: name must be 1 to 61 letters, digits, '_', '.' and '-', "
        "first a letter or digit, but got 'my study'"
    )
