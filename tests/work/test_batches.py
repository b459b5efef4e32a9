"""Batches as a function of epoch and position: every image once, whoever asks and in what order."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from factories.tiny import Tiny, tiny_experiment, weights_at
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.base.errors import DataError
from harness.data.pairs.store import Store
from harness.work.train.batches import EpochBatches, epoch_rows, learnt_rows


def batches(images: int, size: int, seed: int = 0) -> EpochBatches:
    numbers = torch.arange(images)
    return EpochBatches({"x": numbers, "y": numbers * 10}, size, seed)


def epoch_of(made: EpochBatches, epoch: int) -> list[list[int]]:
    return [made.batch(epoch, index)["x"].tolist() for index in range(made.updates(epoch))]


@given(st.integers(2, 60), st.integers(1, 25), st.integers(1, 500))
def test_an_epoch_holds_every_image_once_but_for_a_lonely_last_one(
    images: int, size: int, epoch: int
) -> None:
    made = batches(images, size)
    parts = epoch_of(made, epoch)
    seen = Counter(number for part in parts for number in part)
    assert set(seen.values()) == {1}
    lonely = size > 1 and images % size == 1
    assert len(seen) == images - lonely == made.images(epoch)
    assert all(len(part) == size for part in parts[:-1])
    assert min(len(part) for part in parts) >= min(2, size)


def test_epochs_and_seeds_have_orders_of_their_own_and_repeat() -> None:
    made = batches(30, 10)
    first, second = epoch_of(made, 1), epoch_of(made, 2)
    assert first != second
    assert epoch_of(made, 1) == first, "asked again after another epoch"
    assert epoch_of(batches(30, 10), 2) == second, "and by someone who starts there"
    assert epoch_of(batches(30, 10, seed=1), 1) != first


def test_tensors_keep_together() -> None:
    batch = batches(30, 10).batch(3, 1)
    assert torch.equal(batch["y"], batch["x"] * 10)


def test_augmentation_draws_by_epoch_and_position() -> None:
    def shake(batch: dict[str, Tensor], source: torch.Generator) -> dict[str, Tensor]:
        return {"x": batch["x"] + torch.rand(len(batch["x"]), generator=source)}

    def made() -> EpochBatches:
        return EpochBatches({"x": torch.zeros(8)}, 4, 0, shake)  # type: ignore[arg-type]

    one = made()
    late = one.batch(2, 1)["x"]
    assert torch.equal(made().batch(2, 1)["x"], late)
    others = [made().batch(epoch, index)["x"] for epoch, index in ((1, 1), (2, 0), (1, 2))]
    assert not any(len(other) == 4 and torch.equal(other, late) for other in others)


@pytest.mark.parametrize(("images", "size", "least"), [(0, 1, 1), (0, 12, 2), (1, 4, 2)])
def test_too_few_images_are_said(images: int, size: int, least: int) -> None:
    with pytest.raises(DataError) as caught:
        batches(images, size)
    assert str(caught.value) == (
        f"a training needs at least {least} training pairs, but got {images}; "
        "add patients to the training role"
    )


# --- fewer patients -------------------------------------------------------------------------------


def patients_of(store: Store, rows: np.ndarray) -> set[str]:
    return {store.rows[row].patient_digest for row in rows}


def test_a_stage_learns_from_whole_patients_fewer_among_more(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path, roles=["train"] * 6 + ["validation"] * 2)
    store = Store.open(tiny.store_folder)
    everyone = learnt_rows(store, {}, 0)
    assert everyone.tolist() == store.select(role="train", selected=True).tolist()
    by_seed = []
    for seed in range(8):
        sizes = [learnt_rows(store, {"patients": n}, seed) for n in (1, 3, 6)]
        groups = [patients_of(store, rows) for rows in sizes]
        assert [len(group) for group in groups] == [1, 3, 6]
        assert groups[0] < groups[1] < groups[2]
        assert all(len(rows) == 4 * len(group) for rows, group in zip(sizes, groups, strict=True))
        by_seed.append(min(groups[0]))
    assert len({*by_seed}) > 2, "another seed draws others"
    for n in (1, 3, 4, 6):  # an epoch is as long, whole patients' pairs as often as they fit in it
        seen = Counter(epoch_rows(store, {"patients": n}, 0).tolist())
        assert sum(seen.values()) == len(everyone) == 24
        assert {*seen} == {*learnt_rows(store, {"patients": n}, 0)}
        assert max(seen.values()) - min(seen.values()) <= 1
    with_structure = learnt_rows(store, {"patients": 3}, 0, True)
    assert {*with_structure} < {*learnt_rows(store, {"patients": 3}, 0)}
    assert all(store.rows[row].structure_px for row in with_structure)


@pytest.mark.parametrize("stage", ["mask", "image"])
def test_what_the_others_look_like_changes_no_weight(tmp_path: Path, stage: str) -> None:
    weights = []
    for folder in ("as-it-is", "others-blank"):
        tiny = Tiny(tmp_path / folder, tiny_experiment(**{stage: {"patients": 2}}))
        spec = getattr(tiny, stage)()
        store = Store.open(tiny.store_folder)
        seen = learnt_rows(store, spec.config, spec.seed)
        if folder == "others-blank":
            others = np.setdiff1d(store.select(role="train"), seen)
            assert len(others) == 4
            for name in ("ct", "masks"):
                path = tiny.store_folder / f"{name}.npy"
                array = np.load(path)
                array[others] = 0
                np.save(path, array)
            tiny.record()
        weights.append(weights_at(tiny.must(spec, 2), 2))
    assert weights[0] == weights[1]


def test_more_patients_than_there_are_is_a_sentence(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path, tiny_experiment(image={"patients": 4}))
    outcome = tiny.run(tiny.image(), 1)
    assert outcome.state == "failed"
    assert "must be at most the 3 that train, but got 4" in (outcome.reason or "")
