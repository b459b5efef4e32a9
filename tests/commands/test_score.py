"""`harness score` on files: numbers against other implementations, verdicts, mistakes."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import prdc as reference_prdc
import pytest
import torch
from factories.cli import run_cli
from factories.extractor import small_net, write_script
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage import metrics as skimage_metrics

from harness.base.console import Console
from harness.base.errors import ConfigError, DataError, HarnessError
from harness.commands.score.command import score_sets
from harness.commands.score.request import ScoreRequest
from harness.commands.score.text import lines
from harness.metrics.extractors.guard import guard_torchvision
from harness.metrics.extractors.registry import ExtractorFiles, make_extractor

EDGE = 48
RULE = r"^(p\d+)_"


def blobs(patient: int, count: int) -> NDArray[np.uint8]:
    """Slices of one person: an ellipse of this person's shape and grey, slightly moved."""
    rng = np.random.default_rng([7, patient])
    centre, radii = rng.uniform(18, 30, 2), rng.uniform(5, 15, 2)
    level = rng.uniform(0.3, 0.9)
    rows, columns = np.mgrid[:EDGE, :EDGE]
    found = []
    for _ in range(count):
        y, x = centre + rng.normal(0, 1, 2)
        inside = ((rows - y) / radii[0]) ** 2 + ((columns - x) / radii[1]) ** 2 < 1
        picture = ndimage.gaussian_filter(0.1 + (level - 0.1) * inside, 1.0)
        found.append(np.clip(picture + rng.normal(0, 0.01, picture.shape), 0, 1))
    return np.rint(np.array(found) * 255).astype(np.uint8)


def save(folder: Path, patient: int, images: NDArray[np.uint8]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"p{patient}_{index}.png")


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """real: 16 patients; other: 80 more; heldout: 8 more; copies: of real; an extractor."""
    root = tmp_path_factory.mktemp("score")
    for name, patients, count in (("real", range(16), 5), ("heldout", range(40, 48), 5)):
        for patient in patients:
            save(root / name, patient, blobs(patient, count))
    for patient in range(100, 180):
        save(root / "other", patient, blobs(patient, 1))
    for patient in range(16):
        save(root / "copies", patient, blobs(patient, 5)[:4])
    write_script(root / "net.pt", small_net())
    return root


def answer(material: Path, real: str, synthetic: str, **options: Any) -> dict[str, Any]:
    request = ScoreRequest(
        material / real,
        material / synthetic,
        files=ExtractorFiles(torchscript=material / "net.pt"),
        **{"output": material / "out", **options},
    )
    return score_sets(request, Console(quiet=True), lambda line: None)


def features(material: Path, name: str) -> NDArray[np.float64]:
    paths = sorted((material / name).iterdir())
    images = np.stack([np.asarray(Image.open(path)) / np.float32(255) for path in paths])
    network = make_extractor("torchscript", ExtractorFiles(torchscript=material / "net.pt"))
    return network(images[:, None].astype(np.float32)).astype(np.float64)


def test_numbers_agree_with_other_implementations(material: Path) -> None:
    guard_torchvision()
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric

    found = answer(material, "real", "other", patients=RULE)
    (block,) = found["extractors"]
    assert (block["name"], block["real"], block["synthetic"]) == ("torchscript:net", 80, 80)
    assert len(block["weights"]) == 12
    scores = block["scores"]
    x, y = features(material, "real"), features(material, "other")
    for name, value in reference_prdc.compute_prdc(x, y, nearest_k=5).items():
        assert scores[name]["value"] == pytest.approx(value)
        low, high = scores[name]["interval"]
        assert low <= value <= high
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    kid = kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=80, verbose=False)
    assert scores["kid"]["value"] == pytest.approx(kid["kernel_inception_distance_mean"])
    statistics = [fid_features_to_statistics(side) for side in (a, b)]
    fid = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert scores["fid"]["value"] == pytest.approx(fid)
    low, high = scores["kid_by_patient"]["interval"]
    assert low < scores["kid_by_patient"]["value"] < high


def test_fid_is_at_equal_n(material: Path) -> None:
    scores = answer(material, "real", "copies", patients=RULE)["extractors"][0]["scores"]
    assert scores["fid"]["n"] == 64
    assert scores["fid"]["note"].startswith("64 of the 80 images of the larger side drawn")


