"""What a segmenter keeps beside what `test_networks` asks of every network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from factories.networks import Trained, check_looking, every
from factories.tiny import COMPUTE

from harness.jobs.journal import series

EACH = every("segmentation")


@EACH
def test_predictions_are_probabilities_and_change_nothing(
    tmp_path: Path, part: str, name: str
) -> None:
    case = Trained(tmp_path, part, name)
    seen = check_looking(case)
    assert seen.shape == (4, 1, 128, 128)
    assert 0 <= seen.min() <= seen.max() <= 1
    network = case.network()
    ct = case.batch()["ct"].numpy()
    np.testing.assert_allclose(network.predict(ct[2:3]), network.predict(ct)[2:3], atol=1e-6)


@EACH
def test_its_features_are_finite_rows(tmp_path: Path, part: str, name: str) -> None:
    case = Trained(tmp_path, part, name)
    network = case.network()
    with torch.inference_mode():
        rows = network.features(case.batch()["ct"].to(COMPUTE["device"]))
    assert rows.ndim == 2
    assert len(rows) == 4
    assert torch.isfinite(rows).all()


@EACH
def test_it_learns_a_bright_ellipse(tmp_path: Path, part: str, name: str) -> None:
    case = Trained(tmp_path, part, name, updates=120, updates_per_epoch=60)
    _, dice = series(case.must().journal, "validation/dice")
    assert dice[-1] > 0.8
