"""Axes of a sweep are held to the settings that they vary."""

from __future__ import annotations

import pytest
from config_complaint import complaint

from harness.config.load import parse_experiment

MASK_SETTINGS = (
    "batch_size, optimiser.learning_rate, optimiser.beta1, optimiser.beta2, schedule.epochs, "
    "patients, "
    "learns, augmentation.rotation_deg, augmentation.flip, augmentation.zoom, "
    "augmentation.probability, augmentation.legacy_rotation, width, latent, noise, real_label"
)


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        (
            "batch_sise: {values: [4]}",
            f"sweep.mask.space.batch_sise must name a setting of `mask`, one of: {MASK_SETTINGS}; "
            "but got 'batch_sise'; did you mean 'batch_size'?",
        ),
        (
            "learning_rate: {values: [1e-4]}",
            "sweep.mask.space.learning_rate must name a setting of `mask`, one of: "
            f"{MASK_SETTINGS}; but got 'learning_rate'; did you mean 'optimiser.learning_rate'?",
        ),
        (
            "batch_size: {values: [8, 0]}",
            "sweep.mask.space.batch_size.values[1] must be a whole number >= 1, but got 0",
        ),
        (
            "batch_size: {values: [many]}",
            "sweep.mask.space.batch_size.values[0] must be a whole number >= 1, but got 'many'",
        ),
        (
            "noise: {values: [gaussian]}",
            "sweep.mask.space.noise.values[0] must be one of: normal, uniform, but got 'gaussian'",
        ),
        (
            "real_label: {low: 0.5, high: 1.5}",
            "sweep.mask.space.real_label.high must be a number in [0, 1], but got 1.5",
        ),
        (
            "width: {low: 8, high: 64}",
            "sweep.mask.space.width.integer must be true, for the setting is a whole number >= 1, "
            "but got false",
        ),
        (
            "width: {low: 8.5, high: 64, integer: true}",
            "sweep.mask.space.width.low must be a whole number on such an axis, but got 8.5",
        ),
        (
            "width: {low: 8}",
            "sweep.mask.space.width: an axis needs either `values` or both `low` and `high`",
        ),
        (
            "width: {low: 8, high: 4, integer: true}",
            "sweep.mask.space.width: low must be below high, but got 8.0 and 4.0",
        ),
    ],
)
def test_axes_are_held_to_the_settings_that_they_vary(axis: str, said: str) -> None:
    text = f"name: x\nsweep:\n  mask:\n    space:\n      {axis}"
    assert complaint(text) == f"try.yaml, line 5: {said}"


def test_axes_that_fit_are_taken_as_they_are() -> None:
    loaded = parse_experiment(
        "name: x\nsweep: {image: {space: {statistics: {values: [running, batch-of-one]}, "
        "dropout: {values: [true, false]}, width: {low: 8, high: 64, log: true, integer: true}, "
        "l1_weight: {values: [1, 10.5]}}}}",
        "a",
    )
    assert loaded.sweep.image is not None
    values = {key: axis.values for key, axis in loaded.sweep.image.space.items()}
    assert values == {
        "statistics": ("running", "batch-of-one"),
        "dropout": (True, False),
        "width": None,
        "l1_weight": (1, 10.5),
    }
