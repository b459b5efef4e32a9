"""How often arms fail, counted again by hand, and when that comes before the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from harness.config.measures import MEASURES
from harness.inference.decision import DecisionRule, decide
from harness.inference.failures import ArmFailures, arm_failures
from harness.inference.table import Cell, Table

PATIENTS, REPLICATES = 20, 5
Of = Callable[[int, int, str], float]


def table(value: Of, patients: int = PATIENTS) -> Table:
    return Table(
        Cell(f"p{p:02d}", r, arm, value(p, r, arm))
        for arm in ("base", "new")
        for r in range(REPLICATES)
        for p in range(patients)
    )


def dice(p: int, r: int, arm: str) -> float:
    """The arm `new` misses patient 3 in every replicate, in the first two by empty predictions."""
    return 0.05 * (r >= 2) if (p, arm) == (3, "new") else 0.7 + 0.01 * p


def predicted(p: int, r: int, arm: str) -> float:
    return 0.0 if (p, arm) == (3, "new") and r < 2 else 20.0


def structures(*left_out: int) -> dict[str, dict[str, Table]]:
    """Two sides; the right one never fails and is not there in the patients left out."""

    def right(p: int, *_: object) -> float:
        return math.nan if p in left_out else 0.8

    def volume(p: int, *_: object) -> float:
        return 0.0 if p in left_out else 20.0

    return {
        "left": {"dice": table(dice), "predicted_ml": table(predicted)},
        "right": {"dice": table(right), "predicted_ml": table(volume)},
    }


def test_failures_are_segmentations_of_low_dice_and_empty_ones_are_among_them() -> None:
    base, new = arm_failures(table(dice), structures(), False)
    assert (base.arm, base.segmentations, base.failed, base.empty) == ("base", 200, 0, 0)
    assert (new.arm, new.segmentations, new.failed, new.empty) == ("new", 200, 5, 2)
    assert new.share == 5 / 200


def test_an_absent_structure_that_nobody_drew_is_no_failure() -> None:
    """It has no Dice, and its empty prediction is right."""
    base, new = arm_failures(table(dice), structures(7, 8), False)
    assert (base.segmentations, base.failed, base.empty) == (190, 0, 0)
    assert (new.segmentations, new.failed, new.empty) == (190, 5, 2)


@pytest.mark.parametrize(("patients", "places"), [(20, 2), (21, 3), (5, 1)])
def test_the_worst_tenth_is_of_patients_means_in_the_measures_direction(
    patients: int, places: int
) -> None:
    rng = np.random.default_rng(3)
    drawn = rng.normal(8, 2, (patients, REPLICATES))
    cells = table(lambda p, r, arm: float(drawn[p, r]), patients)
    means = sorted(drawn.mean(axis=1))
    for lower, expected in ((False, means[:places]), (True, means[-places:])):
        for entry in arm_failures(cells, structures(), lower):
            assert entry.worst_tenth == pytest.approx(sum(expected) / places)


def test_where_structures_were_not_measured_nothing_is_said() -> None:
    assert arm_failures(table(dice), {}, False) == ()


def failures(base: int, new: int) -> tuple[ArmFailures, ...]:
    return tuple(
        ArmFailures(arm, 100, failed, failed // 2, 0.5)
        for arm, failed in (("base", base), ("new", new))
    )


def test_more_than_five_percent_of_failures_come_before_the_verdict() -> None:
    """In either arm of the primary comparison; at five nothing is said."""
    rng = np.random.default_rng(1)
    drawn = rng.normal(0.03, 0.001, (PATIENTS, REPLICATES))
    cells = table(lambda p, r, arm: 0.7 + (arm == "new") * float(drawn[p, r]))
    rule = DecisionRule("base", "new", 0.01, (("new", "base"),))
    plain, *_ = decide(cells, rule)
    assert plain.word == "helps"
    for base, new in ((0, 6), (6, 0), (50, 40)):
        first, second = decide(cells, rule, failures=failures(base, new))
        head = (
            f"new fails on {new} of 100 ({new} %) of its segmentations of test structures (Dice "
            f"below 0.1), against {base} of 100 ({base} %) of base."
        )
        assert first.sentence == f"{head} {plain.sentence}"
        assert replace(first, failing="", sentence=plain.sentence) == plain
        assert "fails" not in second.sentence
    for few in (failures(5, 5), failures(0, 0), failures(6, 6)[:1], ()):
        assert decide(cells, rule, failures=few)[0] == plain


def test_a_candidate_of_lower_hd95_helps() -> None:
    rng = np.random.default_rng(2)
    drawn = rng.normal(-2.0, 0.3, (PATIENTS, REPLICATES))
    cells = table(lambda p, r, arm: 6.0 + 0.1 * p + (arm == "new") * float(drawn[p, r]))
    rule = DecisionRule("base", "new", 1.0, (("new", "base"),), MEASURES["hd95_mm"])
    first, turned = decide(cells, rule)
    assert (first.word, turned.word) == ("helps", "harms")
    assert first.inference.mean == pytest.approx(drawn.mean())
    assert first.sentence.startswith(
        f"new against base (lower is better): helps; mean difference in HD95 in mm "
        f"{drawn.mean():+.2f}, 95 % interval -"
    )
    assert first.to_dict()["measure"] == "hd95_mm"
