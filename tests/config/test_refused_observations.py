"""An observation that the sweep would not make is refused before anything is trained."""

from __future__ import annotations

import pytest
from config_complaint import complaint

from harness.config.load import parse_experiment

SWEPT = """
name: o
metrics: {scored_epochs: [2, 8]}
legacy: {stage_two: [{scale: 2}], masks: [validation, train, synthetic]}
sweep:
  sampler: grid
  mask:
    space:
      batch_size: {values: [6, 12]}
      noise: {values: [normal, uniform]}
      real_label: {values: [0.9, 1.0], when: {noise: [normal]}}
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
            "an observation of a score needs either `than` or `than_value`, but got neither",
        ),
        (
            "stage: mask, score: quality/kid, than_value: 1, than: {params: {batch_size: 6}}",
            "an observation of a score needs either `than` or `than_value`, but got both",
        ),
        (
            "stage: mask, verdict: healthy, than: {params: {batch_size: 6}}, expects: lower",
            "a verdict is of a training's own samples and compared with nothing, but got than and "
            "expects beside `verdict`; remove it",
        ),
        ("stage: image, verdict: healthy, of: {masks: train}", "but got of.masks beside `verdict`"),
        (
            "stage: mask, score: quality/kid, of: {epoch: 2}, than: {epoch: 2}",
            "of and than must be different trainings, but are the same; change one",
        ),
        (
            "stage: mask, score: quality/kidd, than_value: 1",
            "observations[0].score must be one of: quality/kid, ",
        ),
        ("stage: mask, score: quality/mae_hu, than_value: 1", "but got 'quality/mae_hu'"),
        ("stage: mask, score: kid, than_value: 1", "but got 'kid'; did you mean 'quality/kid'?"),
        (
            "stage: mask, score: quality/kid, than_value: 1, of: {params: {batch_size: 7}}",
            "observations[0].of.params must give a listed value of the axis batch_size, but got 7, "
            "and the axis has the values [6, 12]; change one",
        ),
        (
            "stage: mask, score: quality/kid, than_value: 1, of: {params: {batch_size: '6'}}",
            "but got '6', and the axis has the values [6, 12]",
        ),
        (
            "stage: mask, score: quality/kid, than_value: 1, of: {params: {real_label: true}}",
            "but got True, and the axis has the values [0.9, 1.0]",
        ),
        (
            "stage: mask, score: quality/kid, than_value: 1, of: {params: {batchsize: 6}}",
            "observations[0].of.params must give values of axes of sweep.mask.space, batch_size, "
            "noise, real_label, but got 'batchsize'; did you mean 'batch_size'?",
        ),
        (
            "stage: mask, score: quality/kid, than_value: 1, "
            "of: {params: {real_label: 0.9, noise: uniform}}",
            "real_label is asked only where noise is one of ['normal'], and got 'uniform'",
        ),
        (
            "stage: image, score: quality/kid, than_value: 1, of: {params: {batch_size: 4}}",
            "of the axis batch_size, but got 4, and the axis is a range",
        ),
        (
            "stage: mask, score: quality/kid, of: {epoch: 8}, than: {epoch: 4}",
            "observations[0].than.epoch must be one of metrics.scored_epochs, given as a list, but "
            "got 4 and [2, 8] there; add it",
        ),
        (
            "stage: mask, score: quality/kid, than_value: 1, of: {masks: train}",
            "observations[0].of.masks is for the image stage, but got 'train'; remove it",
        ),
        (
            "stage: image, score: quality/kid, than_value: 1, of: {masks: raw}",
            "observations[0].of.masks and test must be among legacy.masks and legacy.stage_two, "
            "but got 'raw' and 'as trained'; add what lacks there",
        ),
        (
            "stage: image, score: quality/kid, than_value: 1, "
            "of: {masks: train, test: {dropout: true}}",
            "but got 'train' and 'dropout on'; add what lacks there",
        ),
        (
            "stage: image, score: quality/kid, than_value: 1, of: {test: {scale: 2}}",
            "observations[0].of.test needs `masks`, but got none; say on whose masks it was tested",
        ),
        (
            "stage: image, score: quality/kid, than_value: 1, "
            "of: {masks: train, epoch: 2, test: {scale: 2}}",
            "of.epoch must be null for a test other than as trained, but got 2",
        ),
        (
            "stage: image, score: quality/mae_hu, than_value: 1, of: {masks: synthetic}",
            "observations[0].of.masks that were made have no true CT to compare with, but got "
            "'synthetic' for quality/mae_hu",
        ),
    ],
)
def test_what_no_sweep_will_tell_is_refused(claim: str, sentence: str) -> None:
    assert sentence in said(claim)


def test_made_masks_have_bands() -> None:
    claim = "stage: image, score: quality/bands_db, than_value: 1, of: {masks: synthetic}"
    assert parse_experiment(SWEPT.replace("CLAIM", claim), "o.yaml", ()).observations


def test_settings_are_compared_in_a_grid_of_a_stage_that_is_swept() -> None:
    claim = "stage: mask, score: quality/kid, than_value: 1, of: {params: {batch_size: 6}}"
    assert (
        "observations[0] compares settings, so sweep.sampler must be 'grid', but got 'random', "
        "which may try some settings more often than others; change it"
    ) in said(claim, SWEPT.replace("grid", "random"))
    before, _, after = SWEPT.partition("  mask:\n")
    gone = f"{before}  mask: null\n  image{after.partition('  image')[2]}"
    assert (
        "observations[0].stage must be one that is swept, but sweep.mask is null; give it a space "
        "of settings, or remove the observation"
    ) in said(claim, gone)
    asked = SWEPT.replace("CLAIM", claim)
    number = asked.replace("scored_epochs: [2, 8]", "scored_epochs: 3")
    assert parse_experiment(number, "o.yaml", ()).observations[0].of.params == {"batch_size": 6}
    assert "but got 2 and 3 there" in complaint(
        number.replace("than_value: 1,", "than: {epoch: 2},")
    )


def test_where_lengths_are_an_axis_they_are_named_as_settings() -> None:
    claim = "stage: mask, score: quality/kid, than_value: 1, of: {epoch: 2}"
    lengths = SWEPT.replace("      batch", "      schedule.epochs: {values: [2, 8]}\n      batch")
    assert (
        "observations[0].of.epoch must be null where schedule.epochs is an axis, but got 2; name "
        "the length in params: {schedule.epochs: 2}"
    ) in said(claim, lengths)


@pytest.mark.parametrize("says", ["' '", '"a\\nb"', '"\\e[31mred"', '"\\u202Eabc"', "x" * 301])
def test_a_claim_is_one_line_that_a_console_can_show(says: str) -> None:
    claim = "stage: mask, score: quality/kid, than_value: 1"
    assert "a claim must be one line of 1 to 300 printable characters" in said(
        claim, SWEPT.replace("It is so", says)
    )
