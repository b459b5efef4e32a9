"""From noise to a labelled store: what is kept, what is counted, where it lies in the frame."""

from __future__ import annotations

import copy
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.tiny import Tiny, digest_for, ellipses, tiny_experiment
from torch import Tensor, nn

from harness.config.experiment import Experiment
from harness.data.pairs.store import Store
from harness.jobs.checkpoint import load_weights
from harness.jobs.spec import Spec
from harness.metrics.images.mask_shape import fit_plausibility
from harness.models.pix2pix import UnetGenerator
from harness.work.generate.synthesis import generate_masks


class Discs:
    """A mask network that draws a disc of radius 12 + 8 z (z the first noise number) with a hole in
    its middle, and a speck in a corner; nothing for z below -1.25."""

    def sample(self, count: int, source: torch.Generator) -> np.ndarray:
        noise = torch.randn(count, 3, 1, 1, generator=source)
        y, x = torch.meshgrid(torch.arange(64) - 31.5, torch.arange(64) - 31.5, indexing="ij")
        distance = torch.hypot(y, x)[None, None]
        radius = radii(noise)[:, None, None, None]
        image = ((distance <= radius) & (distance > 2)).float()
        image[..., :2, :2] = (radius > 0).float()
        return (image * 2 - 1).numpy()


def radii(noise: Tensor) -> Tensor:
    z = noise[:, 0, 0, 0]
    return torch.where(z > -1.25, 12 + 8 * z, torch.zeros(()))


def drawn(radius: float) -> np.ndarray:
    y, x = np.mgrid[:64, :64] - 31.5
    return np.hypot(y, x) <= radius


def harvested(wanted: int, attempts: int, seed: int = 0) -> Any:
    training = np.stack([drawn(radius) for radius in (9, 12, 15)])
    rule = fit_plausibility(training, 0.2)
    source = torch.Generator().manual_seed(seed)
    return generate_masks(Discs(), rule, wanted, attempts, 0.0, source)


def test_kept_masks_are_cleaned_and_all_others_counted_by_reason() -> None:
    found = harvested(wanted=40, attempts=400)
    assert len(found.kept) == 40
    # The same noise, drawn here: what becomes of each vector is known from its first number.
    source = torch.Generator().manual_seed(0)
    noise = torch.cat([torch.randn(64, 3, 1, 1, generator=source) for _ in range(7)])
    expected: Counter[str] = Counter()
    masks = []
    low, high = drawn(9).sum() * 0.8, drawn(15).sum() * 1.2
    for radius in radii(noise)[: found.tried].tolist():
        area = drawn(radius).sum()
        if radius <= 0:
            expected["the mask is empty"] += 1
        elif low <= area <= high:
            masks.append(drawn(radius))
        else:
            expected["area outside training range"] += 1
    assert found.reasons == expected
    np.testing.assert_array_equal(np.stack(found.kept)[:, 0], np.stack(masks))
    assert found.tried == len(found.kept) + sum(found.reasons.values())


@pytest.mark.parametrize(("wanted", "attempts"), [(1, 1), (500, 64), (500, 70), (3, 1000)])
def test_harvest_ends_at_whichever_comes_first(wanted: int, attempts: int) -> None:
    found = harvested(wanted, attempts)
    assert len(found.kept) <= wanted
    assert found.tried <= attempts
    assert len(found.kept) == wanted or found.tried == attempts


LEARNT = 6
"""Epochs after which noise vectors give different masks."""

# --- the job --------------------------------------------------------------------------------------


def experiment(**synthesis: Any) -> Experiment:
    return tiny_experiment(
        data={"crop": {"frame_px": 128}, "structures": ["structure"]},
        mask={"optimiser": {"learning_rate": 5e-3}},
        synthesis={"pairs": 6, "attempts": 11, **synthesis},
    )


def replicate(tiny: Tiny) -> Spec:
    mask, image = tiny.mask(), tiny.image()
    tiny.must(mask, LEARNT)
    tiny.must(image, 1)
    return tiny.specs.synthesis(tiny.store, mask.done(LEARNT), image.done(1), 0)


