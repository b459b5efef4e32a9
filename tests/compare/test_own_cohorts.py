"""A replicate's own training patients: dealt evenly, kept apart, and nobody else's seen."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from factories.tiny import digest_for, tiny_experiment

from harness.base.errors import ConfigError
from harness.compare.cohorts import deal_cohorts
from harness.config.experiment import ReplicatesConfig
from harness.inference.cohorts import mean_overlap
from tests.compare.test_protocol import Protocol

POOL = [f"d{n:02}" for n in range(20)]


def config(**settings: Any) -> ReplicatesConfig:
    return ReplicatesConfig.model_validate({"count": 4, **settings})


def test_disjoint_cohorts_share_nobody() -> None:
    dealt = deal_cohorts(POOL, config(cohorts="disjoint"), 0)
    assert [len(cohort) for cohort in dealt] == [5] * 4
    assert sorted(patient for cohort in dealt for patient in cohort) == POOL
    assert dealt == deal_cohorts(POOL[::-1], config(cohorts="disjoint"), 0)
    assert dealt != deal_cohorts(POOL, config(cohorts="disjoint"), 1)
    assert mean_overlap(dealt) == 0


def test_drawn_cohorts_use_everybody_equally_often() -> None:
    dealt = deal_cohorts(POOL, config(count=6, cohorts="drawn", cohort_size=10), 0)
    uses = Counter(patient for cohort in dealt for patient in cohort)
    assert set(uses.values()) == {3}
    assert all(len(set(cohort)) == 10 for cohort in dealt)
    assert 0 < mean_overlap(dealt) < 1


def test_one_cohort_for_all_is_the_default() -> None:
    assert deal_cohorts(POOL, config(), 0) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cohorts": "disjoint", "cohort_size": 6}, "need 24 or more, but got 20"),
        ({"cohorts": "drawn", "cohort_size": 20}, "need 21 or more, but got 20"),
        ({"cohorts": "disjoint", "count": 21}, "need 21 or more, but got 20"),
    ],
)
def test_too_few_patients_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        deal_cohorts(POOL, config(**settings), 0)


@pytest.mark.parametrize(
    ("experiment", "said"),
    [
        ({"replicates": {"cohort_size": 6}}, "cohort_size must be null where cohorts are fixed"),
        (
            {"replicates": {"cohorts": "drawn"}, "learning_curve": {"patients": [2]}},
            "replicates.cohorts must be fixed or disjoint for a learning curve",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(experiment: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tiny_experiment(**experiment)


ROLES = ("train",) * 4 + ("validation", "test")


def test_a_replicate_learns_from_its_own_patients_alone(tmp_path: Path) -> None:
    protocol = Protocol(
        tmp_path, ROLES, replicates={"count": 2, "cohorts": "disjoint"}, arms=["none", "gan"],
        decision={"baseline": "none", "candidate": "gan", "secondary": []},
    )  # fmt: skip
    plan = protocol.run()
    assert plan.finished
    others = {digest_for(p): r for p, r in protocol.tiny.patients.items() if r != "train"}
    learnt = []
    for replicate in plan.replicates:
        roles = dict(replicate.store.config["patients"])
        assert {d: r for d, r in roles.items() if r != "train"} == others
        learnt.append({d for d, r in roles.items() if r == "train"})
        inputs = [spec.inputs["store"] for spec in replicate.segmenters.values()]
        inputs += [stage.steady.inputs["store"] for stage in replicate.stages.values()]
        inputs += [plan.tests[arm, replicate.seed].inputs["store"] for arm in ("none", "gan")]
        assert set(inputs) == {replicate.store.done()}
    assert [len(each) for each in learnt] == [2, 2]
    assert not learnt[0] & learnt[1]
    rule = protocol.planner.rule()
    assert rule["cohorts"] == [sorted(each) for each in learnt]
