"""The verdict on collapse on simulated patients whose diversity is known, and its properties."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import pdist, squareform

from harness.base.errors import DataError
from harness.metrics.collapse.diversity import mean_distance, non_duplicates, vendi_score
from harness.metrics.collapse.verdict import (
    ALPHA,
    Collapse,
    RealDiversity,
    RealSet,
    judge_collapse,
    real_diversity,
    samples_broken,
    undecided,
)
from harness.metrics.distances import distances, patient_halves, to_others
from harness.metrics.fidelity.prdc import prdc

PATIENTS, SLICES, D, N = 30, 8, 6, 100


def slices(rng: np.random.Generator, count: int = PATIENTS) -> np.ndarray:
    """Slices of Gaussian patients, patient by patient."""
    own = np.repeat(rng.normal(size=(count, D)), SLICES, axis=0)
    return own + 0.7 * rng.normal(size=own.shape)


def fresh(rng: np.random.Generator, n: int = N) -> np.ndarray:
    """Slices of patients that nobody has seen, in random order."""
    return rng.permutation(slices(rng))[:n]


def real_set(rng: np.random.Generator, count: int = PATIENTS) -> RealSet:
    return RealSet.of(slices(rng, count), np.repeat(np.arange(count), SLICES))


def reference_of(real: RealSet, seed: int = 0, n: int = N) -> RealDiversity:
    found = real_diversity(real, n, np.random.default_rng(seed))
    assert isinstance(found, RealDiversity)
    return found


@pytest.fixture(scope="module")
def real() -> RealSet:
    return real_set(np.random.default_rng(100))


@pytest.fixture(scope="module")
def reference(real: RealSet) -> RealDiversity:
    return reference_of(real)


def judge(reference: RealDiversity, real: RealSet, made: np.ndarray, seed: int = 0) -> Collapse:
    return judge_collapse(reference, real, made, np.random.default_rng(seed))


def sign(found: Collapse, name: str) -> object:
    return next(sign for sign in found.signs if sign.name == name)


def repeated(real: RealSet, k: int, rng: np.random.Generator) -> np.ndarray:
    kept = real.features[rng.choice(len(real.features), k, replace=False)]
    return kept[rng.integers(0, k, N)] + 0.02 * rng.normal(size=(N, D))


def test_fresh_patients_are_healthy_in_nearly_all_deals() -> None:
    words, p = [], []
    for seed in range(40):
        rng = np.random.default_rng([1, seed])
        real = real_set(rng)
        found = judge_collapse(reference_of(real, seed), real, fresh(rng), rng)
        words.append(found.word)
        p.append(found.p)
    # At 1 false alarm in 100, more than 3 in 40 come about once in 1,000 times.
    assert words.count("healthy") >= 37
    # Nor is the p a dead one.
    assert min(p) < 0.5


@pytest.mark.parametrize("k", [1, 4, 10, 20])
def test_few_modes_are_mode_collapse(reference: RealDiversity, real: RealSet, k: int) -> None:
    for seed in range(5):
        rng = np.random.default_rng([2, k, seed])
        found = judge(reference, real, repeated(real, k, rng), seed)
        if k == 1 and found.word == "convergence failure":
            continue  # the one image may be an odd one, that looks like no half of the patients
        assert found.word == "mode collapse", found.sentence
        assert found.sentence.startswith("Mode collapse: the ")
        assert found.p < 1e-3
        # Two samples are near copies if they show one mode, so at most k are distinct.
        assert round(sign(found, "non_duplicates").value) <= k  # type: ignore[attr-defined]


def test_one_image_again_and_again_is_mode_collapse(
    reference: RealDiversity, real: RealSet
) -> None:
    # The image that lies deepest among the real ones: it does look real.
    deepest = real.features[real.distances.mean(axis=1).argmin()]
    found = judge(reference, real, np.tile(deepest, (N, 1)))
    assert found.word == "mode collapse"
    assert found.precision == 1
    assert sign(found, "non_duplicates").value == pytest.approx(1)  # type: ignore[attr-defined]
    assert sign(found, "vendi_score").value == pytest.approx(1)  # type: ignore[attr-defined]
    assert sign(found, "mean_distance").ratio < 1e-5  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.2, {"mode collapse"}),
        (0.3, {"mode collapse"}),
        (0.5, {"mode collapse", "partial collapse"}),
        (0.7, {"partial collapse"}),
    ],
)
def test_shrunken_variety_is_a_collapse(
    reference: RealDiversity, real: RealSet, share: float, words: set[str]
) -> None:
    for seed in range(5):
        y = fresh(np.random.default_rng([3, seed]))
        found = judge(reference, real, y.mean(axis=0) + share * (y - y.mean(axis=0)))
        assert found.word in words, found.sentence
        # Spreads of 100 fresh images differ by a few per cent.
        assert sign(found, "mean_distance").ratio == pytest.approx(share, rel=0.15)  # type: ignore[attr-defined]
        whole = sign(judge(reference, real, y), "mean_distance").ratio  # type: ignore[attr-defined]
        assert sign(found, "mean_distance").ratio == pytest.approx(share * whole)  # type: ignore[attr-defined]


def test_missing_kinds_of_patients_show_in_coverage(
    reference: RealDiversity, real: RealSet
) -> None:
    rng = np.random.default_rng(4)
    y = slices(rng, 200)
    whole = judge(reference, real, rng.permutation(y))
    octant = judge(reference, real, rng.permutation(y[(y[:, :3] > 0).all(axis=1)]))
    found = sign(octant, "coverage")
    assert found.value < 0.75 * sign(whole, "coverage").value  # type: ignore[attr-defined]
    assert found.p < ALPHA  # type: ignore[attr-defined]


def test_samples_that_look_unreal_are_a_convergence_failure(
    reference: RealDiversity, real: RealSet
) -> None:
    far = fresh(np.random.default_rng(5)) + 20
    found = judge(reference, real, far)
    assert found.word == "convergence failure"
    assert found.precision == 0
    assert math.isnan(sign(found, "coverage").p)  # type: ignore[attr-defined]
    percent = f"{100 * reference.level['precision']:.0f}"
    assert found.sentence == (
        "Convergence failure: 0 % of the samples look real, where real images of other patients "
        f"reach {percent} %."
    )
    alike = judge(reference, real, np.tile(far[:1], (N, 1)))
    assert alike.word == "convergence failure"
    assert alike.sentence.endswith(", and they are alike (Vendi score 1.0).")


def test_what_looks_unreal_does_not_count_as_uncovered(
    reference: RealDiversity, real: RealSet
) -> None:
    # 3 in 4 samples look like nothing, and vary: the rest covers little, but little is no sign.
    made = fresh(np.random.default_rng(6))
    made[: 3 * N // 4] *= 8
    found = judge(reference, real, made)
    assert 0.1 < found.precision < 0.4
    coverage = sign(found, "coverage")
    assert coverage.ratio < 0.7  # type: ignore[attr-defined]
    assert math.isnan(coverage.p)  # type: ignore[attr-defined]
    assert found.word == "healthy"
    assert found.p <= 1
    # Of three signs, not of four.
    assert found.p == min(1, 3 * min(s.p for s in found.signs if s.name != "coverage"))


def test_the_effective_number_is_the_vendi_score(reference: RealDiversity, real: RealSet) -> None:
    for made in (fresh(np.random.default_rng(7)), repeated(real, 10, np.random.default_rng(7))):
        kernel = np.exp(-squareform(pdist(made, "sqeuclidean")) / (2 * reference.bandwidth**2))
        shares = np.linalg.eigvalsh(kernel / N)
        expected = math.exp(stats.entropy(shares[shares > 0]))
        found = sign(judge(reference, real, made), "vendi_score")
        assert found.value == pytest.approx(expected)  # type: ignore[attr-defined]
        assert found.ratio == pytest.approx(  # type: ignore[attr-defined]
            expected / math.exp(reference.level["vendi_score"])
        )


def test_equal_groups_far_apart_count_as_their_number(
    reference: RealDiversity, real: RealSet
) -> None:
    made = np.repeat(1000 * np.eye(D)[:5], N // 5, axis=0)
    found = judge(reference, real, made)
    for name in ("vendi_score", "non_duplicates"):
        assert sign(found, name).value == pytest.approx(5)  # type: ignore[attr-defined]


def test_the_reference_is_that_of_public_scores_on_the_halves() -> None:
    # 24 patients: the radius lies between two distances, not on one. All images of each half are
    # used, so which half comes first is all that the draw decides.
    real, n = real_set(np.random.default_rng(8), 24), 12 * SLICES
    found = real_diversity(real, n, np.random.default_rng(8))
    assert isinstance(found, RealDiversity)
    rng = np.random.default_rng(8)
    halves = [patient_halves(real.codes, rng) for _ in range(found.splits)]
    owners = real.codes
    nearest = to_others(distances(real.features, real.features), owners).min(axis=1)
    assert found.bandwidth == pytest.approx(np.median(nearest))
    scores: dict[str, list[list[float]]] = {
        "mean_distance": [],
        "vendi_score": [],
        "non_duplicates": [],
    }
    # The second half comes first: the order of the two does not matter.
    for pair in halves:
        sides = [distances(x, x) for x in (real.features[half] for half in pair[::-1])]
        scores["mean_distance"].append([math.log(mean_distance(side)) for side in sides])
        scores["vendi_score"].append(
            [math.log(vendi_score(side, found.bandwidth)) for side in sides]
        )
        scores["non_duplicates"].append(
            [math.log(non_duplicates(side, found.radius)) for side in sides]
        )
    for name, pairs in scores.items():
        assert found.level[name] == pytest.approx(np.mean(pairs))
        assert found.sd[name] == pytest.approx(max(np.std(np.diff(pairs), ddof=1), 0.02))
    shared = [prdc(*(real.features[half] for half in pair)) for pair in halves]
    for name in ("coverage", "precision"):
        assert found.level[name] == pytest.approx(np.mean([one[name].value for one in shared]))


def test_halves_are_disjoint_patients_and_everybody() -> None:
    real = real_set(np.random.default_rng(9), 7)
    rng = np.random.default_rng(9)
    sides = np.zeros((2, 7))
    for _ in range(200):
        one, other = patient_halves(real.codes, rng)
        owners = [set(real.codes[half]) for half in (one, other)]
        assert not owners[0] & owners[1]
        assert (len(owners[0]), len(owners[1])) == (3, 4)
        assert sorted([*one, *other]) == list(range(7 * SLICES))
        for side, seen in zip(sides, owners, strict=True):
            side[list(seen)] += 1
    # 3 in 7 of 200 deals, and 4 standard deviations.
    assert abs(sides[0] - 600 / 7).max() < 4 * math.sqrt(200 * 12 / 49)


def test_a_subset_is_the_set_of_its_images(real: RealSet) -> None:
    rows = np.flatnonzero(real.codes % 3 == 1)
    found = real.subset(rows)
    made = RealSet.of(real.features[rows], real.codes[rows])
    assert found.patients == made.patients == PATIENTS // 3
    assert (found.codes == made.codes).all()
    assert found.distances == pytest.approx(made.distances, abs=1e-6)
    assert (real.subset(real.codes % 3 == 1).features == found.features).all()


def test_each_image_needs_the_name_of_its_patient() -> None:
    with pytest.raises(DataError, match="but got 1 labels for 2 images"):
        RealSet.of(np.zeros((2, 3)), ["a"])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_samples_that_are_not_numbers(
    reference: RealDiversity, real: RealSet, value: float
) -> None:
    made = fresh(np.random.default_rng(10))
    made[7, 2] = value
    found = judge(reference, real, made)
    assert found.word == "convergence failure"
    assert found.sentence == "Convergence failure: the samples are not numbers."
    assert found.signs == ()
    assert math.isnan(found.p)
    assert found.to_dict() == samples_broken(N).to_dict()


def test_too_few_samples_are_undecided(reference: RealDiversity, real: RealSet) -> None:
    found = judge(reference, real, fresh(np.random.default_rng(11), 60))
    assert (found.word, found.n, found.signs) == ("undecided", 60, ())
    assert found.sentence == "Undecided: needs 100 samples, but got 60."
    assert found.to_dict() == undecided("needs 100 samples, but got 60", 60).to_dict()


def test_samples_beyond_the_references_number_are_left_out(
    reference: RealDiversity, real: RealSet
) -> None:
    made = fresh(np.random.default_rng(12))
    more = np.concatenate([made, np.full((50, D), math.nan)])
    assert judge(reference, real, more) == judge(reference, real, made)


def test_too_little_to_compare_with_is_said() -> None:
    rng = np.random.default_rng(13)
    five = real_set(rng, 5)
    assert real_diversity(five, 20, rng) == "needs 6 real patients, 3 a side, but got 5"
    few = RealSet.of(rng.normal(size=(18, D)), np.repeat(range(6), 3))
    assert real_diversity(few, 50, rng) == "needs 20 real images a side, but got 9"
    many = real_set(rng, 6)
    assert real_diversity(many, 12, rng) == "needs 20 real images a side, but got 12"
    twins = RealSet.of(np.tile(rng.normal(size=(30, D)), (6, 1)), np.repeat(range(6), 30))
    assert "is somebody there twice?" in str(real_diversity(twins, 40, rng))
    # More images a side than the smallest half has are no error.
    assert reference_of(many, n=1000).n == 3 * SLICES


def test_records_are_plain_data(reference: RealDiversity, real: RealSet) -> None:
    text = json.dumps(reference.to_dict(), allow_nan=False)
    assert RealDiversity.from_dict(json.loads(text)) == reference
    unreal = fresh(np.random.default_rng(14)) + 20
    for made in (unreal, fresh(np.random.default_rng(14)), np.full((N, D), math.nan)):
        found = judge(reference, real, made)
        plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert (plain["word"], plain["sentence"]) == (found.word, found.sentence)
        assert [sign["name"] for sign in plain["signs"]] == [sign.name for sign in found.signs]
    assert plain["p"] is None
    assert judge(reference, real, unreal).to_dict()["signs"][3]["p"] is None


def test_the_same_draws_give_the_same_verdict(reference: RealDiversity, real: RealSet) -> None:
    made = fresh(np.random.default_rng(15))
    assert judge(reference, real, made, 3) == judge(reference, real, made, 3)
    assert reference_of(real) == reference
    assert reference_of(real, 1) != reference


def test_units_and_place_of_features_do_not_matter(reference: RealDiversity, real: RealSet) -> None:
    made = fresh(np.random.default_rng(16))
    moved = RealSet.of(50 * real.features + 7, real.codes)
    here = judge(reference, real, made)
    there = judge(reference_of(moved), moved, 50 * made + 7)
    assert (there.word, there.precision) == (here.word, here.precision)
    assert there.p == pytest.approx(here.p, rel=1e-4)
    for one, other in zip(here.signs, there.signs, strict=True):
        assert other.ratio == pytest.approx(one.ratio, rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 30), st.floats(0, 30), st.integers(1, N), st.integers(0, 2**32 - 1))
def test_whatever_the_samples_p_is_a_probability_and_the_words_agree(
    reference: RealDiversity, real: RealSet, scale: float, shift: float, k: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    made = scale * fresh(rng, k)[rng.integers(0, k, N)] + shift
    found = judge(reference, real, made, seed)
    assert 0 <= found.p <= 1
    assert all(0 <= sign.p <= 1 or sign.name == "coverage" for sign in found.signs)
    assert found.sentence.startswith(found.word.capitalize() + ": ")
    assert (found.word in ("mode collapse", "partial collapse")) <= (found.p < ALPHA)
    assert (found.word == "healthy") <= (found.p >= ALPHA)
    values = {sign.name: sign.value for sign in found.signs}
    assert 1 - 1e-9 <= values["vendi_score"] <= k + 1e-6
    assert 1 - 1e-9 <= values["non_duplicates"] <= k + 1e-6
    assert 0 <= values["coverage"] <= 1


def test_real_halves_that_never_meet_give_no_reference() -> None:
    rng = np.random.default_rng(0)
    tight = np.repeat(rng.normal(size=(20, 32)), 8, axis=0) + 0.05 * rng.normal(size=(160, 32))
    found = real_diversity(RealSet.of(tight, np.repeat(np.arange(20), 8)), 80, rng)
    assert found == (
        "needs real halves that come near each other, but no image of one does; more images"
    )