@pytest.mark.parametrize("statistics", ["running", "batch-of-one"])
def test_the_store_holds_masks_in_their_frame_and_the_ct_painted_on_them(
    statistics: str, tmp_path: Path
) -> None:
    settings = experiment(tolerance=60.0)  # an untrained generator draws anything
    image = settings.image.model_copy(update={"statistics": statistics})
    tiny = Tiny(tmp_path, settings.model_copy(update={"image": image}))
    spec = replicate(tiny)
    folder = tiny.must(spec)
    made = Store.open(folder.path / "store")
    result = folder.result()
    assert result is not None
    assert result["values"]["pairs"] == len(made.rows) == 6
    assert result["values"]["kept_implausible"] is False
    assert made.ct.shape == made.masks.shape == (6, 1, 128, 128)
    inner = made.mask_crops(np.arange(6))
    assert inner.sum() == made.masks[:].sum() > 0, "nothing lies outside the mask crop"
    assert [row.structure_px for row in made.rows] == made.masks[:].sum((1, 2, 3)).tolist()
    assert made.meta["kind"] == "synthetic"
    assert made.meta["lineage"]["patients"] == sorted(digest_for(f"p{n}") for n in range(3))
    generator = UnetGenerator(width=4)
    weights = tiny.work.job(tiny.image()).at(1) / "weights.safetensors"
    generator.load_state_dict(load_weights(weights))
    expected = by_hand(generator, np.asarray(made.masks[:]), statistics)
    np.testing.assert_allclose(made.ct[:], expected, atol=1e-5)


@torch.no_grad()
def by_hand(generator: nn.Module, masks: np.ndarray, statistics: str) -> np.ndarray:
    """Each image alone: in evaluation, or in training mode (its own statistics) without dropout."""
    image_generator = copy.deepcopy(generator).train(statistics == "batch-of-one")
    for part in image_generator.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    frames = torch.from_numpy(masks.astype(np.float32)) * 2 - 1
    return torch.cat([image_generator(frame[None]) for frame in frames]).numpy()


def test_the_same_spec_makes_the_same_store_and_another_seed_another(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        tiny = Tiny(tmp_path / name, experiment(tolerance=60.0))
        result = tiny.must(replicate(tiny)).result()
        assert result is not None
        contents.append(result["content"])
    assert contents[0] == contents[1]
    mask, image = tiny.mask().done(LEARNT), tiny.image().done(1)
    other = tiny.must(tiny.specs.synthesis(tiny.store, mask, image, 1)).result()
    assert other is not None
    assert other["content"] != contents[0]


def test_a_generator_without_a_plausible_mask_is_an_outcome(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path, experiment(tolerance=0.0, attempts=11))
    values = (tiny.must(replicate(tiny)).result() or {})["values"]
    assert values["tried"] == sum(values["rejected"].values()) == 6 * 11
    assert values["kept_implausible"] is True
    assert values["too_few"] is True
    assert values["pairs"] == 6


def test_the_rule_is_learnt_on_training_masks_alone(tmp_path: Path) -> None:
    """Validation structures of any size change nothing."""
    tiny = Tiny(tmp_path, experiment(tolerance=60.0))
    spec = replicate(tiny)
    before = (tiny.must(spec).result() or {})["values"]
    store = Store.open(tiny.store_folder)
    masks = np.array(store.masks)
    masks[store.select(role="validation")] = 1
    np.save(tiny.store_folder / "masks.npy", masks)
    tiny.record()
    tiny.work.job(spec).clear()
    assert (tiny.must(spec).result() or {})["values"] == before


def test_the_lineage_is_that_of_the_gans_own_stores(tmp_path: Path) -> None:
    """A mask stage trained where another patient trains: the synthetic store says so, and a
    segmenter whose validation patient that is refuses it."""
    tiny = Tiny(tmp_path, experiment(tolerance=60.0))
    other = Tiny(
        tmp_path,
        tiny.experiment,
        roles=["train", "validation", "validation", "train", "validation", "test"],
    )
    other.must(other.mask(), 1)
    tiny.must(tiny.image(), 1)
    spec = tiny.specs.synthesis(tiny.store, other.mask().done(1), tiny.image().done(1), 0)
    store = Store.open(tiny.must(spec).path / "store")
    assert store.meta["lineage"]["patients"] == sorted(digest_for(f"p{n}") for n in range(4))
    outcome = tiny.run(tiny.specs.segmenter(tiny.store, "gan", spec, 0), 3)
    assert outcome.reason.startswith("synthetic pairs must come from a GAN that saw training")
    assert "1 of the patients" in outcome.reason


def test_tiny_masks_are_ellipses_of_known_area() -> None:
    # The material itself: areas of ellipses with half axes between 8 and 16 pixels.
    areas = ellipses(50, 64, 3).sum((1, 2, 3))
    assert (areas > math.pi * 8 * 8 * 0.95).all()
    assert (areas < math.pi * 16 * 16 * 1.05).all()
