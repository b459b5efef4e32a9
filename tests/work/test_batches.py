"""Batches as a function of epoch and position: every image once, whoever asks and in what order."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.base.errors import DataError
from harness.work.train.batches import EpochBatches


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
