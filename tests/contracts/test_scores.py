"""What every score keeps; another package's joins by its entry point."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import linalg, ndimage, signal
from skimage.metrics import peak_signal_noise_ratio
from sklearn.metrics.pairwise import polynomial_kernel

from harness.base.errors import DataError
from harness.config.choices import SCORES
from harness.metrics.records import ImageSets, ScoreRecord, measure, score_name

N, EDGE, D = 12, 104, 6
COMPUTED = [name for name in SCORES.names() if SCORES.get(name).compute is not None]


def sets_of(needs: str, n: int = N) -> ImageSets:
    """Real and generated images, or discs where masks are needed, with features of few numbers."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:EDGE, :EDGE] - EDGE / 2
    sides = []
    for shift in (0.0, 4.0):
        radii = rng.uniform(15, 30, (n, 1, 1))
        disc = np.hypot(y - shift, x) < radii
        grey = ndimage.gaussian_filter(0.3 + 0.4 * disc + rng.normal(0, 0.2, disc.shape), 1)
        disc[-1:] &= bool(shift == 0)  # one generated mask is empty
        sides.append((disc if needs == "masks" else np.clip(grey, 0, 1)).astype(np.float32))
    raw = {"raw": sides[1]} if needs == "raw" else {}
    one, other = (rng.normal(*how, size=(n, D)).astype(np.float32) for how in ((0, 1), (0.5, 1.2)))
    return ImageSets(*sides, (one, other), 400.0, 1, **raw)


@pytest.fixture(params=COMPUTED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def value(record: ScoreRecord, sets: ImageSets) -> float:
    assert record.compute is not None
    return record.compute(sets).value


def permuted(sets: ImageSets, needs: str) -> ImageSets:
    """The same sets in another order; pairs stay pairs."""
    order = np.random.default_rng(5).permutation(len(sets.real))
    real = order if needs == "pairs" else order[::-1]
    features = sets.features[0][real], sets.features[1][order]
    raw = sets.raw[order] if needs == "raw" else sets.raw
    generated = sets.generated[order]
    return replace(sets, real=sets.real[real], generated=generated, features=features, raw=raw)


def test_a_value_lies_in_its_bounds_and_does_not_know_the_order(name: str) -> None:
    record = SCORES.get(name)
    sets = sets_of(record.needs)
    found = value(record, sets)
    low, high = record.bounds
    assert low <= found <= high
    assert value(record, permuted(sets, record.needs)) == pytest.approx(found, rel=1e-9, abs=1e-12)


def test_float32_and_float64_agree(name: str) -> None:
    record = SCORES.get(name)
    sets = sets_of(record.needs)
    doubled = replace(
        sets,
        real=sets.real.astype(np.float64),
        generated=sets.generated.astype(np.float64),
        raw=sets.raw.astype(np.float64),
        features=tuple(side.astype(np.float64) for side in sets.features),
    )
    assert value(record, doubled) == pytest.approx(value(record, sets), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_images_are_a_number_or_nan_with_a_reason(name: str, n: int) -> None:
    record = SCORES.get(name)
    whole = sets_of(record.needs)
    few = replace(
        whole,
        real=whole.real[:n],
        generated=whole.generated[:n],
        raw=whole.raw[:n],
        features=tuple(side[:n] for side in whole.features),
    )
    assert record.compute is not None
    found = record.compute(few)
    assert math.isfinite(found.value) or found.note


def test_what_is_not_a_number_gives_no_number(name: str) -> None:
    record = SCORES.get(name)
    if record.needs != "features":
        pytest.skip("a generator whose images are not numbers is never measured")
    sets = sets_of(record.needs)
    broken = sets.features[1].copy()
    broken[2, 1] = np.nan
    assert record.compute is not None
    found = record.compute(replace(sets, features=(sets.features[0], broken)))
    assert math.isnan(found.value)
    assert found.note


def test_it_is_measured_where_what_it_needs_is_offered(name: str) -> None:
    record = SCORES.get(name)
    key = f"quality/{name}"
    sets = sets_of(record.needs)
    assert measure(sets, record.needs)[key] == value(record, sets)
    assert math.isnan(measure(None, record.needs)[key])
    assert key not in measure(
        sets, *({"features", "pairs", "samples", "masks", "raw"} - {record.needs})
    )


def test_what_is_said_of_it_can_be_printed(name: str) -> None:
    record = SCORES.get(name)
    assert record.title
    assert record.better in ("low", "high", "")
    assert record.better or record.unit, "a reader must know what to make of it"
    assert score_name(f"quality/{name}").startswith(record.title)


# --- independent references of the built-in ones --------------------------------------------------


def by_kernel(sets: ImageSets) -> float:
    a, b = sets.features
    within = [polynomial_kernel(side, degree=3, coef0=1) for side in (a, b)]
    own = sum((k.sum() - np.trace(k)) / (N * (N - 1)) for k in within)
    return float(own - 2 * polynomial_kernel(a, b, degree=3, coef0=1).mean())


def by_root(sets: ImageSets) -> float:
    a, b = (side.astype(np.float64) for side in sets.features)
    roots = linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    gap = a.mean(0) - b.mean(0)
    return float(gap @ gap + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * roots))


def windowed(one: np.ndarray, other: np.ndarray) -> float:
    """SSIM by its formula (Wang et al. 2004), where the window lies wholly inside."""
    a, b = one.astype(np.float64), other.astype(np.float64)

    def mean(x: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(x, 1.5, radius=5)[5:-5, 5:-5]

    mu_a, mu_b = mean(a), mean(b)
    variances = mean(a * a) - mu_a**2 + mean(b * b) - mu_b**2
    covariance = mean(a * b) - mu_a * mu_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mu_a * mu_b + c1) * (2 * covariance + c2)
    return float((top / ((mu_a**2 + mu_b**2 + c1) * (variances + c2))).mean())


def over_pairs(sets: ImageSets, one: Callable[[np.ndarray, np.ndarray], float]) -> float:
    return float(np.mean([one(a, b) for a, b in zip(sets.real, sets.generated, strict=True)]))


def unlike(images: np.ndarray) -> float:
    pairs = [(i, j) for i in range(N) for j in range(i)]  # fewer than are drawn: all of them
    return float(np.mean([1 - windowed(images[i], images[j]) for i, j in pairs]))


def multiscale(sets: ImageSets) -> float:
    import torch
    from torchmetrics.image import MultiScaleStructuralSimilarityIndexMeasure

    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363])
    measure = MultiScaleStructuralSimilarityIndexMeasure(
        data_range=1.0, betas=tuple(weights / weights.sum()), normalize="relu"
    )
    sides = (torch.from_numpy(side[:, None]) for side in (sets.generated, sets.real))
    return float(measure(*sides))


