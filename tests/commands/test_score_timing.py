"""What a score costs: read from scores that are there, scaled up from timed pieces."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.tiny import COMPUTE, EXTRACTOR, tiny_experiment
from numpy.typing import NDArray

from harness.commands.costs.score_timing import (
    Piece,
    make_stage,
    measured_score,
    pieces_of_score,
    total,
    warning,
)
from harness.jobs.folder import WorkFolder
from harness.jobs.spec import Spec
from harness.training.precision import Precision
from harness.work.specs import Specs

ASKED = {"extractor": EXTRACTOR, "images": 6}


class Grey:
    """An extractor of two numbers an image."""

    name = "grey"
    weights_digest = "00"
    preprocessing = "none"

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        assert images.ndim == 4
        assert images.min() >= 0
        assert images.max() <= 1
        return np.stack([images.mean(axis=(1, 2, 3)), images.std(axis=(1, 2, 3))], axis=1)


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


def test_pieces_are_timed_on_a_few_images_and_scaled_up() -> None:
    asked: list[int] = []

    def slow(count: int) -> None:
        asked.append(count)
        time.sleep(0.002 * count)

    seconds = Piece(slow, 100).seconds(10)
    assert seconds >= 0.2
    assert Piece(slow, 20, whole=True).seconds(10) < seconds
    assert Piece(slow, 5).seconds(10) >= 0.01
    assert asked == [10, 20, 5]


def test_what_only_the_first_call_takes_is_not_scaled_up() -> None:
    asked: list[int] = []

    def cold(count: int) -> None:
        if not asked:
            time.sleep(0.2)
        asked.append(count)

    assert total([Piece(cold, 1000)], 10) < 0.2
    assert asked == [1, 10]


@pytest.mark.parametrize("name", ["mask", "image"])
def test_a_score_has_the_pieces_of_its_stage(name: str) -> None:
    settings = getattr(tiny_experiment(), name)
    precision = Precision.of(COMPUTE)
    stage, batch = make_stage(settings, 1, 128, precision)
    assert {int(part.shape[0]) for part in batch.values()} == {settings.batch_size}
    pieces = pieces_of_score(stage, Grey(), n=24, real=120, channels=1, frame=128)
    shared = {"drawing", "features", "KID and FID", "verdict on collapse"}
    own = {"mask": {"SSIM diversity", "shape of masks"}, "image": {"paired similarity"}}
    assert set(pieces) == shared | own[name]
    assert total(pieces.values(), 4) > 0


def test_few_real_images_leave_a_score_without_a_verdict() -> None:
    stage, _ = make_stage(tiny_experiment().mask, 1, 64, Precision.of(COMPUTE))
    pieces = pieces_of_score(stage, Grey(), n=1, real=0, channels=1, frame=64)
    assert total(pieces.values(), 32) > 0


def test_expensive_scoring_is_warned_of_in_one_sentence() -> None:
    assert warning("mask", 0.1) is None
    assert warning("image", 0.25) == (
        "scoring takes 25 % of the image stage's training time, more than 10 %; lower "
        "metrics.scored_epochs or metrics.images"
    )
