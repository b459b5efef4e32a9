"""Segmenters that see neighbouring slices: what stands where in training, and in prediction."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from factories.tiny import COMPUTE, Tiny, ellipses, tiny_experiment, tiny_scan, weights_at
from scipy import ndimage

from harness.config.arms import DEFAULT as ARMS
from harness.config.arms import arm_of
from harness.config.choices import FILLINGS
from harness.config.stages import SegmentationAugmentation
from harness.data.pairs.neighbours import Stacks, places_in_scan, places_in_store
from harness.data.pairs.store import PairRow, Store
from harness.jobs.checkpoint import load_weights
from harness.jobs.context import Context
from harness.jobs.journal import series
from harness.models.unet import make_unet
from harness.training.augmentation import augment_pairs
from harness.training.precision import Precision
from harness.work.train.batches import load_pairs
from harness.work.train.mixed_batches import SlotBatches, real_pairs, stacks_of
from harness.work.train.networks import segmenter
from harness.work.train.segmenter import validation_dice

STILL = {"magnitude": 0.0}


def tiny_with(root: Path, neighbours: int, **settings: Any) -> Tiny:
    return Tiny(root, tiny_experiment(segmentation={"neighbours": neighbours, **settings}))


def batches(tiny: Tiny, store: Store, arm: str) -> SlotBatches:
    """Those of a training of the arm; pairs that a GAN would make are drawn."""
    spec, filling = tiny.specs.segmenter(tiny.store, arm, None, 0), arm_of(arm).pairs
    masks = torch.from_numpy(ellipses(6, 64, 1))
    made = torch.where(masks > 0, 0.4, -0.6), masks
    context = cast(Context, SimpleNamespace(spec=spec))
    extra = made if filling.generated else filling.pairs(context, store)
    real = real_pairs(store, spec.config, spec.seed)
    return SlotBatches(real, extra, spec.config, 0, stacks_of(store, spec.config, spec.seed))


def by_hand(store: Store, middle: np.ndarray, reach: int) -> np.ndarray:
    """The stack about a slice of the store, found by its pixels; tiny scans have slices 0 to 3."""
    place = next(n for n, ct in enumerate(store.ct) if np.array_equal(ct[0], middle))
    first = place - store.rows[place].slice
    levels = [store.rows[place].slice + step for step in range(-reach, reach + 1)]
    return np.stack([store.ct[first + min(max(level, 0), 3), 0] for level in levels])


# --- which slices ---------------------------------------------------------------------------------


def test_the_last_slice_of_a_scan_repeats() -> None:
    assert places_in_scan(4, 2).tolist() == [
        [0, 0, 0, 1, 2],
        [0, 0, 1, 2, 3],
        [0, 1, 2, 3, 3],
        [1, 2, 3, 3, 3],
    ]
    assert places_in_scan(1, 1).tolist() == [[0, 0, 0]]
    assert places_in_scan(3, 0).tolist() == [[0], [1], [2]]


def test_neighbours_are_of_the_same_scan_and_structure() -> None:
    def row(digest: str, structure: str, level: int) -> PairRow:
        made = PairRow.synthetic(0, 0)
        return replace(made, patient_digest=digest, structure=structure, slice=level)

    every = [
        *(row("a", "left", level) for level in (7, 8, 9, 12)),  # 10 and 11 were not kept
        *(row("a", "right", level) for level in (8, 7)),  # in any order
        row("b", "left", 8),
        *(PairRow.synthetic(n, 0) for n in range(2)),
    ]
    rows = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8])
    assert places_in_store(every, rows, 1).tolist() == [
        [0, 0, 1],
        [0, 1, 2],
        [1, 2, 2],  # 10 is missing: 9 is nearer than 12
        [3, 3, 3],  # 11 is missing: 12 itself is the nearest
        [5, 4, 4],
        [5, 5, 4],
        [6, 6, 6],
        [7, 7, 7],
        [8, 8, 8],
    ]
    assert places_in_store(every, rows[[4, 1]], 2).tolist() == [[5, 5, 4, 4, 4], [0, 0, 1, 2, 2]]


# --- training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", ["none", "duplicate", "shuffled", "pretrain-finetune"])
@pytest.mark.parametrize("reach", [1, 2])
def test_real_places_hold_the_slices_about_each(arm: str, reach: int, tmp_path: Path) -> None:
    settings = {"augmentation": STILL, "neighbour_dropout": 0.0}
    tiny = tiny_with(tmp_path, reach, **settings, pretrain={"patients_fraction": 0.5})
    store = Store.open(tiny.store_folder)
    seen = batches(tiny, store, arm)
    for epoch in (1, 2, 3):
        ct = seen.batch(epoch, 1)["ct"].numpy()
        assert ct.shape == (4, 2 * reach + 1, 64, 64)
        real = ct if arm != "pretrain-finetune" or epoch == 3 else ct[:0]
        for stack in real:
            np.testing.assert_array_equal(stack, by_hand(store, stack[reach], reach))


def test_dropped_neighbours_are_copies_of_what_is_seen_without(tmp_path: Path) -> None:
    """At 1 every channel is the batch of a segmenter without neighbours, augmentation and all; at
    any share the slice and its mask are."""
    seen = {}
    for name, reach, dropout in (("without", 0, 0.5), ("all", 2, 1.0), ("some", 2, 0.5)):
        tiny = tiny_with(tmp_path / name, reach, neighbour_dropout=dropout)
        seen[name] = batches(tiny, Store.open(tiny.store_folder), "traditional")
    for epoch, index in ((1, 0), (1, 3), (3, 2)):
        without, every = (seen[name].batch(epoch, index) for name in ("without", "all"))
        for channel in range(5):
            alone = every["ct"][:, channel : channel + 1]
            torch.testing.assert_close(alone, without["ct"], atol=1e-5, rtol=0)
        assert torch.equal(every["masks"], without["masks"])
        assert torch.equal(seen["some"].batch(epoch, index)["masks"], without["masks"])


def test_as_many_as_asked_lose_their_neighbours(tmp_path: Path) -> None:
    settings = {"augmentation": STILL, "neighbour_dropout": 0.25, "batch_size": 50, "updates": 12}
    tiny = tiny_with(tmp_path, 1, **settings)
    store = Store.open(tiny.store_folder)
    seen = batches(tiny, store, "none")
    stacks = [stack for n in range(12) for stack in seen.batch(1 + n // 4, n % 4)["ct"]]
    dropped = sum(torch.equal(s[0], s[1]) and torch.equal(s[2], s[1]) for s in stacks)
    # Six standard errors of 600 draws; a slice is never equal to both of its true neighbours.
    assert dropped / len(stacks) == pytest.approx(0.25, abs=6 * (0.25 * 0.75 / 600) ** 0.5)


def test_arms_share_their_real_stacks_and_made_pairs_have_none(tmp_path: Path) -> None:
    tiny = tiny_with(tmp_path, 1)
    store = Store.open(tiny.store_folder)
    seen = {arm: batches(tiny, store, arm) for arm in ARMS}
    for epoch, index in ((1, 0), (2, 3)):
        made = {arm: one.batch(epoch, index)["ct"] for arm, one in seen.items()}
        assert torch.equal(made["none"][:2], made["gan"][:2])
        for arm in ("traditional+gan", "duplicate"):
            assert torch.equal(made[arm][:2], made["traditional"][:2])
        for arm in ("gan", "traditional+gan"):
            extra = made[arm][2:]
            assert torch.equal(extra, extra[:, 1:2].expand(-1, 3, -1, -1))


@pytest.mark.parametrize("name", FILLINGS.names())
def test_neighbours_are_shown_where_pairs_are_the_stores_own(name: str, tmp_path: Path) -> None:
    filling = FILLINGS.get(name)
    tiny = tiny_with(tmp_path, 1)
    store = Store.open(tiny.store_folder)
    spec = tiny.specs.segmenter(tiny.store, name, None, 0)
    stacks = stacks_of(store, spec.config, 0)
    assert ("extra" in stacks) == filling.as_stored
    if filling.as_stored:
        ct = filling.pairs(cast(Context, SimpleNamespace(spec=spec)), store)[0]
        np.testing.assert_array_equal(stacks["extra"].all()[:, 1], ct[:, 0].numpy())
    assert stacks_of(store, {**spec.config, "neighbours": 0}, 0) == {}


def test_a_stack_is_augmented_as_one_image() -> None:
    """Each channel as that slice alone would be; contrast alone is about the mean of the stack."""
    masks = torch.from_numpy(ellipses(6, 64, 3)).float()
    ct = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    config = SegmentationAugmentation(contrast=0.0, probability=1.0)

    def changed(slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return augment_pairs(slices, masks, config, torch.Generator().manual_seed(5))

    together, moved = changed(ct)
    for channel in range(3):
        alone, also_moved = changed(ct[:, channel : channel + 1])
        torch.testing.assert_close(together[:, channel : channel + 1], alone, atol=1e-6, rtol=0)
        assert torch.equal(moved, also_moved)


# --- prediction -----------------------------------------------------------------------------------


class Recorder:
    """Predicts nothing, and keeps what it was shown."""

    reach = 1

    def predict(self, ct: np.ndarray) -> np.ndarray:
        self.shown = ct
        return np.zeros_like(ct[:, :1])


def test_validation_shows_true_neighbours(tmp_path: Path) -> None:
    tiny, network = tiny_with(tmp_path, 1), Recorder()
    store = Store.open(tiny.store_folder)
    validation_dice(cast(Any, network), store)
    rows = store.select(role="validation")
    assert len(network.shown) == len(rows) == 8
    for row, stack in zip(rows, network.shown, strict=True):
        np.testing.assert_array_equal(stack, by_hand(store, store.ct[row, 0], 1))


def test_a_volume_is_predicted_from_stacks_of_its_slices(tmp_path: Path) -> None:
    """A frame that is the scan's own grid; the network's weights in a network of our own."""
    tiny = tiny_with(tmp_path, 2)
    spec = tiny.specs.segmenter(tiny.store, "traditional", None, 0)
    job = tiny.must(spec, 3)
    assert len(series(job.journal, "validation/dice")[1]) == 3
    opening = tiny.specs.opening(tiny.store, {"arm": spec.done(3)}, {"margin": 0.01})
    tiny.must(opening)
    found = tiny.must(tiny.specs.test_score(tiny.store, spec.done(3), opening)).path / "scores.csv"
    row = next(csv.DictReader(found.read_text().splitlines()))
    network = make_unet([4, 8], 1, 5, 1, 0).eval()
    network.load_state_dict(load_weights(job.at(3) / "weights.safetensors"))
    scan = tiny_scan(64)
    slices = np.clip((scan.hu + 324.0) / 500 * 2 - 1, -1, 1).astype(np.float32)
    mask = np.zeros(slices.shape, bool)
    for level in range(5):
        about = [slices[max(0, min(4, level + step))] for step in (-2, -1, 0, 1, 2)]
        with torch.no_grad():
            mask[level] = network(torch.from_numpy(np.stack(about))[None])[0, 0].numpy() > 0
    pieces, count = ndimage.label(mask)
    if count > 1:
        mask = pieces == 1 + np.argmax(ndimage.sum(mask, pieces, range(1, count + 1)))
    truth = scan.masks["structure"]
    dice = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
    assert int(row["predicted"]) == mask.sum() > 0
    assert float(row["dice"]) == pytest.approx(dice, abs=1e-6)


def test_single_slices_are_shown_as_copies(tmp_path: Path) -> None:
    """Whoever asks has no neighbours: made pairs, and images in the eyes of the segmenter."""
    tiny = tiny_with(tmp_path, 1)
    store = Store.open(tiny.store_folder)
    spec = tiny.specs.segmenter(tiny.store, "none", None, 0)
    network = segmenter(spec.config, store.meta, Precision.of(COMPUTE))
    network.begin(0)
    single, masks = load_pairs(store, np.arange(3))
    copied = single.repeat(1, 3, 1, 1)
    true = Stacks.of(store, np.arange(3), 1).all()
    predicted = network.predict(single.numpy())
    np.testing.assert_array_equal(predicted, network.predict(copied.numpy()))
    assert not np.array_equal(predicted, network.predict(true))
    with torch.no_grad():
        at = single.to(COMPUTE["device"])
        assert torch.equal(network.features(at), network.features(at.repeat(1, 3, 1, 1)))
    losses = []
    for ct in (single, copied):
        network.begin(0)
        losses.append(float(network.step({"ct": ct, "masks": masks.float()})["loss"].detach()))
    assert losses[0] == losses[1]


def test_none_is_what_it_was_and_some_are_another_training(tmp_path: Path) -> None:
    def trained(name: str, **settings: Any) -> tuple[str, str]:
        tiny = Tiny(tmp_path / name, tiny_experiment(segmentation=settings))
        spec = tiny.specs.segmenter(tiny.store, "none", None, 0)
        return spec.digest, weights_at(tiny.must(spec, 3), 3)

    before = trained("usual")
    assert trained("none", neighbours=0, neighbour_dropout=0.1) == before
    assert trained("one", neighbours=1)[0] != before[0]
