"""`-s a.b.c=VALUE`: what it changes, and what is said where it cannot."""

from __future__ import annotations

import pytest
from config_complaint import MASK_KEYS, complaint

from harness.config.axes import AxisConfig
from harness.config.experiment import Experiment
from harness.config.load import parse_experiment


def quoted(path: str) -> str:
    return f"text is quoted for the shell and for YAML: -s '{path}=\"TEXT\"'"


NO_VALUE = "an override must read KEY=VALUE without blanks, such as mask.width=32, but got "


def test_overrides_win_over_the_file_and_later_ones_over_earlier() -> None:
    loaded = parse_experiment(
        "name: x\nmask: {width: 8, latent: 7}",
        "a",
        [
            "mask.width=16",
            "mask.width=32",
            "data.source=dicom",
            "data.root=~/x=y",
            "arms=[traditional, traditional+gan]",
            "decision.secondary=[]",
            "tracking.uri=null",
            "mask.optimiser.learning_rate=1e-4",
        ],
    )
    assert (loaded.mask.width, loaded.mask.latent) == (32, 7)
    assert loaded.mask.optimiser.learning_rate == 1e-4
    assert loaded.data.root == "~/x=y"
    assert loaded.arms == ("traditional", "traditional+gan")


def test_an_override_inside_a_mapping_keeps_its_other_entries() -> None:
    loaded = parse_experiment(
        "name: x",
        "a",
        [
            "sweep.mask.space.optimiser.learning_rate.low=1e-6",
            "data.patterns.parotid_left=[OHR_LI]",
        ],
    )
    default = Experiment(name="x")
    assert loaded.sweep.mask is not None
    assert default.sweep.mask is not None
    assert loaded.sweep.mask.space == {
        **default.sweep.mask.space,
        "optimiser.learning_rate": AxisConfig(low=1e-6, high=1e-3, log=True),
    }
    assert loaded.data.patterns["parotid_left"] == ("OHR_LI",)
    assert loaded.data.patterns["parotid_right"] == default.data.patterns["parotid_right"]


@pytest.mark.parametrize("how", ["file", "override"])
def test_a_stage_sweep_given_in_part_keeps_its_default_space(how: str) -> None:
    text = "name: x\nsweep: {image: {trials: 2}}" if how == "file" else "name: x"
    loaded = parse_experiment(text, "a", [] if how == "file" else ["sweep.image.trials=2"])
    default = Experiment(name="x").sweep.image
    assert loaded.sweep.image is not None
    assert default is not None
    assert loaded.sweep.image == default.model_copy(update={"trials": 2})


def test_a_skipped_stage_comes_back_with_an_override() -> None:
    loaded = parse_experiment("name: x\nsweep: {mask: null}", "a", ["sweep.mask.trials=3"])
    assert loaded.sweep.mask is not None
    assert loaded.sweep.mask.trials == 3


@pytest.mark.parametrize(
    "value", ["a # b", "#a", " # a", "[none, # a\n gan]", "{a: b} # c", "a:\n  # c\n  b"]
)
def test_a_comment_in_a_value_is_refused_and_not_shown(value: str) -> None:
    assert complaint("name: x", f"question={value}") == (
        "-s question: a typed value must hold no comment, but got '#' at its start or behind a "
        "blank; " + quoted("question")
    )


@pytest.mark.parametrize("text", ["a # b", "a: b", "#1", "- a", "&x", "@home", "3", "yes: no", "'"])
def test_text_that_is_quoted_as_the_sentence_says_is_taken_as_it_stands(text: str) -> None:
    loaded = parse_experiment("name: x", "a", [f'question="{text}"'])
    assert loaded.question == text


def test_a_hash_inside_a_word_needs_no_quotes() -> None:
    assert parse_experiment("name: x", "a", ["question=a#b"]).question == "a#b"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("foo", NO_VALUE + "'foo'"),
        ("=3", NO_VALUE + "'=3'"),
        (
            "mask.widht=3",
            f"-s mask.widht: keys of `mask` must be one of: {MASK_KEYS}; but got 'mask.widht'; "
            "did you mean 'mask.width'?",
        ),
        (
            "mask.width=[1",
            "-s mask.width, line 1: the text must be YAML, but reading stopped: while parsing a "
            "flow sequence expected ',' or ']', but got '<stream end>'; is the bracket or brace of "
            "line 1 closed?; " + quoted("mask.width"),
        ),
        (
            "question=a: b: c",
            "-s question, line 1: the text must be YAML, but reading stopped: mapping values are "
            "not allowed here; " + quoted("question"),
        ),
        (
            "question=3",
            "-s question: question must be text, but got 3; put it in quotes for the shell and for "
            "YAML: -s 'question=\"TEXT\"'",
        ),
        ("mask.width=", "-s mask.width: mask.width must be a whole number >= 1, but got null"),
        (
            "data.crop.mask_px=300",
            "try.yaml with -s data.crop.mask_px: data.crop: mask_px must not exceed frame_px and "
            "must differ from it by an even number, but got mask_px=300 and frame_px=128",
        ),
        (
            "data.source=openkbp",
            "try.yaml: data.root must name the folder of the patients when data.source is "
            "'openkbp', but got nothing; give it with -s data.root=FOLDER",
        ),
    ],
)
def test_a_wrong_override_is_named_as_it_was_typed(override: str, said: str) -> None:
    assert complaint("name: x", override) == said
