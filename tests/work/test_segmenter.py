"""The downstream U-Net of an arm: its stores, its update, its validation Dice."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from factories.arms import arm_config, numbered
from factories.tiny import COMPUTE, Tiny, digest_for, ellipses, tiny_experiment, weights_at
from monai.metrics import DiceHelper
from torch import Tensor

from harness.config.arms import DEFAULT as ARMS
from harness.config.arms import NAMED
from harness.data.pairs.store import PairRow, Store, write_store
from harness.jobs.journal import series
from harness.jobs.spec import Spec
from harness.training.precision import Precision
from harness.work.train.mixed_batches import SlotBatches
from harness.work.train.segmenter import validation_dice
from harness.work.train.unet import Unet


def begun(arm: str, channels: int, seed: int) -> Unet:
    network = Unet(arm_config(arm), channels, 64, Precision.of(COMPUTE))
    network.begin(seed)
    return network


def write_synthetic(tiny: Tiny, patients: list[str], kind: str = "synthetic") -> Spec:
    """A finished synthesis job whose store says that its GANs saw `patients`."""
    specs = tiny.specs
    spec = specs.synthesis(tiny.store, tiny.mask().done(4), tiny.image().done(3), 0)
    job, count = tiny.work.job(spec), 6
    masks = ellipses(count, tiny.experiment.data.crop.frame_px, 77)
    ct = np.where(masks > 0, 0.4, -0.6).astype(np.float32)
    rows = [PairRow.synthetic(n, int(mask.sum())) for n, mask in enumerate(masks)]
    lineage = {"patients": [digest_for(p) for p in patients]}
    meta = {**Store.open(tiny.store_folder).meta, "kind": kind, "lineage": lineage, "patients": []}
    write_store(job.path / "store", ct, masks, rows, meta)
    job.open(spec)
    job.finish(list((job.path / "store").iterdir()), {}, {"store": _content(tiny)}, {}, {})
    result = job.result()
    assert result is not None
    # Its GANs were never trained here; what counts is what the store says of them.
    return spec


def _content(tiny: Tiny) -> str:
    result = tiny.work.job(tiny.store).result()
    assert result is not None
    return str(result["content"])


def test_initial_weights_depend_on_the_seed_alone() -> None:
    def start(arm: str, seed: int) -> list[Tensor]:
        return list(begun(arm, 1, seed).networks["unet"].state_dict().values())

    first = start("none", 3)
    for arm in ARMS:
        assert all(torch.equal(a, b) for a, b in zip(first, start(arm, 3), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, start("none", 4), strict=True))


def test_none_and_traditional_differ_in_augmentation_only(tmp_path: Path) -> None:
    """Trained to the end: with augmentation of magnitude 0 they are one training."""

    def trained(magnitude: float, arm: str) -> str:
        experiment = tiny_experiment(
            segmentation={
                "channels": [4, 8],
                "batch_size": 4,
                "updates": 6,
                "updates_per_epoch": 3,
                "augmentation": {"magnitude": magnitude},
            }
        )
        tiny = Tiny(tmp_path / f"{magnitude}", experiment)
        return weights_at(tiny.must(tiny.specs.segmenter(tiny.store, arm, None, 0), 2), 2)

    assert trained(0, "none") == trained(0, "traditional")
    assert trained(0, "duplicate") != trained(0, "traditional")
    assert trained(1, "traditional") != trained(0, "traditional")
    assert trained(1, "none") == trained(0, "none")


# --- synthetic stores -----------------------------------------------------------------------------


def test_a_store_whose_gan_saw_training_patients_is_taken(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    synthetic = write_synthetic(tiny, ["p0", "p2"])
    spec = tiny.specs.segmenter(tiny.store, "gan", synthetic, 0)
    tiny.must(spec, 3)


@pytest.mark.parametrize("arm", [name for name, arm in NAMED.items() if arm.pairs.stages])
@pytest.mark.parametrize(
    ("patients", "others"), [(["p0", "p3"], 1), (["p0", "p3", "p5"], 2), (["stranger"], 1)]
)
def test_a_store_whose_gan_saw_anyone_else_is_refused(
    patients: list[str], others: int, arm: str, tmp_path: Path
) -> None:
    tiny = Tiny(tmp_path)
    synthetic = write_synthetic(tiny, patients)
    outcome = tiny.run(tiny.specs.segmenter(tiny.store, arm, synthetic, 0), 3)
    assert (outcome.state, outcome.exit_code) == ("failed", 2)
    assert outcome.reason == (
        "synthetic pairs must come from a GAN that saw training patients only, but "
        f"{others} of the patients it saw have another role; make the store again"
    )


@pytest.mark.parametrize(("patient", "known"), [("p0", 1), ("p5", 1), ("stranger", 0)])
def test_fresh_patients_are_none_of_the_experiment(
    patient: str, known: int, tmp_path: Path
) -> None:
    tiny = Tiny(tmp_path)
    fresh = write_synthetic(tiny, [patient], kind="fresh")
    outcome = tiny.run(tiny.specs.segmenter(tiny.store, "oracle", fresh, 0), 3)
    if not known:
        assert outcome.state == "done", outcome.reason
        return
    assert (outcome.state, outcome.exit_code) == ("failed", 2)
    assert outcome.reason == (
        "fresh patients must be none of the experiment's own, but 1 of them are; make the store "
        "again"
    )


def test_a_real_store_is_no_synthetic_one(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    synthetic = write_synthetic(tiny, ["p0"], kind="real")
    outcome = tiny.run(tiny.specs.segmenter(tiny.store, "gan", synthetic, 0), 3)
    assert outcome.state == "failed"
    assert "synthetic pairs must come from a GAN" in outcome.reason


# --- one update, its length and its rate ----------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2])
def test_the_loss_is_soft_dice_and_binary_cross_entropy_of_each_channel(channels: int) -> None:
    stage = begun("none", channels, 0)
    ct = torch.randn(3, 1, 32, 32)
    masks = torch.from_numpy(ellipses(3, 32, 0)).float().repeat(1, channels, 1, 1)
    if channels == 2:
        masks[:, 1] = 0  # background alone: a softmax over channels would not see it
    before = copy.deepcopy(stage.networks["unet"])
    logits = before(ct).detach().double().numpy()
    truth = masks.double().numpy()
    chance = 1 / (1 + np.exp(-logits))
    axes = (0, 2, 3)
    overlap = (2 * (chance * truth).sum(axes) + 1e-5) / ((chance + truth).sum(axes) + 1e-5)
    entropy = -(truth * np.log(chance) + (1 - truth) * np.log(1 - chance)).mean()
    loss = float(stage.step({"ct": ct, "masks": masks})["loss"].detach())
    assert loss == pytest.approx((1 - overlap).mean() + entropy, rel=1e-5)
    moved = zip(stage.networks["unet"].parameters(), before.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in moved)


def test_as_many_updates_as_the_config_says(tmp_path: Path) -> None:
    experiment = tiny_experiment(segmentation={"updates": 10, "updates_per_epoch": 4})
    tiny = Tiny(tmp_path, experiment)
    spec = tiny.specs.segmenter(tiny.store, "none", None, 0)
    assert tiny.specs.experiment.segmentation.epochs == 3
    folder = tiny.must(spec, 3)
    made = SlotBatches(numbered(9, 0), numbered(9, 0), spec.config, 0)
    assert [made.updates(epoch) for epoch in (1, 2, 3)] == [4, 4, 2]
    # A cosine from 1 to 0 over ten updates: the last ones of the epochs are numbers 3, 7 and 9.
    rates = [1e-3 * 0.5 * (1 + math.cos(math.pi * update / 10)) for update in (3, 7, 9)]
    assert series(folder.journal, "train/learning_rate")[1] == pytest.approx(rates)


# --- validation Dice ------------------------------------------------------------------------------


class Threshold:
    """Predicts structure in channel c where the CT is above 0.1 c."""

    reach = 0

    def __init__(self, channels: int) -> None:
        self.channels = channels

    def predict(self, ct: np.ndarray) -> np.ndarray:
        return np.concatenate([ct > 0.1 * c for c in range(self.channels)], 1).astype(np.float32)


def two_structures(folder: Path, seed: int) -> Store:
    """Two patients with a left and a right structure, a channel each, and two training pairs."""
    rng = np.random.default_rng(seed)
    who = [("v1", "gland_left"), ("v1", "gland_right"), ("v2", "gland_left"), ("t", "gland_left")]
    rows, masks = [], []
    for patient, structure in who:
        for _ in range(3):
            mask = np.zeros((2, 16, 16), np.uint8)
            channel = int(structure == "gland_right")
            mask[channel] = rng.random((16, 16)) > 0.6
            role = "train" if patient == "t" else "validation"
            rows.append(
                PairRow(
                    pair=len(rows),
                    patient=patient,
                    patient_digest=digest_for(patient),
                    role=role,
                    structure=structure,
                    side=structure[6:],
                    slice=0,
                    z_mm=0.0,
                    mirrored=False,
                    structure_px=int(mask.sum()),
                    selected=True,
                    crop="{}",
                )
            )
            masks.append(mask)
    ct = rng.uniform(-1, 1, (len(rows), 1, 16, 16)).astype(np.float32)
    meta = {"channels": ["gland_left", "gland_right"], "mirror": False, "kind": "real"}
    write_store(folder, ct, np.stack(masks), rows, meta)
    return Store.open(folder)


def test_validation_dice_is_the_mean_over_patients_and_structures(tmp_path: Path) -> None:
    store = two_structures(tmp_path, 0)
    value = validation_dice(Threshold(2), store)
    # MONAI's Dice of each patient's structure as one volume, in the structure's own channel.
    dice = []
    for rows, channel in (([0, 1, 2], 0), ([3, 4, 5], 1), ([6, 7, 8], 0)):
        made = torch.from_numpy(store.ct[rows] > 0.1 * channel).float().reshape(1, 1, -1)
        truth = torch.from_numpy(np.asarray(store.masks[rows])[:, channel]).float()
        score, _ = DiceHelper(include_background=True, threshold=True)(
            made, truth.reshape(1, 1, -1)
        )
        dice.append(float(score))
    assert value == pytest.approx(np.mean(dice), abs=1e-6)


def test_without_validation_patients_there_is_no_dice(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path, roles=["train", "train", "test"])
    store = Store.open(tiny.store_folder)
    assert math.isnan(validation_dice(Threshold(1), store))
    folder = tiny.must(tiny.specs.segmenter(tiny.store, "none", None, 0), 3)
    result = folder.result(3)
    assert result is not None
    assert result["values"]["validation_dice"] is None


def test_predictions_do_not_depend_on_their_company_and_change_no_mode() -> None:
    segmenter = begun("none", 1, 0)
    network = segmenter.networks["unet"].train()
    ct = np.random.default_rng(0).uniform(-1, 1, (70, 1, 16, 16)).astype(np.float32)
    together = segmenter.predict(ct)
    assert together.shape == (70, 1, 16, 16)
    np.testing.assert_allclose(together[50:51], segmenter.predict(ct[50:51]), atol=1e-6)
    assert (together > 0).all()
    assert (together < 1).all()
    assert network.training
