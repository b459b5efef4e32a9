"""What a score costs: timed on fresh weights."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from factories.tiny import COMPUTE, Tiny, tiny_experiment

from harness.commands.costs.score_timing import make_stage, timed_score, warning
from harness.data.pairs.store import Store
from harness.metrics.extractors.registry import identify
from harness.training.precision import Precision
from harness.work.specs import Specs


@pytest.mark.parametrize("name", ["mask", "image"])
def test_a_score_of_fresh_weights_is_timed_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    tiny = Tiny(tmp_path / "work", tiny_experiment(data={"crop": {"frame_px": 128}}))
    settings = getattr(tiny.experiment, name)
    store = Store.open(tiny.store_folder)
    stage, batch = make_stage(settings, store, Precision.of(COMPUTE))
    assert {int(part.shape[0]) for part in batch.values()} == {settings.batch_size}
    specs = Specs(tiny.experiment, COMPUTE, identified())
    before = sorted(tiny.root.rglob("*"))
    started = time.perf_counter()
    seconds = timed_score(tiny.work, specs, tiny.store, settings, stage.weights(), {})
    assert 0 < seconds < time.perf_counter() - started
    assert sorted(tiny.root.rglob("*")) == before


def identified() -> dict[str, str]:
    found = identify("efficientnet-lite0")
    return {"name": found.name, "weights": found.weights_digest}


def test_expensive_scoring_is_warned_of_in_one_sentence() -> None:
    assert warning("mask", 0.1) is None
    assert warning("image", 0.25) == (
        "scoring takes 25 % of the image stage's training time, more than 10 %; lower "
        "metrics.scored_epochs or metrics.images"
    )