def test_floor_and_score_are_compared_at_one_n(material: Path) -> None:
    scores = answer(material, "real", "other", patients=RULE)["extractors"][0]["scores"]
    for name, score in scores.items():
        baseline = score["baseline"]
        assert (baseline["n"], baseline["patients"]) == (40, 16)
        assert baseline["p05"] <= baseline["mean"] <= baseline["p95"]
        assert (score["at_baseline_n"] is None) == (name == "kid_by_patient")
    # Another draw of 40 images keeps KID about where it is, while FID grows as n falls.
    assert scores["fid"]["at_baseline_n"] > scores["fid"]["value"]


def test_without_patients_nothing_is_claimed_about_them(material: Path) -> None:
    said: list[str] = []
    files = ExtractorFiles(torchscript=material / "net.pt")
    request = ScoreRequest(
        material / "real", material / "other", files=files, output=material / "o"
    )
    found = score_sets(request, Console(quiet=True), said.append)
    assert said[0].startswith("patients: each real image counts as independent")
    by_patient = found["extractors"][0]["scores"]["kid_by_patient"]
    assert by_patient["value"] is None
    assert by_patient["note"].startswith("needs to know whose image is whose: type --patients")
    assert found["extractors"][0]["scores"]["kid"]["baseline"]["mean"] is None
    assert found["collapse"]["word"] == "undecided"
    text = "\n".join(lines(found))
    assert "KID by patient" in text
    assert "type --patients" in text


def test_copies_are_found_and_shown(material: Path) -> None:
    options = {"patients": RULE, "heldout": material / "heldout"}
    judged = answer(material, "real", "copies", **options)["memorisation"]
    assert judged["verdict"] == "memorised"
    assert judged["sentence"].startswith("Memorised: ")
    for pair in judged["closest_pairs"]:
        assert pair["synthetic"] == pair["training"]
        assert pair["share"] == pytest.approx(0, abs=1e-6)
    assert np.asarray(Image.open(judged["gallery"])).std() > 10
    honest = answer(material, "real", "other", **options)["memorisation"]
    assert honest["verdict"] != "memorised"


def test_one_repeated_image_is_a_collapse(material: Path, tmp_path: Path) -> None:
    save(tmp_path / "same", 1, np.repeat(blobs(3, 1), 40, axis=0))
    found = answer(material, "real", str(tmp_path / "same"), patients=RULE)
    assert found["collapse"]["word"] == "mode collapse"
    assert found["ssim_diversity"]["synthetic"]["value"] == pytest.approx(0, abs=1e-9)
    healthy = answer(material, "real", "other", patients=RULE)
    assert healthy["collapse"]["word"] == "healthy"
    real = healthy["ssim_diversity"]["real"]
    assert real["n"] == healthy["ssim_diversity"]["synthetic"]["n"] == 80


def test_pairs_by_name_in_the_files_units(material: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hu = rng.uniform(-100, 200, (4, EDGE, EDGE))
    blurred = ndimage.gaussian_filter(hu, (0, 1, 1))
    for name, stack, shift in (("a", hu, 0), ("b", blurred, 1)):
        (tmp_path / name).mkdir()
        for index, image in enumerate(stack[shift:]):
            np.save(tmp_path / name / f"{index + shift}.npy", image)
    found = answer(
        material,
        str(tmp_path / "a"),
        str(tmp_path / "b"),
        paired=True,
        window=(-160.0, 240.0),
    )["paired"]
    assert (found["pairs"], found["real_without_pair"]) == (3, 1)
    scores = {name: score["value"] for name, score in found["scores"].items()}
    assert scores["mae_in_window_units"] == pytest.approx(np.abs(hu - blurred)[1:].mean(), rel=1e-4)
    a, b = ((side[1:] + 160) / 400 for side in (hu, blurred))
    psnr = [
        skimage_metrics.peak_signal_noise_ratio(*pair, data_range=1)
        for pair in zip(a, b, strict=True)
    ]
    assert scores["psnr_db"] == pytest.approx(np.mean(psnr), rel=1e-4)
    assert scores["ms_ssim_4"] is None
    assert "99 px" in found["scores"]["ms_ssim_4"]["note"]


def test_two_images_a_side_are_scored_and_doubted(material: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / name, 1, blobs(5 if name == "a" else 6, 2))
    found = answer(material, str(tmp_path / "a"), str(tmp_path / "b"))
    assert found["notes"] == ["2 images on a side are too few for the scores to mean anything"]
    scores = found["extractors"][0]["scores"]
    assert scores["kid"]["value"] is not None
    assert scores["precision"]["note"] == "precision needs more than k = 5 real images, but got 2"
    assert "\n".join(lines(found))


def test_the_same_seed_gives_the_same_answer(material: Path) -> None:
    first, second, other = (
        answer(material, "real", "other", patients=RULE, most=50, seed=seed) for seed in (1, 1, 2)
    )
    assert first == second
    assert first["extractors"][0]["scores"]["kid"] != other["extractors"][0]["scores"]["kid"]


def test_the_files_hold_the_answer(material: Path, tmp_path: Path) -> None:
    found = answer(material, "real", "other", patients=RULE, output=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "score.json").read_text()) == json.loads(
        json.dumps(found)
    )
    table = list(csv.DictReader(io.StringIO((tmp_path / "out" / "scores.csv").read_text())))
    kid = table[0]
    assert (kid["extractor"], kid["score"]) == ("torchscript:net", "kid")
    scores = found["extractors"][0]["scores"]
    assert float(kid["value"]) == scores["kid"]["value"]
    assert float(kid["baseline_p95"]) == scores["kid"]["baseline"]["p95"]


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"window": (5.0, 1.0)}, "--window must be two numbers, the lower one first, but got 5 1; "),
    ({"output": Path("real/x")}, "--output must lie outside the folders of images, but got "),
    ({"output": Path("net.pt")}, "--output must be a folder, but got the file "),
    ({"extractors": ("nets",)}, "metrics.extractor must be one of: auto, "),
    (
        {"files": ExtractorFiles(), "extractors": ("torchscript",)},
        "extractor torchscript needs an existing file, but got nothing; name it with --torchscript",
    ),
    (
        {"files": ExtractorFiles(inception=Path("none.pth"))},
        "--inception-weights must be an existing file, but got 'none.pth'; download ",
    ),
    (
        {"heldout": Path("real")},
        "--heldout must hold images the generator never saw, but got the real folder ",
    ),
    (
        {"heldout": Path("copies"), "patients": RULE},
        "a held-out patient must have no real image that trained, but got 16 on both sides "
        "(e.g. 'p0'); split by patient",
    ),
    ({"paired": True}, "--paired needs a real image for every synthetic one, but got none named "),
]


