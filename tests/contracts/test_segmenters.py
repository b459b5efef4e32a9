"""What a segmenter keeps beside what `test_networks` asks of every network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.networks import Trained, check_looking, every
from factories.tiny import COMPUTE, tiny_experiment

from harness.config.choices import SEGMENTERS
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
    np.testing.assert_allclose(network.predict(ct[2:3]), network.predict(ct)[2:3], atol=1e-5)


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
def test_added_pairs_weigh_as_much_as_asked_and_nothing_at_0(
    tmp_path: Path, part: str, name: str
) -> None:
    """A network that takes none is refused before anything is trained."""
    arms = {"arms": ["traditional+gan:added", "traditional+nothing"]}
    rule = {"decision": {"question": "add", "secondary": []}}
    if not SEGMENTERS.get(name).takes_added:
        with pytest.raises(ValueError, match=f"must take added pairs for the arm .* '{name}', wh"):
            tiny_experiment(segmentation={"network": name}, **arms, **rule)
        return
    tiny_experiment(**arms, **rule)
    case = Trained(tmp_path, part, name)
    batch = case.batch()
    added = {"ct": -batch["ct"], "masks": 1 - batch["masks"]}

    def gradients(weight: float | None, of: Any = batch) -> list[torch.Tensor]:
        network = case.network()
        network.begin(0)
        torch.manual_seed(0)
        scalars = network.step(of) if weight is None else network.step_added(of, added, weight)
        assert all(torch.isfinite(value) for value in scalars.values())
        parts = network.networks.values()
        return [p.grad for part in parts for p in part.parameters() if p.grad is not None]

    alone, more = gradients(None), gradients(None, added)
    for weight in (0.0, 0.5, 1.0):
        for one, other, both in zip(alone, more, gradients(weight), strict=True):
            torch.testing.assert_close(both, one + weight * other)
    assert any(not torch.allclose(a, b) for a, b in zip(alone, gradients(1.0), strict=True))


@EACH
def test_it_learns_a_bright_ellipse(tmp_path: Path, part: str, name: str) -> None:
    case = Trained(tmp_path, part, name, updates=120, updates_per_epoch=60)
    _, dice = series(case.must().journal, "validation/dice")
    assert dice[-1] > 0.8
