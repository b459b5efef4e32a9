"""Dice of a segmenter on test patients, counted on the source's own grid."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from tiny_material import Tiny, digest_for, tiny_scan

from harness.data.crop import Placement
from harness.data.store import LoadedScan, write_scan
from harness.models.unet import make_unet
from harness.records.spec import Input, Spec
from harness.records.state import load_weights
from harness.work.test_scoring import largest


def trained(tiny: Tiny, arm: str = "none") -> Input:
    spec = tiny.specs.segmenter(tiny.store, arm, None, 0)
    tiny.must(spec, 3)
    return spec.done(3)


def opening(tiny: Tiny, *segmenters: Input) -> Spec:
    named = {f"arm {n}": segmenter for n, segmenter in enumerate(segmenters)}
    return tiny.specs.opening(tiny.store, named, {"margin": 0.01})


def table(tiny: Tiny, spec: Spec) -> dict[str, dict[str, str]]:
    text = (tiny.must(spec).path / "scores.csv").read_text()
    return {row["structure"]: row for row in csv.DictReader(text.splitlines())}


def test_a_segmenter_that_the_opening_does_not_name_is_refused(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    named, other = trained(tiny, "none"), trained(tiny, "traditional")
    opened = opening(tiny, named)
    tiny.must(opened)
    outcome = tiny.run(tiny.specs.test_score(tiny.store, other, opened))
    assert (outcome.state, outcome.exit_code) == ("failed", 2)
    assert outcome.reason == (
        "test patients are scored only for segmenters that the opening names, but this one is not "
        "among them; run compare, which opens the test once after all training"
    )
    tiny.must(tiny.specs.test_score(tiny.store, named, opened))


def test_another_epoch_of_a_named_segmenter_is_another_segmenter(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    segmenter = tiny.specs.segmenter(tiny.store, "none", None, 0)
    tiny.must(segmenter, 2, 3)
    opened = opening(tiny, segmenter.done(3))
    tiny.must(opened)
    outcome = tiny.run(tiny.specs.test_score(tiny.store, segmenter.done(2), opened))
    assert "this one is not among them" in outcome.reason


def test_a_planned_opening_opens_nothing(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    segmenter = trained(tiny)
    opened = opening(tiny, segmenter)
    tiny.work.job(opened).open(opened)
    spec = tiny.specs.test_score(tiny.store, segmenter, opened)
    outcome = tiny.run(spec)
    assert (outcome.state, outcome.exit_code) == ("failed", 3)
    assert "input 'opening' of this test-score job must be finished" in outcome.reason
    assert not (tiny.work.job(spec).path / "scores.csv").exists()


def test_dice_is_that_of_the_thresholded_network_on_the_source_grid(tmp_path: Path) -> None:
    """A frame that is the scan's own grid: the prediction needs no resampling at all."""
    tiny = Tiny(tmp_path)
    segmenter = trained(tiny, "traditional")
    opened = opening(tiny, segmenter)
    tiny.must(opened)
    found = table(tiny, tiny.specs.test_score(tiny.store, segmenter, opened))
    scan, settings = tiny_scan(64), tiny.experiment.segmentation
    network = make_unet(settings.channels, settings.residual_units, 1, 1, 0).eval()
    folder = tiny.work.job(segmenter).at(3)
    network.load_state_dict(load_weights(folder / "weights.safetensors"))
    window = np.clip((scan.hu + 324.0) / 500 * 2 - 1, -1, 1).astype(np.float32)
    with torch.no_grad():
        mask = network(torch.from_numpy(window)[:, None])[:, 0].numpy() > 0
    pieces, count = ndimage.label(mask)
    if count > 1:
        mask = pieces == 1 + np.argmax(ndimage.sum(mask, pieces, range(1, count + 1)))
    truth = scan.masks["gland"]
    dice = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
    assert float(found["gland"]["dice"]) == pytest.approx(dice, abs=1e-6)
    assert int(found["gland"]["voxels"]) == truth.sum()
    assert int(found["gland"]["predicted"]) == mask.sum()
    assert found["mean"]["dice"] == found["gland"]["dice"]
    assert found["mean"]["patient_digest"] == digest_for("p5")


def test_gland_outside_frame_and_slice_range_counts_as_missed(tmp_path: Path) -> None:
    """A gland of 4 slices; frames of 2 of them; the network is made to fill every frame."""
    tiny = Tiny(tmp_path)
    segmenter = trained(tiny)
    fill_every_frame(tiny, segmenter)
    # 80 x 80 voxels of 1 mm: a frame of 64 about the centre leaves a margin of 8.
    truth = np.zeros((6, 80, 80), bool)
    truth[1:5, 4:40, 10:70] = True
    placed = Placement((39.5, 39.5), (2, 3))
    scan = LoadedScan(
        np.zeros(truth.shape, np.int16),
        {"gland": truth},
        np.diag([3.0, 1.0, 1.0, 1.0]),
        {"gland": placed},
    )
    write_scan(tiny.store_folder / "scans" / digest_for("p5"), scan)
    opened = opening(tiny, segmenter)
    tiny.must(opened)
    found = table(tiny, tiny.specs.test_score(tiny.store, segmenter, opened))["gland"]
    predicted = 2 * 64 * 64
    hit = 2 * (40 - 8) * 60
    assert int(found["predicted"]) == predicted
    assert int(found["voxels"]) == 4 * 36 * 60
    assert float(found["dice"]) == pytest.approx(2 * hit / (predicted + 4 * 36 * 60))


def fill_every_frame(tiny: Tiny, segmenter: Input) -> None:
    """Give a readout weights whose output is gland everywhere; its result then stands for them."""
    from harness.records.state import save_weights

    job = tiny.work.job(segmenter)
    path = job.at(3) / "weights.safetensors"
    weights = {name: torch.zeros_like(value) for name, value in load_weights(path).items()}
    last = [name for name in weights if name.endswith("bias")][-1]
    for name in weights:
        if name.endswith("bias"):
            weights[name] += 5.0 if name == last else 0.0
    save_weights(path, weights)
    result = job.result(3)
    assert result is not None
    job.finish([path], result["values"], result["inputs"], {}, {}, 3, result["journal"])


def test_the_largest_piece_is_kept() -> None:
    mask = np.zeros((4, 12, 12), bool)
    mask[1:3, 1:4, 1:4] = True  # 18 voxels
    mask[0:2, 6:11, 6:11] = True  # 50 voxels
    mask[3, 11, 0] = True
    kept = largest(mask)
    assert kept.sum() == 50
    assert kept[0, 8, 8]
    assert not largest(np.zeros((2, 3, 3), bool)).any()
    # Corners do not connect.
    touching = np.zeros((2, 2, 2), bool)
    touching[0, 0, 0] = touching[1, 1, 1] = True
    assert largest(touching).sum() == 1
