"""Scores of both stages on validation patients, redone by hand from the checkpoint weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.tiny import COMPUTE, Tiny, tiny_experiment
from skimage.metrics import structural_similarity
from sklearn.metrics.pairwise import polynomial_kernel

from harness.base.rng import torch_generator
from harness.config.experiment import Experiment
from harness.data.pairs.store import Store
from harness.jobs.checkpoint import load_weights
from harness.jobs.folder import JobFolder
from harness.jobs.journal import series
from harness.jobs.spec import Spec
from harness.metrics.extractors.registry import identify, make_extractor
from harness.metrics.fidelity.kid_fid import fid
from harness.models.dcgan import Generator
from harness.models.pix2pix import UnetGenerator
from harness.training.precision import Precision
from harness.work.specs import Specs


@pytest.fixture(scope="module")
def lite0() -> dict[str, str]:
    found = identify("efficientnet-lite0")
    return {"name": found.name, "weights": found.weights_digest}


def work_folder(root: Path, lite0: dict[str, str], experiment: Experiment, **more: Any) -> Tiny:
    tiny = Tiny(root, experiment, **more)
    tiny.specs = Specs(experiment, COMPUTE, lite0)
    return tiny


def wide(**changed: Any) -> Experiment:
    return tiny_experiment(data={"crop": {"frame_px": 128}, "structures": ["structure"]}, **changed)


def scored(tiny: Tiny, training: Spec, epoch: int) -> dict[str, Any]:
    tiny.must(training, epoch)
    folder = tiny.must(tiny.score_of(training, epoch))
    result = folder.result()
    assert result is not None
    check_journal(folder, epoch, result["values"])
    return dict(result["values"])


def check_journal(folder: JobFolder, epoch: int, values: dict[str, Any]) -> None:
    """The journal holds the result's numbers, at the checkpoint's epoch."""
    numbers = {name: value for name, value in values.items() if name.startswith("quality/")}
    for name, value in numbers.items():
        steps, found = series(folder.journal, name)
        assert steps == [epoch]
        assert found == [value] or (value is None and math.isnan(found[0]))


def distances(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """KID with scikit-learn's kernel, and FID, of images in [0, 1]."""
    extractor = make_extractor("efficientnet-lite0")
    a, b = (extractor(side.astype(np.float32)).astype(np.float64) for side in (real, fake))
    n = len(a)
    within = [polynomial_kernel(side, degree=3, coef0=1) for side in (a, b)]
    kid = sum((k.sum() - np.trace(k)) / (n * (n - 1)) for k in within)
    return kid - 2 * polynomial_kernel(a, b, degree=3, coef0=1).mean(), fid(a, b).value


def structure_rows(tiny: Tiny, role: str = "validation") -> np.ndarray:
    store = Store.open(tiny.store_folder)
    return np.array(
        [n for n, row in enumerate(store.rows) if row.role == role and row.structure_px]
    )


def test_a_mask_score_is_that_of_its_weights_against_validation_masks(
    tmp_path: Path, lite0: dict[str, str]
) -> None:
    tiny = work_folder(tmp_path, lite0, tiny_experiment(synthesis={"threshold": -0.02}))
    training = tiny.mask()
    values = scored(tiny, training, 3)
    generator = Generator(width=4, latent=8, channels=1)
    folder = tiny.work.job(training)
    generator.load_state_dict(load_weights(folder.at(3) / "weights.safetensors"))
    rows = structure_rows(tiny)
    assert values["n"] == len(rows) == 6
    noise = torch.randn((6, 8, 1, 1), generator=torch_generator(training.seed, "score-noise"))
    with torch.no_grad():
        fake = generator.eval()(noise).numpy() > -0.02
    store = Store.open(tiny.store_folder)
    real = np.asarray(store.masks[rows]) > 0
    kid, frechet = distances(real, fake)
    assert values["quality/kid"] == pytest.approx(kid, rel=1e-4)
    assert values["quality/fid"] == pytest.approx(frechet, rel=1e-5)
    assert values["quality/area_ratio"] == pytest.approx(fake.sum() / real.sum())
    assert values["quality/empty_share"] == pytest.approx((fake.sum((1, 2, 3)) == 0).mean())
    diversity = [1 - similarity(real[i, 0], real[j, 0]) for i in range(6) for j in range(i + 1, 6)]
    assert values["quality/diversity_real"] == pytest.approx(np.mean(diversity))


