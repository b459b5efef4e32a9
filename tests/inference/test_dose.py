"""Dose-response: further levels of the primary comparison, opened together, never judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.base.errors import ConfigError
from harness.inference.decision import DecisionRule
from harness.inference.dose import doses
from harness.inference.table import Cell, Table
from harness.jobs.spec import Spec
from tests.compare.test_protocol import Protocol

RULE = DecisionRule("traditional", "traditional+gan", 0.01)
POOL = ("train",) * 5 + ("validation", "test", "test")


def test_every_level_is_trained_before_the_one_opening(tmp_path: Path) -> None:
    protocol = Protocol(
        tmp_path,
        roles=POOL,
        learning_curve={"patients": [3, 2], "cohorts": 2, "arms": ["none"]},
        dose_response={"synthetic_fraction": [0.25, 0.5]},
    )
    plan = protocol.run()
    assert plan.finished
    # The share of 0.5 is the declared one: no level of its own.
    assert [(p.level.axis, p.level.value) for p in plan.levels] == [
        ("patients", 2), ("patients", 3), ("synthetic_fraction", 0.25),
    ]  # fmt: skip
    kinds = protocol.kinds()
    levels = 2 * 3 + 1 * 3 + 2 * 2  # cohorts x arms at each size; replicates x arms
    assert kinds.count("segmenter") == kinds.count("test-score") == 5 * 2 + levels
    assert len((tmp_path / "openings.jsonl").read_text().splitlines()) == 1
    assert plan.opening is not None
    assert len(plan.opening.inputs) == 1 + 5 * 2 + levels
    last_training = max(place for place, kind in enumerate(kinds) if kind == "segmenter")
    assert last_training < min(place for place, kind in enumerate(kinds) if kind == "test-score")


def test_cohorts_of_a_size_share_nobody_and_retrain_the_whole_chain(tmp_path: Path) -> None:
    protocol = Protocol(tmp_path, roles=POOL, learning_curve={"patients": [2, 3]})
    plan = protocol.run()
    every = training_patients(protocol.planner.replicates.store)
    for found, count in zip(plan.levels, (2, 1), strict=True):  # as many as 5 patients hold
        assert [replicate.seed for replicate in found.replicates] == [1000, 1001][:count]
        cohorts = [training_patients(replicate.store) for replicate in found.replicates]
        assert [len(cohort) for cohort in cohorts] == [found.level.value] * count
        assert len(set().union(*cohorts)) == count * found.level.value
        assert set().union(*cohorts) <= every
        for replicate in found.replicates:
            others = {s for s, r in store_roles(replicate.store).items() if r != "train"}
            assert others == {
                s for s, r in store_roles(protocol.planner.replicates.store).items() if r != "train"
            }
        masks = {replicate.stages["mask"].last.digest for replicate in found.replicates}
        assert len(masks) == count
        assert masks.isdisjoint(
            replicate.stages["mask"].last.digest for replicate in plan.replicates
        )


def test_other_shares_share_the_generators(tmp_path: Path) -> None:
    protocol = Protocol(tmp_path, dose_response={"synthetic_fraction": [0.25]})
    plan = protocol.run()
    for declared, other in zip(plan.replicates, plan.levels[0].replicates, strict=True):
        assert declared.synthesis == other.synthesis
        assert declared.segmenters["traditional"] != other.segmenters["traditional"]
    assert protocol.kinds().count("mask-stage") == 2


def test_a_dose_added_after_the_opening_is_an_extension(tmp_path: Path) -> None:
    assert not Protocol(tmp_path).run().extended
    later = Protocol(tmp_path, dose_response={"synthetic_fraction": [0.25]})
    assert later.run().extended


@pytest.mark.parametrize("size", [3, 4])
def test_as_many_patients_as_there_are_is_no_other_level(tmp_path: Path, size: int) -> None:
    with pytest.raises(ConfigError, match="must be other numbers than that of the declared"):
        Protocol(tmp_path, learning_curve={"patients": [size]}).run()


def test_doses_are_plain_differences_of_their_cells() -> None:
    rng = np.random.default_rng(4)
    declared = table(rng.normal(0.02, 0.01, (12, 5)))
    low = rng.normal(-0.01, 0.02, (12, 5))
    found = doses(
        declared, {"patients": 20, "synthetic_fraction": 0.5}, [("patients", 5, table(low))], RULE
    )
    assert [(d.axis, d.value, d.declared) for d in found] == [
        ("patients", 5, False), ("patients", 20, True),
    ]  # fmt: skip
    assert found[0].mean == pytest.approx(low.mean())
    assert found[0].baseline.mean == pytest.approx(0.8)
    assert found[0].interval_95 is not None
    assert found[0].interval_95[0] < low.mean() < found[0].interval_95[1]


def table(differences: np.ndarray) -> Table:
    cells = []
    for (patient, replicate), value in np.ndenumerate(differences):
        cells.append(Cell(f"p{patient}", replicate, "traditional", 0.8))
        cells.append(Cell(f"p{patient}", replicate, "traditional+gan", 0.8 + float(value)))
    return Table(cells)


def store_roles(store: Spec) -> dict[str, str]:
    return dict(store.config["patients"])


def training_patients(store: Spec) -> set[str]:
    return {digest for digest, role in store_roles(store).items() if role == "train"}
