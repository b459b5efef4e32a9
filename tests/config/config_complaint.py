"""What a wrong experiment is told."""

from __future__ import annotations

import pytest

from harness.base.errors import ConfigError
from harness.config.load import parse_experiment

MASK_KEYS = (
    "network, batch_size, optimiser, schedule, patients, learns, augmentation, width, latent, "
    "noise, real_label"
)


def complaint(text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_experiment(text, "try.yaml", overrides)
    return str(caught.value)
