"""What a training sees, counted by drawing every batch of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from factories.tiny import Tiny, ellipses, tiny_experiment
from torch import Tensor

from harness.config.arms import arm_of
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.work.slots import exposure
from harness.work.train.mixed_batches import SlotBatches, real_pairs

MADE = 5
"""Level of the CT of made pairs, which none of the patients' has."""


def pools(arm: str, tiny: Tiny, store: Store) -> tuple[dict[str, object], list[tuple]]:
    spec = tiny.specs.segmenter(tiny.store, arm, None, 0)
    filling = arm_of(arm).pairs
    made = torch.full((6, 1, 64, 64), float(MADE)), torch.from_numpy(ellipses(6, 64, 1))
    context = cast(Context, SimpleNamespace(spec=spec))
    extra = made if filling.generated else filling.pairs(context, store)
    return dict(spec.config), [real_pairs(store, spec.config, spec.seed), extra]


@pytest.mark.parametrize(
    "arm",
    [
        *("none", "nothing", "gan", "gan:added", "real:added", "duplicate", "synthetic-only"),
        *("pretrain-finetune", "shuffled"),
    ],
)
@pytest.mark.parametrize(
    ("updates", "whole", "share"), [(12, True, None), (11, False, None), (12, False, 0.25)]
)
def test_exposure_is_what_the_batches_hold(
    arm: str, updates: int, whole: bool, share: float | None, tmp_path: Path
) -> None:
    """Twelve slices, three without the structure; two of four slots are real. Where the last pass
    is not whole, each slice has come once more or less than the mean."""
    still = {"magnitude": 0.0}
    settings = {"updates": updates, "updates_per_epoch": 4, "augmentation": still}
    settings |= {"structure_share": share}
    tiny = Tiny(tmp_path, tiny_experiment(segmentation=settings))
    store = Store.open(tiny.store_folder)
    train = store.select(role="train")
    slices = torch.from_numpy(store.ct[train])
    holds = [store.rows[row].structure_px > 0 for row in train]
    assert (len(train), sum(holds)) == (12, 9)
    config, (real, extra) = pools(arm, tiny, store)
    batches = SlotBatches(real, extra, config, 0)
    seen, made = [0] * len(train), 0

    def count(ct: Tensor) -> None:
        nonlocal made
        for image in ct:
            if float(image.max()) == MADE:
                made += 1
            else:
                seen[[torch.equal(image, known) for known in slices].index(True)] += 1

    for update in range(updates):
        batch = batches.batch(1 + update // 4, update % 4)
        for name in ("ct", "added_ct"):
            count(batch.get(name, slices[:0]))
    found = exposure(config, store)
    assert found.synthetic_pairs == made
    assert found.real_passes == pytest.approx(sum(seen) / len(seen))
    with_structure = [n for n, held in zip(seen, holds, strict=True) if held]
    mean = sum(with_structure) / len(with_structure)
    assert found.structure_passes == pytest.approx(mean, abs=1e-9 if whole else 0.5)


def test_replacing_pairs_shows_real_slices_less_often_and_adding_them_does_not(
    tmp_path: Path,
) -> None:
    tiny = Tiny(tmp_path)
    store = Store.open(tiny.store_folder)
    arms = ("traditional", "traditional+gan", "traditional+nothing", "traditional+gan:added")
    configs = (tiny.specs.segmenter(tiny.store, arm, None, 0).config for arm in arms)
    real, replaced, control, added = (exposure(config, store) for config in configs)
    assert real.structure_passes == 2 * replaced.structure_passes
    assert control.structure_passes == added.structure_passes == replaced.structure_passes
    assert (control.synthetic_pairs, added.synthetic_pairs) == (0, 24)