@pytest.mark.parametrize(("options", "words"), MISTAKES)
def test_mistakes_in_whole_sentences(material: Path, options: dict[str, Any], words: str) -> None:
    folders = {
        key: material / value for key, value in options.items() if key in ("output", "heldout")
    }
    defaults = {"files": ExtractorFiles(torchscript=material / "net.pt"), "output": material / "o"}
    request = ScoreRequest(
        material / "real", material / "other", **{**defaults, **options, **folders}
    )
    with pytest.raises(HarnessError) as caught:
        score_sets(request, Console(quiet=True), lambda line: None)
    assert str(caught.value).startswith(words)
    assert caught.value.exit_code in (2, 3)


def test_as_typed(material: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(material)
    code, out, err = run_cli("score", "real", "other", "--torchscript", "net.pt")
    assert code == 0
    assert out.startswith("patients: each real image counts as independent")
    assert "coverage" in out
    assert "features, torchscript:net" in err
    assert (material / "harness-score" / "score.json").exists()
    words = ("real", "other", "--torchscript", "net.pt", "--patients", RULE, "--json")
    code, out, err = run_cli("score", *words, "--window", "-160", "240")
    assert code == 0
    assert json.loads(out)["real"]["patients"] == 16
    assert "PNG files are mapped to [0, 1] by their bit depth, not --window" in err
    code, out, err = run_cli("score", "real", "nowhere")
    assert code == 2
    assert out == ""
    assert err == (
        "error: the synthetic images must be in an existing folder, but got 'nowhere'; "
        "check the path\n"
    )


def test_a_held_out_image_that_trained_is_refused(material: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    shutil.copytree(material / "heldout", both)
    first = sorted((material / "real").iterdir())[0]
    shutil.copy(first, both / ("q99_" + first.name.split("_", 1)[1]))
    with pytest.raises(DataError, match="1 of them equal real ones pixel for pixel"):
        answer(material, "real", "other", heldout=both)


def test_copies_pixel_for_pixel_are_said(material: Path) -> None:
    notes = answer(material, "real", "copies")["notes"]
    assert any("synthetic images equal real ones pixel for pixel" in note for note in notes)


def test_sets_inside_each_other_are_refused(material: Path) -> None:
    with pytest.raises(ConfigError, match="must not lie in each other"):
        score_sets(
            ScoreRequest(material, material / "real"), Console(quiet=True), lambda text: None
        )


def test_an_output_that_cannot_be_made_is_said_before_scoring(material: Path) -> None:
    request = ScoreRequest(material / "real", material / "other", output=Path("/proc/x"))
    with pytest.raises(ConfigError, match="--output must be a folder that can be written"):
        score_sets(request, Console(quiet=True), lambda text: None)