def similarity(one: np.ndarray, two: np.ndarray) -> float:
    return float(
        structural_similarity(
            one.astype(float),
            two.astype(float),
            data_range=1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def test_an_image_score_is_that_of_its_weights_on_validation_masks(
    tmp_path: Path, lite0: dict[str, str]
) -> None:
    tiny = work_folder(tmp_path, lite0, wide())
    training = tiny.image()
    values = scored(tiny, training, 1)
    generator = UnetGenerator(width=4)
    folder = tiny.work.job(training)
    generator.load_state_dict(load_weights(folder.at(1) / "weights.safetensors"))
    store, rows = Store.open(tiny.store_folder), structure_rows(tiny)
    masks = np.asarray(store.masks[rows]).astype(np.float32) * 2 - 1
    Precision.of(COMPUTE)
    with torch.no_grad():
        made = generator.eval()(torch.from_numpy(masks)).numpy()
    real, fake = (np.asarray(side) / 2 + 0.5 for side in (store.ct[rows], made))
    kid, frechet = distances(real, fake)
    assert values["quality/kid"] == pytest.approx(kid, rel=1e-4)
    assert values["quality/fid"] == pytest.approx(frechet, rel=1e-5)
    # The window is 500 HU wide.
    assert values["quality/mae_hu"] == pytest.approx(np.abs(real - fake).mean() * 500, rel=1e-5)
    ssim = [similarity(a[0], b[0]) for a, b in zip(real, fake, strict=True)]
    assert values["quality/ssim"] == pytest.approx(np.mean(ssim), rel=1e-5)


def _tensor(array: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(array)


def test_scores_take_at_most_so_many_images_and_the_same_for_every_seed(
    tmp_path: Path, lite0: dict[str, str]
) -> None:
    experiment = tiny_experiment(metrics={"images": 4})
    tiny = work_folder(tmp_path, lite0, experiment)
    real = []
    for seed in (0, 1):
        values = scored(tiny, tiny.mask(seed), 1)
        assert values["n"] == 4
        real.append(values["quality/diversity_real"])
    assert len(list((tmp_path / "features").iterdir())) == 1, "one reference set"
    assert real[0] == real[1]


def test_ct_crops_and_masks_have_references_of_their_own(
    tmp_path: Path, lite0: dict[str, str]
) -> None:
    """Both kinds of mask stage in one work folder score as each would alone."""
    ct = tiny_experiment(mask={"learns": "ct"})
    alone = work_folder(tmp_path / "alone", lite0, ct)
    expected = scored(alone, alone.mask(), 1)
    both = work_folder(tmp_path / "both", lite0, tiny_experiment())
    masks = scored(both, both.mask(), 1)
    found = scored(both, both.specs.stage(both.store, ct.mask, 0), 1)
    assert found["quality/kid"] == expected["quality/kid"] != masks["quality/kid"]
    assert found["quality/fid"] == expected["quality/fid"]


def test_a_store_made_anew_is_not_scored_with_the_old_ones_features(
    tmp_path: Path, lite0: dict[str, str]
) -> None:
    tiny = work_folder(tmp_path / "a", lite0, tiny_experiment())
    before = scored(tiny, tiny.mask(), 1)
    tiny.prepare(seed=5)
    after = scored(tiny, tiny.mask(), 1)
    fresh = work_folder(tmp_path / "b", lite0, tiny_experiment())
    fresh.prepare(seed=5)
    assert after["quality/kid"] == scored(fresh, fresh.mask(), 1)["quality/kid"]
    assert after["quality/kid"] != before["quality/kid"]


def test_training_pictures_are_no_reference(tmp_path: Path, lite0: dict[str, str]) -> None:
    """More training patients change what is learnt, not what it is compared with."""
    few = work_folder(tmp_path / "few", lite0, tiny_experiment())
    values = scored(few, few.mask(), 1)
    many = work_folder(
        tmp_path / "many", lite0, tiny_experiment(), roles=["validation", "validation", "train"]
    )
    assert scored(many, many.mask(), 1)["n"] == values["n"] == 6


def test_too_few_validation_pairs_are_said(tmp_path: Path, lite0: dict[str, str]) -> None:
    tiny = work_folder(tmp_path, lite0, tiny_experiment(), roles=["train", "train", "test"])
    training = tiny.mask()
    tiny.must(training, 1)
    outcome = tiny.run(tiny.score_of(training, 1))
    assert outcome.exit_code == 2
    assert outcome.reason == (
        "scores need at least 2 validation pairs that hold the structure, but got 0; give the "
        "validation "
        "role more patients"
    )


def test_an_extractor_with_other_weights_than_planned_is_refused(
    tmp_path: Path, lite0: dict[str, str]
) -> None:
    other = {**lite0, "weights": "0" * 64}
    tiny = work_folder(tmp_path, other, tiny_experiment())
    training = tiny.mask()
    tiny.must(training, 1)
    outcome = tiny.run(tiny.score_of(training, 1))
    assert outcome.state == "failed"
    assert "must have the weights that the plan named" in outcome.reason


@pytest.mark.parametrize("kind", ["mask", "ct", "image"])
def test_a_training_that_broke_has_no_score_and_fails_nobody(
    kind: str, tmp_path: Path, lite0: dict[str, str]
) -> None:
    hot = {"optimiser": {"learning_rate": 1e30}}
    experiment = wide(mask={"learns": "ct" if kind == "ct" else "mask", **hot}, image=hot)
    tiny = work_folder(tmp_path, lite0, experiment)
    training = tiny.image() if kind == "image" else tiny.mask()
    values = scored(tiny, training, 3)
    assert values["converged"] is False
    assert values["quality/kid"] is None
    checkpoint = tiny.work.job(training).result(3)
    assert checkpoint is not None
    assert checkpoint["values"]["failure"]["reason"] == "a loss is not finite"
