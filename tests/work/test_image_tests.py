"""A trained Stage II used in other ways: what each of them makes, redone from its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.tiny import COMPUTE, Tiny, tiny_experiment
from PIL import Image
from pydantic import ValidationError
from torch import nn

from harness.config.experiment import Experiment
from harness.config.legacy import StageTwoTest
from harness.data.pairs.store import Store
from harness.jobs.checkpoint import load_weights
from harness.jobs.spec import Spec
from harness.metrics.extractors.registry import identify
from harness.models.pix2pix import UnetGenerator
from harness.training.precision import Precision
from harness.work.specs import Specs

WINDOW_HU = 500
EVERY = ["validation", "train", "synthetic", "raw"]


class Trained:
    """A tiny work folder with a trained Stage II, and a Stage I of one epoch."""

    def __init__(self, root: Path, masks: list[str]) -> None:
        found = identify("efficientnet-lite0")
        experiment = tiny_experiment(
            data={"crop": {"frame_px": 128}, "structures": ["structure"]},
            legacy={"stage_two": [{"scale": 2}], "masks": masks},
            synthesis={"threshold": -0.02, "attempts": 3},
        )
        self.tiny = Tiny(root, experiment)
        entry = {"name": found.name, "weights": found.weights_digest}
        self.tiny.specs = Specs(experiment, COMPUTE, entry)
        self.image, self.mask = self.tiny.image(), self.tiny.mask()
        self.tiny.must(self.image, 1)
        self.tiny.must(self.mask, 1)

    def spec(self, seed: int = 0, **how: Any) -> Spec:
        test = StageTwoTest.model_validate(how)
        made = self.mask.done(1) if self.tiny.experiment.legacy.makes_masks else None
        return self.tiny.specs.image_test(self.tiny.store, self.image.done(1), made, test, seed)

    def values(self, seed: int = 0, **how: Any) -> dict[str, Any]:
        result = self.tiny.must(self.spec(seed, **how)).result()
        assert result is not None
        return dict(result["values"]["masks"])

    def pairs(self, role: str) -> tuple[np.ndarray, np.ndarray]:
        """Masks in [-1, 1] and CT of the structure slices."""
        store = Store.open(self.tiny.store_folder)
        rows = [n for n, row in enumerate(store.rows) if row.role == role and row.structure_px]
        return np.asarray(store.masks[rows], np.float32) * 2 - 1, np.asarray(store.ct[rows])

    def generator(self) -> UnetGenerator:
        generator = UnetGenerator(width=4)
        path = self.tiny.work.job(self.image).at(1) / "weights.safetensors"
        generator.load_state_dict(load_weights(path))
        Precision.of(COMPUTE)
        return generator.eval()

    def made(self, masks: np.ndarray, generator: nn.Module) -> np.ndarray:
        with torch.no_grad():
            one_by_one = [generator(torch.from_numpy(mask[None])) for mask in masks]
        return torch.cat(one_by_one).numpy()


def mae_hu(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.abs(one - two).mean() / 2 * WINDOW_HU)


def test_as_trained_it_scores_what_its_score_job_says(tmp_path: Path) -> None:
    tested = Trained(tmp_path, ["validation"])
    score = tested.tiny.must(tested.tiny.score_of(tested.image, 1)).result()
    assert score is not None
    found = tested.values()["validation"]
    shared = [name for name in found if name.startswith("quality/")]
    assert {"quality/kid", "quality/mae_hu", "quality/bands_db", "quality/edge_error"} <= {*shared}
    for name in shared:
        assert found[name] == pytest.approx(score["values"][name], rel=1e-6), name


def test_at_another_size_masks_are_enlarged_and_ct_brought_back_by_means(tmp_path: Path) -> None:
    tested = Trained(tmp_path, ["validation"])
    masks, ct = tested.pairs("validation")
    large = tested.made(masks.repeat(2, axis=2).repeat(2, axis=3), tested.generator())
    assert large.shape[2:] == (256, 256)
    back = large.reshape(len(ct), 1, 128, 2, 128, 2).mean(axis=(3, 5))
    found = tested.values(scale=2)["validation"]
    assert found["quality/mae_hu"] == pytest.approx(mae_hu(back, ct), rel=1e-4)
    assert found["quality/mae_hu"] != tested.values()["validation"]["quality/mae_hu"]


def test_a_batch_of_one_has_the_averages_of_the_image(tmp_path: Path) -> None:
    tested = Trained(tmp_path, ["validation"])
    masks, ct = tested.pairs("validation")
    generator = tested.generator()
    for layer in generator.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.train()
    found = tested.values(statistics="batch-of-one")["validation"]
    assert found["quality/mae_hu"] == pytest.approx(mae_hu(tested.made(masks, generator), ct), 1e-4)


def test_dropout_is_drawn_from_the_seed_and_from_nothing_else(tmp_path: Path) -> None:
    tested = Trained(tmp_path, ["validation"])
    torch.manual_seed(1)
    one = tested.values(dropout=True)
    other = Trained(tmp_path / "again", ["validation"])
    torch.manual_seed(2)
    assert other.values(dropout=True) == one
    assert other.values(seed=1, dropout=True) != one
    assert tested.values() != one


def test_seen_and_unseen_masks_have_their_own_ct_and_made_ones_have_none(tmp_path: Path) -> None:
    tested = Trained(tmp_path, EVERY)
    found = tested.values()
    assert list(found) == EVERY
    masks, ct = tested.pairs("train")
    assert found["train"]["n"] == found["validation"]["n"] == 6 < len(ct)
    errors = [
        mae_hu(tested.made(masks[[n]], tested.generator()), ct[[n]]) for n in range(len(masks))
    ]
    assert min(errors) <= found["train"]["quality/mae_hu"] <= max(errors)
    for name in ("synthetic", "raw"):
        assert found[name]["n"] == 6
        assert "quality/mae_hu" not in found[name]
        assert found[name]["quality/bands_db"] > 0
    assert found["raw"]["quality/kid"] != found["synthetic"]["quality/kid"]


def test_the_picture_has_masks_and_ct_in_turn(tmp_path: Path) -> None:
    tested = Trained(tmp_path, EVERY)
    folder = tested.tiny.must(tested.spec())
    picture = np.asarray(Image.open(folder.path / "tested.png"))
    tiles = picture[2:, 2:][: 4 * 130, : 10 * 130].reshape(4, 130, 10, 130).swapaxes(1, 2)
    tiles = tiles[..., :128, :128]
    masks, _ = tested.pairs("validation")
    for n in range(5):
        np.testing.assert_array_equal(tiles[0, 2 * n] > 128, masks[n, 0] > 0)
    assert {*np.unique(tiles[2, ::2])} <= {0, 255}, "made masks were cleaned"
    assert not {*np.unique(tiles[3, ::2])} <= {0, 255}, "and these are as they were drawn"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"sweep": {"image": None}}, "sweep.image is null"),
        ({"image": {"dropout": False}}, "where image.dropout is true"),
        ({"mask": {"learns": "ct"}}, "need a mask stage that learns masks"),
        ({"legacy": {"stage_two": [{"scale": 3}]}}, "1, 2 or 4"),
        ({"legacy": {"stage_two": [{"scale": 2}, {"scale": 2}]}}, "tests must differ"),
        ({"legacy": {"masks": ["raw", "raw"]}}, "masks must differ"),
    ],
)
def test_what_cannot_be_tested_is_refused(changed: dict[str, Any], says: str) -> None:
    plain: dict[str, Any] = {
        "name": "refused",
        "legacy": {"stage_two": [{"dropout": True}], "masks": ["synthetic"]},
    }
    for section, values in changed.items():
        plain[section] = {**plain.get(section, {}), **values}
    with pytest.raises(ValidationError, match=says):
        Experiment.model_validate(plain)


def test_the_usual_way_comes_first_and_once() -> None:
    ways = [{"scale": 2}, {}, {"scale": 2, "dropout": True, "statistics": "batch-of-one"}]
    experiment = Experiment.model_validate({"name": "e", "legacy": {"stage_two": ways}})
    words = [test.words for test in experiment.legacy.tests]
    assert words == ["as trained", "size x 2", "size x 2, dropout on, batch of one"]
    assert not Experiment.model_validate({"name": "e"}).legacy.tests
