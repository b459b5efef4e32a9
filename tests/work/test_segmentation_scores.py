"""Scores of a segmenter on test patients, counted on the source's own grid."""

from __future__ import annotations

import base64
import csv
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from factories.tiny import Tiny, digest_for, tiny_experiment, tiny_scan
from PIL import Image
from scipy import ndimage

from harness.base.files import read_json
from harness.data.pairs.placement import Placement
from harness.data.pairs.store import LoadedScan, write_scan
from harness.jobs.checkpoint import load_weights
from harness.jobs.folder import JobFolder
from harness.jobs.spec import Input, Spec
from harness.metrics.images.mask_shape import largest
from harness.metrics.segmentation.structure_scores import MEASURES
from harness.models.unet import make_unet
from harness.work.evaluate.segmentation_scores import spacing_mm
from harness.work.evaluate.slice_pictures import EDGE_PX


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
    truth = scan.masks["structure"]
    dice = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
    assert float(found["structure"]["dice"]) == pytest.approx(dice, abs=1e-6)
    assert int(found["structure"]["voxels"]) == truth.sum()
    assert int(found["structure"]["predicted"]) == mask.sum()
    assert found["mean"]["dice"] == found["structure"]["dice"]
    assert found["mean"]["patient_digest"] == digest_for("p5")
    with torch.no_grad():
        p = network(torch.from_numpy(window)[:, None])[:, 0].sigmoid().double().ravel().numpy()
    bins, inside = np.digitize(p, np.arange(1, 15) / 15), truth.ravel()
    parts = [(p[bins == n], inside[bins == n]) for n in set(bins.tolist())]
    error = sum(len(one) * abs(one.mean() - two.mean()) for one, two in parts) / len(p)
    assert float(found["structure"]["ece"]) == pytest.approx(error, abs=1e-6)
    assert float(found["mean"]["brier"]) == pytest.approx(((p - inside) ** 2).mean(), abs=1e-6)


def test_gland_outside_frame_and_slice_range_counts_as_missed(tmp_path: Path) -> None:
    """A structure of 4 slices; frames of 2 of them; the network is made to fill every frame."""
    tiny = Tiny(tmp_path)
    segmenter = trained(tiny)
    fill_every_frame(tiny, segmenter)
    # 80 x 80 voxels of 1 mm: a frame of 64 about the centre leaves a margin of 8.
    truth = np.zeros((6, 80, 80), bool)
    truth[1:5, 4:40, 10:70] = True
    placed = Placement((39.5, 39.5), (2, 3))
    scan = LoadedScan(
        np.zeros(truth.shape, np.int16),
        {"structure": truth},
        np.diag([3.0, 1.0, 1.0, 1.0]),
        {"structure": placed},
    )
    write_scan(tiny.store_folder / "scans" / digest_for("p5"), scan)
    tiny.record()
    opened = opening(tiny, segmenter)
    tiny.must(opened)
    found = table(tiny, tiny.specs.test_score(tiny.store, segmenter, opened))["structure"]
    predicted = 2 * 64 * 64
    hit = 2 * (40 - 8) * 60
    assert int(found["predicted"]) == predicted
    assert int(found["voxels"]) == 4 * 36 * 60
    assert float(found["dice"]) == pytest.approx(2 * hit / (predicted + 4 * 36 * 60))
    assert float(found["predicted_ml"]) == pytest.approx(predicted * 3 / 1000)
    assert float(found["volume_error"]) == pytest.approx(predicted / (4 * 36 * 60) - 1)
    # The surfaces of the missed slices 1 and 4 lie a slice, 3 mm, from those that were found.
    assert float(found["hd95_mm"]) >= 3.0


# 64 x 64 pixels of 1 mm in the middle of a plane of 80 x 80: what a filled frame predicts.
MIDDLE = slice(8, 72)
OBLONG = np.diag([3.0, 1.0, 1.0, 1.0])


