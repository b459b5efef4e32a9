"""What a score costs: read from scores that are there, timed on fresh weights."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from factories.tiny import COMPUTE, EXTRACTOR, Tiny, tiny_experiment

from harness.commands.costs.score_timing import make_stage, measured_score, timed_score, warning
from harness.jobs.folder import WorkFolder
from harness.jobs.spec import Spec
from harness.metrics.extractors.registry import identify
from harness.training.precision import Precision
from harness.work.specs import Specs

ASKED = {"extractor": EXTRACTOR, "images": 6}


def add_score(work: WorkFolder, seconds: float, seed: int, **changed: Any) -> None:
    """A finished mask score that took so long."""
    specs = Specs(tiny_experiment(**changed), COMPUTE, EXTRACTOR)
    store = specs.prepare({"aa": "train"})
    training = specs.mask_stage(store, specs.experiment.mask, seed)
    spec: Spec = specs.score("mask-score", store, training, 2)
    work.job(training).open(training)
    work.job(spec).open(spec)
    work.job(spec).finish([], {}, {}, {"seconds": seconds}, COMPUTE)


def test_scores_of_the_work_folder_say_what_a_score_costs(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    assert measured_score(work, "mask-score", ASKED, 4, COMPUTE) is None
    for seed, seconds in enumerate((3.0, 90.0, 5.0)):
        add_score(work, seconds, seed)
    add_score(work, 1000.0, 0, mask={"width": 8})
    add_score(work, 2000.0, 1, mask={"width": 8})
    add_score(work, 7.0, 0, metrics={"images": 5})
    assert measured_score(work, "mask-score", ASKED, 4, COMPUTE) == 5.0
    assert measured_score(work, "mask-score", ASKED, 8, COMPUTE) == 1500.0
    assert measured_score(work, "mask-score", ASKED | {"images": 5}, 4, COMPUTE) == 7.0
    assert measured_score(work, "mask-score", ASKED, 4, COMPUTE | {"threads": 2}) is None
    assert measured_score(work, "image-score", ASKED, 4, COMPUTE) is None


@pytest.mark.parametrize("name", ["mask", "image"])
def test_a_score_of_fresh_weights_is_timed_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    tiny = Tiny(tmp_path / "work", tiny_experiment(data={"crop": {"frame_px": 128}}))
    settings = getattr(tiny.experiment, name)
    stage, batch = make_stage(settings, 1, 128, Precision.of(COMPUTE))
    assert {int(part.shape[0]) for part in batch.values()} == {settings.batch_size}
    specs = Specs(tiny.experiment, COMPUTE, identified())
    before = sorted(tiny.root.rglob("*"))
    generator = stage.networks["generator"]
    started = time.perf_counter()
    seconds = timed_score(tiny.work, specs, tiny.store, settings, generator, {})
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