def regions(sets: ImageSets) -> float:
    return float(np.mean([ndimage.label(mask, np.ones((3, 3)))[1] for mask in sets.generated]))


def power_of(images: np.ndarray, axis: int) -> np.ndarray:
    """Along an axis of each image, by scipy's periodogram under a periodic Hann window."""
    spectra = [
        signal.periodogram(image, window="hann", detrend="constant", axis=axis - 1)[1]
        for image in images.astype(np.float64)
    ]
    return np.asarray(np.mean(spectra, axis=0).mean(axis=2 - axis))


def checkered(sets: ImageSets) -> float:
    found = []
    for axis in (1, 2):
        level = 10 * np.log10(power_of(sets.raw, axis))
        level[-1] += 10 * np.log10(2)  # a one-sided density counts all but the last one twice
        for f in (EDGE // 2, EDGE // 4, EDGE // 8):
            near = [level[g] for g in range(1, len(level)) if g != f and abs(f - g) <= 6]
            found.append(level[f] - statistics.median(near))
    return float(max(found))


def highest(sets: ImageSets) -> float:
    """The highest peak along rows or columns."""
    found = []
    for axis in (1, 2):
        power = [power_of(side, axis) for side in (sets.generated, sets.real)]
        excess = 10 * np.log10(power[0] / power[1])
        for f in range(4, len(excess)):
            near = [excess[g] for g in range(1, len(excess)) if abs(f - g) <= 6]
            found.append(excess[f] - statistics.median(near))
    return float(max(found))


def at_the_edge(sets: ImageSets) -> float:
    near, far = [], []
    for y, x in itertools.product(range(EDGE), repeat=2):
        error = np.abs(sets.generated[:, y, x].astype(float) - sets.real[:, y, x])
        (near if min(y, x, EDGE - 1 - y, EDGE - 1 - x) < 8 else far).append(error.mean())
    return float(np.mean(near) / np.mean(far))


REFERENCES: dict[str, Callable[[ImageSets], float]] = {
    "kid": by_kernel,
    "fid": by_root,
    "ssim": lambda sets: over_pairs(sets, windowed),
    "ms_ssim_4": multiscale,
    "psnr_db": lambda sets: over_pairs(
        sets, lambda a, b: peak_signal_noise_ratio(a, b, data_range=1.0)
    ),
    "mae_hu": lambda sets: over_pairs(sets, lambda a, b: 400 * float(np.abs(a - b).mean())),
    "bands_db": highest,
    "edge_error": at_the_edge,
    "checkerboard_db": checkered,
    "diversity": lambda sets: unlike(sets.generated),
    "diversity_real": lambda sets: unlike(sets.real),
    "area_ratio": lambda sets: float(sets.generated.sum() / sets.real.sum()),
    "components": regions,
    "empty_share": lambda sets: sum(not mask.any() for mask in sets.generated) / N,
}


@pytest.mark.parametrize("name", REFERENCES)
def test_it_equals_its_reference(name: str) -> None:
    record = SCORES.get(name)
    sets = sets_of(record.needs)
    assert value(record, sets) == pytest.approx(REFERENCES[name](sets), rel=2e-4, abs=1e-6)


def test_every_built_in_score_has_a_reference() -> None:
    ours = {n for n in COMPUTED if SCORES.get(n).compute.__module__ == ScoreRecord.__module__}
    assert ours == set(REFERENCES)


def test_a_function_that_gives_no_score_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = ScoreRecord("odd", "samples", lambda sets: 0.5, "low")  # type: ignore[arg-type,return-value]
    monkeypatch.setitem(SCORES._known, "odd", odd)
    with pytest.raises(DataError, match="the score 'odd' must give a Score, but got a float"):
        measure(sets_of("samples"), "samples")
    monkeypatch.setitem(SCORES._known, "odd", replace(odd, compute=lambda sets: 1 / 0))
    with pytest.raises(ZeroDivisionError) as caught:
        measure(sets_of("samples"), "samples")
    assert caught.value.__notes__ == ["while the score 'odd' was computed"]