def two_sides(tiny: Tiny, affine: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Give the test patient two structures of six slices; frames run over the middle four."""
    edge = np.linalg.norm(affine[:3, 1:3], axis=0)
    centre = tuple(float(v) for v in (np.array(left.shape[1:]) - 1) / 2)
    assert np.allclose(edge, 1.0)
    placed = Placement((centre[0], centre[1]), (1, 4))
    scan = LoadedScan(
        np.zeros(left.shape, np.int16),
        {"structure_left": left, "structure_right": right},
        affine,
        {"structure_left": placed, "structure_right": placed},
    )
    write_scan(tiny.store_folder / "scans" / digest_for("p5"), scan)
    tiny.record()


def scored(tmp_path: Path, affine: np.ndarray, left: np.ndarray, right: np.ndarray) -> JobFolder:
    """The scores of a network that fills every frame."""
    data = tiny_experiment().data.model_copy(update={"mirror": True})
    tiny = Tiny(tmp_path, tiny_experiment().model_copy(update={"data": data}))
    segmenter = trained(tiny)
    fill_every_frame(tiny, segmenter)
    two_sides(tiny, affine, left, right)
    opened = opening(tiny, segmenter)
    tiny.must(opened)
    return tiny.must(tiny.specs.test_score(tiny.store, segmenter, opened))


def frame_block(first: int, last: int) -> np.ndarray:
    """A structure that fills the frame in slices first to last, both included."""
    mask = np.zeros((6, 80, 80), bool)
    mask[first : last + 1, MIDDLE, MIDDLE] = True
    return mask


def rows_of(job: JobFolder) -> dict[str, dict[str, str]]:
    text = (job.path / "scores.csv").read_text()
    return {row["structure"]: row for row in csv.DictReader(text.splitlines())}


def test_a_patients_value_is_the_mean_of_the_sides_in_every_measure(tmp_path: Path) -> None:
    # The left structure is what is predicted; the right one has a slice more at the upper end.
    job = scored(tmp_path, OBLONG, frame_block(1, 4), frame_block(1, 5))
    found = rows_of(job)
    assert list(found) == ["structure_left", "structure_right", "mean"]
    left, right, mean = ({name: float(row[name]) for name in MEASURES} for row in found.values())
    assert (left["dice"], left["hd95_mm"], left["volume_error"]) == (1.0, 0.0, 0.0)
    assert right["dice"] == pytest.approx(2 * 4 / 9)
    assert right["hd95_mm"] == pytest.approx(3.0)
    assert right["surface_dice"] == 1.0
    assert right["volume_ml"] == pytest.approx(5 * 64 * 64 * 3 / 1000)
    assert right["volume_error_ml"] == pytest.approx(64 * 64 * 3 / 1000)
    assert right["volume_error"] == pytest.approx(-0.2)
    for name in MEASURES:
        assert mean[name] == pytest.approx((left[name] + right[name]) / 2), name
    assert {row["tolerance_mm"] for row in found.values()} == {"3.0"}


def test_the_jobs_values_are_the_patients_means_by_digest(tmp_path: Path) -> None:
    job = scored(tmp_path, OBLONG, frame_block(1, 4), frame_block(1, 5))
    mean = rows_of(job)["mean"]
    result = job.result()
    assert result is not None
    measures = result["values"]["measures"]
    assert tuple(measures) == MEASURES
    for name in MEASURES:
        assert measures[name] == {digest_for("p5"): float(mean[name])}


def test_a_patients_calibration_is_the_mean_of_the_sides_within_the_frames(tmp_path: Path) -> None:
    """Every pixel says sigmoid(5): the left frames are full, of the right ones a quarter is."""
    found = rows_of(scored(tmp_path, OBLONG, frame_block(1, 4), frame_block(4, 5)))
    p = 1 / (1 + np.exp(-5.0))
    for structure, share in (("structure_left", 1.0), ("structure_right", 0.25)):
        assert float(found[structure]["ece"]) == pytest.approx(abs(p - share), abs=1e-6)
        brier = share * (1 - p) ** 2 + (1 - share) * p**2
        assert float(found[structure]["brier"]) == pytest.approx(brier, abs=1e-6)
    sides = [float(found[f"structure_{side}"]["ece"]) for side in ("left", "right")]
    assert float(found["mean"]["ece"]) == pytest.approx(sum(sides) / 2)


def test_validation_patients_have_neither_calibration_nor_pictures(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    segmenter = trained(tiny)
    for n, role in enumerate(tiny.roles):
        if role == "validation":
            write_scan(tiny.store_folder / "scans" / digest_for(f"p{n}"), tiny_scan(64))
            tiny.record()
    job = tiny.must(tiny.specs.validation_score(tiny.store, segmenter))
    assert "ece" not in rows_of(job)["mean"]
    assert not (job.path / "slices.json").exists()


def test_the_slice_with_most_of_the_structure_is_kept_with_its_outlines(tmp_path: Path) -> None:
    """A frame of 64 x 64 mm is predicted, two pieces are contoured; a pixel is a third of a mm."""
    left, right = frame_block(1, 2), np.zeros((6, 80, 80), bool)
    left[2, 30:] = False  # slice 1 has more of it
    right[1, 72:76, 4:8] = True
    kept = read_json(scored(tmp_path, OBLONG, left, right).path / "slices.json")["p5"]
    assert kept["slice"] == 1
    width, height = kept["size"]
    assert max(width, height) == EDGE_PX
    # The contours reach from row 8 to 76 and column 4 to 72: with the margin the whole slice.
    per_px = 80 / EDGE_PX
    areas = {name: area(kept[name]) * per_px**2 for name in ("truth", "predicted")}
    assert areas["truth"] == pytest.approx(64 * 64 + 16, rel=0.01)
    assert areas["predicted"] == pytest.approx(64 * 64, rel=0.01)
    content = base64.b64decode(kept["ct"].partition("base64,")[2])
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == (width, height)
        # 0 HU in the window -324 to 176.
        assert np.asarray(picture.convert("L")).mean() == pytest.approx(324 / 500 * 255, abs=1)


def area(path: str) -> float:
    """Of the polygons of an SVG path, by the shoelace formula."""
    total = 0.0
    for part in path.split("Z")[:-1]:
        points = np.array([[float(v) for v in p.split()] for p in part.lstrip("M").split("L")])
        x, y = points.T
        total += abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    return total


def test_spacing_is_that_of_the_arrays_axes(tmp_path: Path) -> None:
    """Slices of 5 mm along an oblique axis: a slice missed is 5 mm, whatever the patient's axes."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0.0, 0.6, 0.8], [0.0, 0.8, -0.6], [5.0, 0.0, 0.0]])
    assert spacing_mm(affine) == pytest.approx((5.0, 1.0, 1.0))
    found = rows_of(scored(tmp_path, affine, frame_block(1, 4), frame_block(1, 5)))[
        "structure_right"
    ]
    assert float(found["hd95_mm"]) == pytest.approx(5.0)
    assert float(found["tolerance_mm"]) == pytest.approx(5.0)
    assert float(found["volume_ml"]) == pytest.approx(5 * 64 * 64 * 5 / 1000)


def test_a_prediction_where_there_is_no_gland_is_scored(tmp_path: Path) -> None:
    found = rows_of(scored(tmp_path, OBLONG, frame_block(1, 4), frame_block(1, 0)))
    assert found["structure_right"]["dice"] == "0.0"
    assert found["structure_right"]["volume_error"] == ""
    assert found["structure_right"]["note"] == "predicted where the structure is absent"
    assert found["mean"]["dice"] == "0.5"
    assert found["mean"]["volume_error"] == "0.0"
    assert found["mean"]["note"] == "structure_right: predicted where the structure is absent"


@pytest.mark.parametrize("margin", [8, 40])
def test_an_empty_prediction_is_the_diagonal_of_its_frame_away(tmp_path: Path, margin: int) -> None:
    """Frames of 64 x 64 mm over four slices of 3 mm, whatever lies around them in the scan."""
    tiny = Tiny(tmp_path)
    segmenter = trained(tiny)
    fill_every_frame(tiny, segmenter, bias=-5.0)
    edge = 64 + 2 * margin
    truth = np.zeros((6, edge, edge), bool)
    truth[2:4, edge // 2 - 5 : edge // 2 + 5, edge // 2 - 5 : edge // 2 + 5] = True
    middle = (edge - 1) / 2
    scan = LoadedScan(
        np.zeros(truth.shape, np.int16),
        {"structure": truth},
        OBLONG,
        {"structure": Placement((middle, middle), (1, 4))},
    )
    write_scan(tiny.store_folder / "scans" / digest_for("p5"), scan)
    tiny.record()
    opened = opening(tiny, segmenter)
    tiny.must(opened)
    found = table(tiny, tiny.specs.test_score(tiny.store, segmenter, opened))["structure"]
    assert (found["predicted"], found["dice"], found["surface_dice"]) == ("0", "0.0", "0.0")
    assert found["note"] == "nothing was predicted"
    for name in ("hd95_mm", "surface_distance_mm"):
        assert float(found[name]) == pytest.approx((12**2 + 64**2 + 64**2) ** 0.5)


def fill_every_frame(tiny: Tiny, segmenter: Input, bias: float = 5.0) -> None:
    """Give a checkpoint weights whose output is structure everywhere, or nowhere; its result then
    stands for them."""
    from harness.jobs.checkpoint import save_weights

    job = tiny.work.job(segmenter)
    path = job.at(3) / "weights.safetensors"
    weights = {name: torch.zeros_like(value) for name, value in load_weights(path).items()}
    weights["head.bias"] += bias
    save_weights(path, weights)
    result = job.result(3)
    assert result is not None
    job.finish([path], result["values"], result["inputs"], {}, {}, 3, result["journal"])


def test_the_largest_piece_is_kept() -> None:
    mask = np.zeros((4, 12, 12), bool)
    mask[1:3, 1:4, 1:4] = True  # 18 voxels
    mask[0:2, 6:11, 6:11] = True  # 50 voxels
    mask[3, 11, 0] = True
    kept = largest(mask)[0]
    assert kept.sum() == 50
    assert kept[0, 8, 8]
    assert not largest(np.zeros((2, 3, 3), bool))[0].any()
    # Corners do not connect.
    touching = np.zeros((2, 2, 2), bool)
    touching[0, 0, 0] = touching[1, 1, 1] = True
    assert largest(touching)[0].sum() == 1
