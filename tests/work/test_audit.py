"""Audits of synthetic stores whose truth is known: copies, fresh pairs, labels of other pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.tiny import COMPUTE, Tiny, ellipses, tiny_experiment
from numpy.typing import NDArray

from harness.base.files import sha256_file
from harness.data.pairs.store import PairRow, Store, write_store
from harness.jobs.folder import JobFolder
from harness.jobs.journal import series
from harness.jobs.spec import Input, Spec
from harness.metrics.extractors.registry import identify
from harness.work.specs import Specs

ROLES = ("train",) * 12 + ("validation",) * 8 + ("test",)
PAIRS = 40
Audited = tuple[JobFolder, dict[str, Any]]


def ct_of(masks: NDArray[np.uint8], seed: int) -> NDArray[np.float32]:
    """CT as the tiny store paints it: the structure bright, the rest dark, with noise."""
    noise = np.random.default_rng(seed).normal(0, 0.1, masks.shape)
    return np.clip(np.where(masks > 0, 0.5, -0.5) + noise, -1, 1).astype(np.float32)


class Case:
    """A tiny work folder with a judge, an image stage, and a synthesis that is written by hand."""

    def __init__(self, root: Path) -> None:
        experiment = tiny_experiment(
            data={"crop": {"frame_px": 128}, "structures": ["structure"]},
            metrics={"images": PAIRS},
            segmentation={
                "channels": [4, 8, 16],
                "residual_units": 1,
                "batch_size": 8,
                "updates": 80,
                "updates_per_epoch": 40,
                "learning_rate": 5e-3,
            },
        )
        self.tiny = Tiny(root, experiment, ROLES, slices=5)
        lite0 = identify("efficientnet-lite0")
        entry = {"name": lite0.name, "weights": lite0.weights_digest}
        self.tiny.specs = Specs(experiment, COMPUTE, entry, (entry, {"name": "segmenter"}))
        specs, store = self.tiny.specs, self.tiny.store
        self.image = self.tiny.image(1000)
        self.tiny.must(self.image, 1)
        segmenter = specs.segmenter(store, "none", None, 1000)
        self.tiny.must(segmenter, specs.experiment.segmentation.epochs)
        self.judge = segmenter.done(specs.experiment.segmentation.epochs)

    def synthesis(self, seed: int, masks: NDArray[np.uint8], ct: NDArray[np.float32]) -> Spec:
        """A finished synthesis job that holds these pairs."""
        tiny = self.tiny
        spec = tiny.specs.synthesis(tiny.store, tiny.mask(seed).done(1), self.image.done(1), seed)
        folder = tiny.work.job(spec)
        folder.open(spec)
        rows = [PairRow.synthetic(n, int(mask.sum())) for n, mask in enumerate(masks)]
        meta = {**Store.open(tiny.store_folder).meta, "kind": "synthetic", "patients": []}
        write_store(folder.path / "store", ct, masks, rows, meta)
        files = [path for path in folder.path.rglob("store/*") if path.is_file()]
        folder.finish(files, {}, {}, {"seconds": 0.0}, {})
        return spec

    def audit(
        self, seed: int, masks: NDArray[np.uint8], ct: NDArray[np.float32], judge: bool = True
    ) -> Audited:
        tiny, by = self.tiny, self.judge if judge else None
        synthesis = self.synthesis(seed, masks, ct)
        for part in tiny.specs.audit_parts(tiny.store, by).values():
            tiny.must(part)
        spec = tiny.specs.audit(tiny.store, synthesis, self.image.done(1), by, seed)
        folder = tiny.must(spec)
        result = folder.result()
        assert result is not None
        return folder, result["values"]

    def training_pairs(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        store = Store.open(self.tiny.store_folder)
        rows = store.select(role="train", with_structure=True)[:PAIRS]
        return np.asarray(store.masks[rows]), np.asarray(store.ct[rows])


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("audit"))


def test_copies_of_training_pairs_are_called_memorised(case: Case) -> None:
    folder, values = case.audit(1, *case.training_pairs())
    for shows in ("mask", "ct"):
        found = values[shows]["memorisation"]
        assert found["verdict"] == "memorised"
        assert found["copy_rate"]["value"] == 1.0
        assert found["authenticity"]["value"] == 0.0
        assert all(pair["distance"] == 0 for pair in found["closest"])
        assert (folder.samples / f"closest-{shows}-000000.png").exists()
    assert values["n"] == PAIRS


@pytest.fixture(scope="module")
def fresh(case: Case) -> Audited:
    """The audit of pairs that nobody trained on."""
    masks = ellipses(PAIRS, 128, 77)
    return case.audit(2, masks, ct_of(masks, 5))


def test_fresh_pairs_are_nobodys_copies_and_as_varied_as_real_ones(
    fresh: Audited,
) -> None:
    _, values = fresh
    for shows in ("mask", "ct"):
        assert values[shows]["memorisation"]["verdict"] != "memorised"
        assert values[shows]["collapse"]["word"] == "healthy"
    assert values["masks"]["implausible"]["value"] <= 0.1


def test_one_pair_again_and_again_is_a_mode_collapse(case: Case) -> None:
    masks = np.repeat(ellipses(1, 128, 77), PAIRS, axis=0)
    _, values = case.audit(3, masks, ct_of(masks, 5))
    assert values["mask"]["collapse"]["word"] == "mode collapse"
    assert values["ct"]["collapse"]["word"] == "mode collapse"


def test_every_extractor_has_its_block_with_a_floor_beside_every_score(
    case: Case, fresh: Audited
) -> None:
    folder, values = fresh
    names = [block["extractor"]["name"] for block in values["ct"]["scores"]]
    assert names == ["efficientnet-lite0", "segmenter"]
    assert [b["extractor"]["name"] for b in values["mask"]["scores"]] == names[:1]
    weights = case.tiny.work.job(case.judge).at(case.judge.epoch) / "weights.safetensors"
    assert values["ct"]["scores"][1]["extractor"]["weights"] == sha256_file(weights)
    for block in values["ct"]["scores"]:
        assert block["extractor"]["preprocessing"]
        assert set(block["scores"]) == set(block["real_baselines"])
        assert block["scores"]["kid"]["n"] == values["validation"]
        low, high = block["scores"]["kid_by_patient"]["interval"]
        assert low < block["scores"]["kid_by_patient"]["value"] < high
    steps, logged = series(folder.journal, "quality/ct_kid_efficientnet-lite0")
    assert (steps, logged) == ([0], [values["ct"]["scores"][0]["scores"]["kid"]["value"]])


def test_labels_of_other_pairs_are_found_out(case: Case, fresh: Audited) -> None:
    _, fitting = fresh
    masks = ellipses(PAIRS, 128, 77)
    _, shuffled = case.audit(6, masks, np.roll(ct_of(masks, 5), 1, axis=0))
    assert fitting["labels"]["synthetic"]["value"] > 0.7
    assert fitting["labels"]["real"]["value"] > 0.7
    assert fitting["labels"]["sentence"].startswith("The labels fit: ")
    assert shuffled["labels"]["sentence"].startswith("The labels do not fit: ")
    assert shuffled["labels"]["synthetic"]["interval"][1] < fitting["labels"]["real"]["interval"][0]


def test_without_a_judge_the_segmenter_and_the_labels_are_left_out(case: Case) -> None:
    masks = ellipses(PAIRS, 128, 80)
    _, values = case.audit(7, masks, ct_of(masks, 8), judge=False)
    assert [b["extractor"]["name"] for b in values["ct"]["scores"]] == ["efficientnet-lite0"]
    assert values["labels"] == {
        "note": "no arm trains on real pairs alone, so no segmenter can judge labels"
    }


def test_a_generator_that_broke_is_no_collapse_of_the_audit(case: Case) -> None:
    masks = ellipses(PAIRS, 128, 81)
    _, values = case.audit(8, masks, np.full(masks.shape, np.nan, np.float32))
    assert "ct" not in values
    assert values["labels"]["synthetic"]["value"] is not None


def test_two_replicates_share_floors_and_varieties(case: Case) -> None:
    specs, store = case.tiny.specs, case.tiny.store
    parts = specs.audit_parts(store, case.judge)
    assert set(parts) == {
        "diversity-mask",
        "diversity-ct",
        "baseline-mask-0",
        "baseline-ct-0",
        "baseline-ct-1",
    }
    image: Input = case.image.done(1)
    made = [case.synthesis(seed, *case.training_pairs()) for seed in (20, 21)]
    one, other = (
        specs.audit(store, synthesis, image, case.judge, seed)
        for seed, synthesis in zip((20, 21), made, strict=True)
    )
    shared = {name for name in one.inputs if one.inputs[name] == other.inputs[name]}
    assert shared == {"store", "image", "judge", *parts}
