"""Distances, published copying statistics and closest pairs against loops and enumeration."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from harness.base.errors import DataError
from harness.metrics.memorisation.neighbours import Neighbours, closest_pairs, copies_of, neighbours
from harness.metrics.memorisation.statistics import (
    adversarial_accuracy,
    authenticity,
    closer_share,
    copies,
    copy_threshold,
    none_chosen,
    privacy_loss,
)

D = 4
FLIP = np.array([-1.0, 1.0, 1.0, 1.0])
T_LABELS = ["b", "a", "a", "c", "b", "d", "c"]
H_LABELS = ["x", "y", "x", "z"]


def material(seed: int = 0, mirrored: bool = False) -> tuple[Neighbours, np.ndarray, np.ndarray]:
    """Neighbours of 7 training, 4 held-out and 6 synthetic images, with the real and synthetic."""
    rng = np.random.default_rng(seed)
    t, h, s = (rng.normal(size=(n, D)) for n in (7, 4, 6))
    flipped = (t * FLIP, h * FLIP) if mirrored else (None, None)
    return neighbours(t, T_LABELS, h, H_LABELS, s, *flipped), np.concatenate([t, h]), s


@pytest.mark.parametrize("mirrored", [False, True])
def test_distances_by_loops(mirrored: bool) -> None:
    near, real, made = material(mirrored=mirrored)
    labels = T_LABELS + H_LABELS
    names = list(dict.fromkeys(labels))

    def gap(image: np.ndarray, target: np.ndarray) -> float:
        direct = float(np.linalg.norm(image - target))
        return min(direct, float(np.linalg.norm(image - target * FLIP))) if mirrored else direct

    for p, name in enumerate(names):
        rows = [i for i, label in enumerate(labels) if label == name]
        for s, image in enumerate(made):
            every = [gap(image, real[i]) for i in rows]
            assert near.to_patient[s, p] == pytest.approx(min(every))
            assert near.image[s, p] == rows[int(np.argmin(every))]
        for i, image in enumerate(real):
            own = labels[i] == name
            expected = np.inf if own else min(gap(image, real[j]) for j in rows)
            assert near.between[i, p] == pytest.approx(expected)
    for i, target in enumerate(real):
        assert near.to_synthetic[i] == pytest.approx(min(gap(image, target) for image in made))
    for s, image in enumerate(made):
        others = [np.linalg.norm(image - other) for k, other in enumerate(made) if k != s]
        assert near.among[s] == pytest.approx(min(others))
    assert near.role.tolist() == [True] * 4 + [False] * 3


def test_distances_survive_a_large_common_offset() -> None:
    rng = np.random.default_rng(0)
    t, h = rng.normal(size=(8, 50)) + 1e4, rng.normal(size=(6, 50)) + 1e4
    near = neighbours(t, list(range(8)), h, list("uvwxyz"), t[:3])
    assert np.diag(near.to_patient[:, :3]).tolist() == [0.0] * 3
    assert near.to_patient[0, 1] == pytest.approx(np.linalg.norm(t[0] - t[1]), rel=1e-9)


def test_none_chosen_by_enumeration() -> None:
    for drawn in (1, 2, 4, 5):
        subsets = list(combinations(range(5), drawn))
        expected = [np.mean([min(subset) >= r for subset in subsets]) for r in range(6)]
        assert none_chosen(5, drawn) == pytest.approx(expected)


def accuracy_by_loops(near: Neighbours, patients: tuple[int, ...]) -> float:
    """AA of exactly these patients, every one weighing the same."""
    chosen = list(patients)
    per_patient = []
    for p in chosen:
        rows = np.flatnonzero(near.owners == p)
        nearest = [min(near.between[i, q] for q in chosen) for i in rows]
        per_patient.append(np.mean(near.to_synthetic[rows] > nearest))
    apart = [min(row[chosen]) > own for row, own in zip(near.to_patient, near.among, strict=True)]
    return float((np.mean(per_patient) + np.mean(apart)) / 2)


def test_adversarial_accuracy_is_the_mean_over_all_subsets_of_patients() -> None:
    for seed in range(5):
        near, _, _ = material(seed)
        every = [accuracy_by_loops(near, chosen) for chosen in combinations(range(4), 3)]
        training = adversarial_accuracy(near, near.role, 3)
        assert training == pytest.approx(np.mean(every))
        heldout = accuracy_by_loops(near, (4, 5, 6))
        assert adversarial_accuracy(near, ~near.role, 3) == pytest.approx(heldout)
        assert privacy_loss(near, near.role) == pytest.approx(heldout - training)


def test_closer_share_is_the_mean_over_all_subsets_of_patients() -> None:
    for seed in range(5):
        near, _, _ = material(seed)
        gap = near.to_patient

        def share(chosen: tuple[int, ...], gap: np.ndarray = gap) -> float:
            return float(np.mean(gap[:, list(chosen)].min(axis=1) < gap[:, 4:].min(axis=1)))

        expected = np.mean([share(chosen) for chosen in combinations(range(4), 3)])
        assert closer_share(near, near.role) == pytest.approx(expected)
        # The other way round: the larger side is the held-out one.
        assert closer_share(near, ~near.role) == pytest.approx(1 - expected)


def known_copies(synthetic: np.ndarray | None = None) -> Neighbours:
    rng = np.random.default_rng(3)
    t, h = rng.normal(size=(12, D)), rng.normal(size=(6, D))
    made = t[[0, 5, 7]] if synthetic is None else synthetic
    return neighbours(t, np.arange(12) // 2, h, 10 + np.arange(6) // 2, made)


def test_authenticity_of_copies_is_0_and_of_far_away_images_1() -> None:
    near = known_copies()
    assert authenticity(near, near.role) == 0.0
    far = known_copies(np.full((3, D), 50.0))
    assert authenticity(far, far.role) == 1.0


def test_authenticity_by_the_definition_written_as_loops() -> None:
    near, real, made = material(1)
    authentic = []
    for image in made:
        gaps = [np.linalg.norm(image - real[i]) for i in range(7)]
        i = int(np.argmin(gaps))
        others = [j for j in range(7) if T_LABELS[j] != T_LABELS[i]]
        authentic.append(gaps[i] > min(np.linalg.norm(real[i] - real[j]) for j in others))
    assert authenticity(near, near.role) == pytest.approx(np.mean(authentic))


def test_copy_threshold_comes_from_heldout_to_training() -> None:
    near, real, made = material(2)
    gaps = [min(np.linalg.norm(h - t) for t in real[:7]) for h in real[7:]]
    threshold = copy_threshold(near, near.role, 0.4)
    assert threshold == pytest.approx(np.quantile(gaps, 0.4))
    expected = sum(min(np.linalg.norm(s - t) for t in real[:7]) < threshold for s in made)
    assert copies(near, near.role, threshold) == expected


def test_one_patient_on_a_side_has_no_accuracy() -> None:
    rng = np.random.default_rng(0)
    near = neighbours(rng.normal(size=(4, D)), list("abcd"), np.ones((2, D)), "xx", np.ones((3, D)))
    assert np.isnan(privacy_loss(near, near.role))
    assert np.isnan(authenticity(near, ~near.role))


def test_closest_pairs_name_no_training_image_twice() -> None:
    rng = np.random.default_rng(4)
    t, h = rng.normal(size=(6, D)), rng.normal(size=(3, D))
    made = np.stack([t[2] + 0.02, t[4], t[2] + 0.01, t[0] + 9])
    near = neighbours(t, [0, 0, 1, 1, 2, 2], h, [7, 8, 9], made)
    pairs = closest_pairs(near, 3)
    assert [(pair.synthetic, pair.training) for pair in pairs][:2] == [(1, 4), (2, 2)]
    assert len({pair.training for pair in pairs}) == len(pairs) == 3
    assert pairs[0].distance == 0.0
    others = [np.linalg.norm(t[4] - t[j]) for j in range(4)]
    assert pairs[0].reference == pytest.approx(min(others))
    assert closest_pairs(near, 2) == pairs[:2]
    assert closest_pairs(near, 0) == []
    alone = neighbours(t, "x" * 6, h, [7, 8, 9], made)  # one training patient
    assert [pair.reference for pair in closest_pairs(alone, 2)] == [None, None]


def test_copies_are_measured_with_a_local_ruler() -> None:
    """Images on a line: patients at 0, 1, 11 and 31; rulers 1, 1, 10 and 20."""
    t, h = np.array([[0.0], [1.0], [11.0]]), np.array([[31.0]])
    made = np.array([[0.45], [14.0], [24.0], [0.0]])
    near = neighbours(t, "abc", h, "x", made)
    expected = [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]]
    assert copies_of(near, 0.5).astype(int).tolist() == expected


REAL, OTHER = np.eye(4), 2 * np.eye(4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"heldout": np.empty((0, 4)), "heldout_patients": []}, "but got no held-out images"),
        ({"training": np.empty((0, 4)), "patients": []}, "but got no training images"),
        ({"patients": "abc"}, "but got 3 labels for 4 images"),
        ({"heldout_patients": "wxya"}, "but got 1 on both sides"),
        ({"heldout": np.eye(4)[:, :3]}, "but got 4 and 3"),
        ({"synthetic": np.ones((2, 5))}, r"m x 4 with m >= 1.*but got shape \(2, 5\)"),
        ({"synthetic": np.ones((0, 4))}, "m >= 1"),
        ({"synthetic": np.ones(4)}, r"but got shape \(4,\)"),
        ({"synthetic": np.full((2, 4), np.nan)}, "not finite"),
        ({"mirrored_training": REAL}, "one side only"),
        ({"mirrored_training": REAL[:2], "mirrored_heldout": OTHER}, "row by row"),
    ],
)
def test_bad_input_is_named(change: dict[str, object], words: str) -> None:
    good = {
        "training": REAL,
        "patients": "abcd",
        "heldout": OTHER,
        "heldout_patients": "wxyz",
        "synthetic": np.ones((3, 4)),
    }
    with pytest.raises(DataError, match=words):
        neighbours(**(good | change))  # type: ignore[arg-type]
