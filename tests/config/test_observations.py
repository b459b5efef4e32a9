"""An observation that the sweep would not make is refused before anything is trained."""

from __future__ import annotations

import pytest
from config_complaint import complaint

from harness.config.load import parse_experiment

SWEPT = """
name: o
metrics: {scored_epochs: [2, 8]}
legacy: {stage_two: [{scale: 2}]}
sweep:
  sampler: grid
  mask: {space: {batch_size: {values: [6, 12]}}}
  image: {space: {batch_size: {low: 1, high: 8, integer: true}}}
observations:
  - {says: It is so, CLAIM}
"""


def said(claim: str, text: str = SWEPT) -> str:
    return complaint(text.replace("CLAIM", claim))


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        ("stage: mask", "an observation needs either `score` or `verdict`, but got neither"),
        (
            "stage: mask, score: quality/kid, than_value: 1, verdict: healthy",
            "an observation needs either `score` or `verdict`, but got both",
        ),
        (
            "stage: mask, score: quality/kid",
            "an observation needs `than` or `than_value` beside `score`, one of them, and neither "
            "beside `verdict`, but got neither",
        ),
        (
            "stage: mask, verdict: healthy, than: {params: {batch_size: 6}}",
            "neither beside `verdict`, but got 1",
        ),
        (
            "stage: mask, score: quality/kidd, than_value: 1",
            "observations[0].score must be one of: quality/kid, ",
        ),
        ("stage: mask, score: quality/mae_hu, than_value: 1", "but got 'quality/mae_hu'"),
        (
            "stage: mask, score: quality/kid, than_value: 1, of: {params: {batch_size: 7}}",
            "observations[0].params must give values of axes of sweep.mask.space, but got "
            "batch_size: 7, and that has the values [6, 12]; change one",
        ),
        (
            "stage: mask, score: quality/kid, than_value: 1, of: {params: {width: 7}}",
            "but got width: 7, and that has no listed values",
        ),
        (
            "stage: image, score: quality/kid, than_value: 1, of: {params: {batch_size: 4}}",
            "but got batch_size: 4, and that has no listed values",
        ),
        (
            "stage: mask, score: quality/kid, than_value: 1, of: {epoch: 4}",
            "observations[0] needs epoch 4 among metrics.scored_epochs, a list of epochs, but got "
            "[2, 8]; add it",
        ),
        (
            "stage: mask, score: quality/kid, than_value: 1, of: {masks: train}",
            "observations[0].masks is for the image stage, but got 'train'; remove it",
        ),
        (
            "stage: image, score: quality/kid, than_value: 1, of: {masks: raw}",
            "observations[0] needs raw among legacy.masks and its test (as trained) among "
            "legacy.stage_two, which lack one; add it",
        ),
        (
            "stage: image, score: quality/kid, than_value: 1, "
            "of: {masks: train, test: {dropout: true}}",
            "observations[0] needs train among legacy.masks and its test (dropout on)",
        ),
        (
            "stage: image, score: quality/kid, than_value: 1, of: {test: {scale: 2}}",
            "observations[0].test needs `masks`, but got none; say on whose masks it was tested",
        ),
        (
            "stage: image, score: quality/kid, than_value: 1, "
            "of: {masks: train, epoch: 2, test: {scale: 2}}",
            "observations[0].epoch must be null for a test other than as trained, but got 2",
        ),
        (
            "stage: image, verdict: healthy, of: {masks: train}",
            "a verdict is of a training's own samples, so `of.masks` must be null, but got 'train'",
        ),
    ],
)
def test_what_no_sweep_will_tell_is_refused(claim: str, sentence: str) -> None:
    assert sentence in said(claim)


def test_settings_are_compared_in_a_grid_of_a_stage_that_is_swept() -> None:
    claim = "stage: mask, score: quality/kid, than_value: 1, of: {params: {batch_size: 6}}"
    assert (
        "observations[0] compares settings, so sweep.sampler must be 'grid', but got 'random', "
        "which may try some settings more often than others; change it"
    ) in said(claim, SWEPT.replace("grid", "random"))
    gone = SWEPT.replace("mask: {space: {batch_size: {values: [6, 12]}}}", "mask: null")
    assert (
        "observations[0].stage must be one that is swept, but sweep.mask is null; give it a space "
        "of settings, or remove the observation"
    ) in said(claim, gone)
    asked = SWEPT.replace("CLAIM", claim)
    number = asked.replace("scored_epochs: [2, 8]", "scored_epochs: 3")
    assert parse_experiment(number, "o.yaml", ()).observations[0].of.params == {"batch_size": 6}
    assert "but got 3; add it" in complaint(number.replace("than_value: 1,", "than: {epoch: 2},"))
