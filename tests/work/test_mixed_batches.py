"""What a segmenter's batches hold: what arms share, and the one thing they differ in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from factories.arms import arm_config, numbered
from factories.tiny import Tiny
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.base.errors import DataError
from harness.config.arms import DEFAULT as ARMS
from harness.config.arms import arm_of
from harness.config.choices import FILLINGS
from harness.data.pairs.store import Store, write_store
from harness.jobs.context import Context
from harness.work.train.batches import others
from harness.work.train.mixed_batches import SharedSlots, SlotBatches, Slots, filled, real_pairs


def batches(arm: str, seed: int = 5, **settings: Any) -> SlotBatches:
    real = numbered(20, 0.0)
    extra = numbered(13, -0.5) if arm_of(arm).pairs.generated else real
    return SlotBatches(real, extra, arm_config(arm, **settings), seed)


def levels(batch: dict[str, Tensor]) -> list[float]:
    return [round(float(image[0, 0, 0]), 4) for image in batch["ct"]]


# --- slots ----------------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 10**6))
def test_slots_go_through_all_images_before_any_comes_again(
    count: int, slots: int, seed: int
) -> None:
    drawn = Slots(count, slots, seed, "real")
    updates = -(-3 * count // slots)
    row = torch.cat([drawn.at(update) for update in range(updates)]).tolist()
    for turn in range(3):
        assert sorted(row[turn * count : (turn + 1) * count]) == list(range(count))


def test_a_draw_depends_on_its_update_alone() -> None:
    forward, backward = Slots(7, 3, 1, "real"), Slots(7, 3, 1, "real")
    ahead = {update: forward.at(update) for update in range(30)}
    for update in reversed(range(30)):
        assert torch.equal(backward.at(update), ahead[update])


def test_turns_and_streams_and_seeds_have_orders_of_their_own() -> None:
    first = Slots(40, 40, 1, "real").at(0)
    for other in (Slots(40, 40, 1, "real").at(1), Slots(40, 40, 2, "real").at(0)):
        assert not torch.equal(first, other)
    assert not torch.equal(first, Slots(40, 40, 1, "extra-shared").at(0))


# --- arms -----------------------------------------------------------------------------------------


def test_real_slots_and_their_order_are_the_same_in_every_arm() -> None:
    still = {"augmentation": {"magnitude": 0}}
    seen = {arm: batches(arm, **still) for arm in ARMS}
    for epoch, index in ((1, 0), (1, 4), (2, 1), (9, 3)):
        made = {arm: levels(seen[arm].batch(epoch, index)) for arm in ARMS}
        real, extra = (
            {arm: m[part] for arm, m in made.items()} for part in (slice(4), slice(4, 8))
        )
        assert all(slots == real["none"] for slots in real.values())
        assert extra["none"] == extra["traditional"]
        assert extra["gan"] == extra["traditional+gan"]
        assert all(level < 0 for level in extra["gan"]), "from the synthetic store"
        assert extra["duplicate"] != extra["traditional"]
        assert all(level >= 0 for level in extra["duplicate"]), "real pairs too"


def test_real_slots_are_augmented_alike_in_every_arm_that_augments() -> None:
    seen = {arm: batches(arm) for arm in ("traditional", "traditional+gan", "duplicate")}
    for index in range(3):
        made = {arm: one.batch(2, index) for arm, one in seen.items()}
        for name in ("ct", "masks"):
            real = {arm: batch[name][:4] for arm, batch in made.items()}
            assert torch.equal(real["traditional"], real["traditional+gan"])
            assert torch.equal(real["traditional"], real["duplicate"])
        plain = batches("none").batch(2, index)
        assert not torch.equal(plain["ct"][:4], made["traditional"]["ct"][:4])


def test_real_and_extra_slots_draw_apart() -> None:
    both = batches("none", synthetic_fraction=0.5).batch(1, 0)
    assert levels(both)[:4] != levels(both)[4:]


@pytest.mark.parametrize(("share", "extra"), [(0.1, 1), (0.25, 2), (0.9, 7)])
def test_the_share_of_extra_slots(share: float, extra: int) -> None:
    for arm in ("gan", "traditional+gan"):
        made = batches(arm, synthetic_fraction=share, augmentation={"magnitude": 0}).batch(1, 0)
        assert len(made["ct"]) == 8
        assert sum(level < 0 for level in levels(made)) == extra


def test_a_batch_is_the_same_whenever_it_is_asked_for() -> None:
    one, two = batches("traditional+gan"), batches("traditional+gan")
    late = one.batch(3, 2)
    for index in range(5):
        two.batch(1, index)
    assert torch.equal(late["ct"], two.batch(3, 2)["ct"])


def test_synthetic_only_fills_every_slot_from_the_synthetic_store() -> None:
    seen = batches("synthetic-only", augmentation={"magnitude": 0})
    for epoch, index in ((1, 0), (2, 3)):
        made = levels(seen.batch(epoch, index))
        assert len(made) == 8
        assert all(level < 0 for level in made)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_pretraining_is_synthetic_alone_and_then_real_alone(share: float) -> None:
    """20 updates, 5 an epoch: synthetic ones come first, and never again."""
    seen = batches(
        "pretrain-finetune",
        updates=20,
        pretrain={"updates_fraction": share},
        augmentation={"magnitude": 0},
    )
    kinds = [
        {level < 0 for level in levels(seen.batch(epoch, index))}
        for epoch in (1, 2, 3, 4)
        for index in range(5)
    ]
    turn = round(20 * share)
    assert kinds == [{True}] * turn + [{False}] * (20 - turn)
    # All 20 real images come once before any comes again, from the first real update on.
    first = [level for u in (turn, turn + 1) for level in levels(seen.batch(1 + u // 5, u % 5))]
    assert len(set(first)) == 16


def test_real_slots_see_every_slice_and_extra_ones_what_the_gan_learns_from(tmp_path: Path) -> None:
    """Pairs that are not marked train through real slots alone."""
    tiny = Tiny(tmp_path)
    store = Store.open(tiny.store_folder)
    unmarked = [place for place, row in enumerate(store.rows) if row.slice == 0]
    rows = [replace(r, selected=place not in unmarked) for place, r in enumerate(store.rows)]
    write_store(tiny.store_folder, np.asarray(store.ct), np.asarray(store.masks), rows, store.meta)
    store = Store.open(tiny.store_folder)
    training = [p for p, row in enumerate(store.rows) if row.role == "train"]
    context = SimpleNamespace(spec=tiny.specs.segmenter(tiny.store, "none", None, 0))
    real = real_pairs(store, context.spec.config, 0)[0]
    extra = arm_of("none").pairs.pairs(cast(Context, context), store)[0]
    assert torch.equal(real, torch.from_numpy(np.asarray(store.ct[training])))
    marked = [p for p in training if p not in unmarked]
    assert torch.equal(extra, torch.from_numpy(np.asarray(store.ct[marked])))


def test_shuffled_labels_belong_to_other_pairs(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    store = Store.open(tiny.store_folder)
    arms = ("traditional", "shuffled")
    specs = [tiny.specs.segmenter(tiny.store, arm, None, 3) for arm in arms]
    straight, crossed = (
        arm_of(arm).pairs.pairs(cast(Context, SimpleNamespace(spec=spec)), store)
        for arm, spec in zip(arms, specs, strict=True)
    )
    assert torch.equal(straight[0], crossed[0]), "the same images in the same order"
    order = others(len(straight[1]), specs[1].seed)
    assert torch.equal(crossed[1], straight[1][order])
    assert sorted(order.tolist()) == list(range(len(order))), "every label is used once"
    assert all(int(other) != place for place, other in enumerate(order))


@pytest.mark.parametrize(("share", "kept"), [(1.0, 3), (0.67, 2), (0.3, 1), (0.01, 1)])
def test_fine_tuning_takes_whole_patients(share: float, kept: int, tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    store = Store.open(tiny.store_folder)
    config = {"pretrain": {"patients_fraction": share}}
    ct, masks = real_pairs(store, config, 5)
    assert len(ct) == len(masks) == kept * tiny.slices
    assert torch.equal(ct, real_pairs(store, config, 5)[0])
    chosen = {tuple(image.flatten()[:40].tolist()) for image in ct}
    rows = store.select(role="train")
    owners = {
        store.rows[row].patient
        for row in rows
        if tuple(store.ct[row].flatten()[:40].tolist()) in chosen
    }
    assert len(owners) == kept


# --- fillings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda ct, masks: (ct[:, 0], masks), "must give tensors n x"),
        (lambda ct, masks: (ct, masks[:-1]), "must give tensors n x"),
        (lambda ct, masks: None, "but got None; mend its pairs"),
        (lambda ct, masks: (ct * np.nan, masks), "must give finite CT, but got some that is not"),
        (lambda ct, masks: (ct, masks * 7), r"must give CT in \[-1, 1\] and masks of 0 and 1"),
        (lambda ct, masks: (ct[:0], masks[:0]), "must give pairs, but got none"),
    ],
)
def test_a_filling_that_gives_no_pairs_is_named(
    made: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = Tiny(tmp_path)
    store = Store.open(tiny.store_folder)
    context = cast(Context, SimpleNamespace(spec=tiny.specs.segmenter(tiny.store, "none", None, 0)))
    pairs = arm_of("none").pairs.pairs(context, store)
    odd = SimpleNamespace(pairs=lambda context, store: made(*pairs), empty=False)
    monkeypatch.setitem(FILLINGS._known, "odd", odd)
    with pytest.raises(DataError, match=f"the filling 'odd' .*{said}"):
        filled("odd", context, store)


def test_a_share_of_the_places_holds_the_structure_evenly_over_the_run() -> None:
    holding = torch.tensor([True, False, False, True, False, False, False])
    slots = SharedSlots(holding, 0.4, 5, 3, "real")
    drawn = [slots.at(update) for update in range(14)]
    assert [int(holding[batch].sum()) for batch in drawn] == [2] * 14
    counts = torch.bincount(torch.cat(drawn), minlength=7)
    assert counts[holding].tolist() == [14, 14]
    assert sorted(counts[~holding].tolist()) == [8, 8, 8, 9, 9]
    again = SharedSlots(holding, 0.4, 5, 3, "real")
    assert torch.equal(again.at(13), drawn[13])  # of its place alone, not of those before
