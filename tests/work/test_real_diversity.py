"""The verdict on a checkpoint's samples inside its score, and the real-real reference behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.tiny import COMPUTE, Tiny, tiny_experiment

from harness.data.pairs.store import Store
from harness.jobs.journal import series
from harness.metrics.extractors.coarse_pixels import coarse_pixels
from harness.metrics.extractors.registry import identify
from harness.work.evaluate.real_diversity import patients_of, real_rows, shown_images
from harness.work.specs import Specs

MANY = ("train",) * 8 + ("validation",) * 4 + ("test",)


def work_folder(root: Path, roles: tuple[str, ...], **changed: Any) -> Tiny:
    experiment = tiny_experiment(metrics={"images": 20}, **changed)
    tiny = Tiny(root, experiment, roles, slices=6)
    lite0 = identify("efficientnet-lite0")
    entry = {"name": lite0.name, "weights": lite0.weights_digest}
    tiny.specs = Specs(experiment, COMPUTE, entry)
    return tiny


def score(tiny: Tiny) -> tuple[dict[str, Any], Path]:
    training = tiny.mask()
    tiny.must(training, 1)
    folder = tiny.must(tiny.score_of(training, 1))
    result = folder.result()
    assert result is not None
    return result["values"], folder.journal


def test_a_generator_that_has_hardly_learnt_fails_to_converge(tmp_path: Path) -> None:
    values, journal = score(work_folder(tmp_path, MANY))
    found = values["collapse"]
    assert found["word"] == "convergence failure"
    assert found["n"] == 20
    for sign in found["signs"]:
        _, logged = series(journal, f"vs_real/{sign['name']}")
        assert logged == [sign["ratio"]]


def test_too_few_patients_give_no_verdict_and_the_reason(tmp_path: Path) -> None:
    values, _ = score(work_folder(tmp_path, ("train", "train", "train", "validation", "test")))
    assert values["collapse"]["word"] == "undecided"
    assert values["collapse"]["sentence"] == (
        "Undecided: a verdict needs 6 real patients, 3 a side, but got 4."
    )


def test_a_lost_training_is_no_mode_collapse(tmp_path: Path) -> None:
    hot = {"optimiser": {"learning_rate": 1e30}}
    tiny = work_folder(tmp_path, MANY, mask=hot)
    values, _ = score(tiny)
    assert values["collapse"]["word"] == "convergence failure"
    assert values["collapse"]["onset"] == 1
    assert "a loss is not finite" in values["collapse"]["sentence"]


def test_real_rows_are_gland_slices_of_these_roles_and_always_the_same(tmp_path: Path) -> None:
    store = Store.open(work_folder(tmp_path, MANY).store_folder)
    rows = real_rows(store, "train", "validation")
    assert {store.rows[row].role for row in rows} == {"train", "validation"}
    assert all(store.rows[row].structure_px > 0 for row in rows)
    few = real_rows(store, "train", "validation", most=10)
    assert len(few) == 10
    assert set(few) <= set(rows)
    np.testing.assert_array_equal(few, real_rows(store, "train", "validation", most=10))
    assert len(set(patients_of(store, rows))) == 12


def test_what_is_shown_is_masks_or_grey(tmp_path: Path) -> None:
    store = Store.open(work_folder(tmp_path, MANY).store_folder)
    rows = real_rows(store, "train")
    masks, ct = shown_images(store, rows, "mask"), shown_images(store, rows, "ct")
    assert masks.dtype == np.bool_
    assert masks.shape[1:] == (64, 64)
    assert 0 <= ct.min() < ct.max() <= 1
    assert coarse_pixels(ct).shape == (len(rows), 256)


@pytest.mark.parametrize("of", ["collapse", "memorisation"])
def test_a_calibration_with_too_few_images_says_so(of: str, tmp_path: Path) -> None:
    tiny = work_folder(tmp_path, MANY)
    folder = tiny.must(tiny.specs.calibration(tiny.store, of, "mask", 300, 2))
    result = folder.result()
    assert result is not None
    assert "need more real images" in result["values"]["reason"]


@pytest.mark.parametrize("of", ["collapse", "memorisation"])
def test_a_calibration_counts_every_repeat_of_every_cell(of: str, tmp_path: Path) -> None:
    tiny = work_folder(tmp_path, ("train",) * 20 + ("validation",) * 8 + ("test",))
    folder = tiny.must(tiny.specs.calibration(tiny.store, of, "mask", 20, 3))
    result = folder.result()
    assert result is not None
    cells = result["values"]["cells"]
    assert {cell["kind"] for cell in cells} == {"failure", "subtle", "honest"}
    assert all(cell["repeats"] == 3 == sum(cell["words"].values()) for cell in cells)
    assert result["values"]["patients"] == 28
