"""Roles: by content alone, steady when patients come and go, refused with a reason."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.base.errors import DataError
from harness.config.data import PatientLimits, RolesConfig
from harness.data.roles import ROLES, assign_roles

NO_LIMIT = PatientLimits()
RANDOM = RolesConfig()


def digests(count: int, seed: int = 0) -> dict[str, str | None]:
    random = np.random.default_rng(seed)
    return dict.fromkeys((random.bytes(12).hex() for _ in range(count)), None)


def counted(roles: dict[str, str]) -> tuple[int, ...]:
    counts = Counter(roles.values())
    return tuple(counts[role] for role in ROLES)


@pytest.mark.parametrize(
    ("patients", "validation", "test", "expected"),
    [
        (100, 0.15, 0.3, (55, 15, 30)),
        (10, 0.15, 0.3, (5, 2, 3)),  # 1.5 rounds up
        (12, 0.15, 0.3, (6, 2, 4)),  # 1.8 and 3.6
        (10, 0.25, 0.25, (4, 3, 3)),  # halves round up
        (3, 0.15, 0.3, (1, 1, 1)),  # at least one of a share above 0
        (5, 0.0, 0.3, (3, 0, 2)),
        (5, 0.0, 0.0, (5, 0, 0)),
        (1, 0.0, 0.0, (1, 0, 0)),
    ],
)
def test_shares(patients: int, validation: float, test: float, expected: tuple[int, ...]) -> None:
    config = RolesConfig(validation=validation, test=test)
    assert counted(assign_roles(digests(patients), config, NO_LIMIT)) == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 60), st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_order_of_patients_does_not_matter(count, seed, random) -> None:
    patients = digests(count, seed)
    shuffled = list(patients)
    random.shuffle(shuffled)
    roles = assign_roles(patients, RANDOM, NO_LIMIT)
    assert assign_roles(dict.fromkeys(shuffled), RANDOM, NO_LIMIT) == roles
    assert list(roles) == sorted(patients)


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 80), st.integers(0, 1000))
def test_another_patient_moves_few(count, seed) -> None:
    """Each of two boundaries moves by one place at most, by rank and by rounding."""
    patients = digests(count, seed)
    newest = list(patients)[-1]
    fewer = {digest: None for digest in patients if digest != newest}
    before = assign_roles(fewer, RANDOM, NO_LIMIT)
    after = assign_roles(patients, RANDOM, NO_LIMIT)
    moved = [digest for digest in fewer if before[digest] != after[digest]]
    assert len(moved) <= 2
    assert set(after) - set(before) == {newest}


def test_the_seed_deals_anew_and_evenly() -> None:
    patients = digests(20)
    dealt = [assign_roles(patients, RolesConfig(seed=seed), NO_LIMIT) for seed in range(60)]
    assert len({tuple(roles.values()) for roles in dealt}) > 50
    tested = [sum(roles[digest] == "test" for roles in dealt) for digest in patients]
    # 60 draws at a share of 0.3: 18, sd 3.5; four sd either way.
    assert min(tested) > 4
    assert max(tested) < 32


@pytest.mark.parametrize(
    ("patients", "config", "least"),
    [(2, RANDOM, 3), (1, RANDOM, 3), (1, RolesConfig(validation=0, test=0.3), 2)],
)
def test_too_few_patients(patients: int, config: RolesConfig, least: int) -> None:
    with pytest.raises(DataError) as caught:
        assign_roles(digests(patients), config, NO_LIMIT)
    assert str(caught.value) == (
        f"an experiment with these roles needs {least} usable patients or more who have the "
        f"structures, but got {patients}; add patients"
    )


def test_shares_that_leave_nobody_to_train() -> None:
    with pytest.raises(DataError, match="someone must train, but got 4 patients for 3 test and 1"):
        assign_roles(digests(4), RolesConfig(validation=0.2, test=0.7), NO_LIMIT)


SOURCE = RolesConfig(by="source")


def with_roles(*roles: str | None) -> dict[str, str | None]:
    return dict(zip(digests(len(roles)), roles, strict=True))


def test_roles_of_the_source() -> None:
    patients = with_roles("test", "train", "validation", "train")
    assert assign_roles(patients, SOURCE, NO_LIMIT) == patients
    assert counted(assign_roles(with_roles("train"), SOURCE, NO_LIMIT)) == (1, 0, 0)
    assert counted(assign_roles(patients, RANDOM, NO_LIMIT)) == (2, 1, 1), "not asked for"


@pytest.mark.parametrize(
    ("roles", "sentence"),
    [
        (
            ("train", None, None),
            "data.roles.by: source needs a role from the source for every patient, but got none "
            "for 2 of 3; set data.roles.by to random",
        ),
        (
            ("train", "holdout", "dev"),
            "roles must be train, validation, test, but got dev, holdout from the source; set "
            "data.roles.by to random",
        ),
        (
            ("validation", "test"),
            "someone who has the structures must train, but got no train role among 2 patients; "
            "set data.roles.by to random",
        ),
        (
            (),
            "someone who has the structures must train, but got no train role among 0 patients; "
            "set data.roles.by to random",
        ),
    ],
)
def test_roles_of_the_source_that_do_not_serve(
    roles: tuple[str | None, ...], sentence: str
) -> None:
    with pytest.raises(DataError) as caught:
        assign_roles(with_roles(*roles), SOURCE, NO_LIMIT)
    assert str(caught.value) == sentence


def test_limits_keep_the_first_in_content_order() -> None:
    patients = digests(40)
    everyone = assign_roles(patients, RANDOM, NO_LIMIT)
    some = assign_roles(patients, RANDOM, PatientLimits(train=5, validation=1))
    assert counted(some) == (5, 1, 12)
    assert everyone.items() >= some.items()
    trained = [digest for digest, role in sorted(everyone.items()) if role == "train"]
    assert [digest for digest, role in some.items() if role == "train"] == trained[:5]
    assert assign_roles(patients, RANDOM, PatientLimits(train=500)) == everyone


def test_a_limit_moves_nobody_to_another_role() -> None:
    patients = digests(30)
    one = assign_roles(patients, RANDOM, PatientLimits(test=1))
    two = assign_roles(patients, RANDOM, PatientLimits(test=2))
    assert two.items() >= one.items()
