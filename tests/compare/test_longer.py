"""The arm that trains for as long as the generators would: how long, when, under whose settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from factories.tiny import tiny_experiment
from pydantic import ValidationError

from harness.compare.tuning import settings_source
from harness.config.arms import NAMED, arm_of
from harness.inference.contrasts import contrasts
from harness.inference.table import Cell, Table
from tests.compare.test_protocol import Protocol

ARMS = ("traditional", "longer", "traditional+gan")
RULE = {"secondary": [("traditional", "longer")]}
GENERATORS = ("mask-stage", "mask-decay", "image-stage", "image-decay", "synthesis")


def test_it_trains_for_the_seconds_of_the_generators_too(tmp_path: Path) -> None:
    protocol = Protocol(tmp_path, arms=ARMS, decision=RULE)
    plan = protocol.run()
    assert plan.finished
    kinds = protocol.kinds()
    assert kinds.count("segmenter") == len(ARMS) * 2
    generators = sum(map(kinds.count, GENERATORS))  # a second each, as is a segmenter
    updates = protocol.tiny.experiment.segmentation.updates
    for replicate in plan.replicates:
        assert list(replicate.segmenters) == list(ARMS)
        short, longer = (replicate.segmenters[arm].config for arm in ("traditional", "longer"))
        assert longer == {**short, "updates": updates * (1 + generators // 2)}
        assert replicate.epochs["longer"] > replicate.epochs["traditional"]
    assert plan.opening is not None
    assert {"longer/1000", "longer/1001"} <= set(plan.opening.inputs)
    assert protocol.run().opening == plan.opening
    assert protocol.kinds() == kinds


def test_planned_ahead_it_counts_as_twice_the_updates(tmp_path: Path) -> None:
    protocol = Protocol(tmp_path, arms=ARMS, decision=RULE)
    plan = protocol.hands.drive(lambda graph: protocol.planner.plan(graph, ahead=True), passes=1)
    updates = protocol.tiny.experiment.segmentation.updates
    assert plan.replicates[0].segmenters["longer"].config["updates"] == 2 * updates


def test_it_looks_and_reads_like_no_other_arm() -> None:
    arms = [arm_of(name) for name in NAMED]
    assert len({arm.words for arm in arms}) == len({arm.colour for arm in arms}) == len(arms)


def test_it_takes_the_settings_of_the_arm_that_it_controls() -> None:
    assert settings_source("longer", ["traditional", "traditional+gan"]) == "traditional"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {
                "arms": ("longer", "traditional+gan", "none"),
                "decision": {"baseline": "none", "secondary": []},
            },
            "the arm 'longer' needs the arm it trains longer than; add 'traditional' to `arms`",
        ),
        (
            {
                "arms": ("traditional", "longer", "duplicate"),
                "decision": {"candidate": "duplicate", "secondary": []},
            },
            "the arm 'longer' trains for as long as the generators would, but no arm has any; add "
            "one, such as 'traditional+gan', or remove it from `arms`",
        ),
        (
            {"arms": ARMS, "decision": {"baseline": "longer", "secondary": []}},
            "decision.baseline must be an arm that trains for segmentation.updates, but got "
            "'longer'; name it in decision.secondary",
        ),
    ],
)
def test_where_it_means_nothing_it_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        tiny_experiment(**changed)
    assert words in str(caught.value)


def test_it_stands_among_the_controls_with_both_differences() -> None:
    dice = {"traditional": 0.6, "longer": 0.65, "traditional+gan": 0.7}
    cells = [
        Cell(f"p{p}", r, arm, value + 0.01 * ((p + 2 * r) % 3) * (arm == "longer"))
        for arm, value in dice.items()
        for p in range(6)
        for r in range(3)
    ]
    rule = tiny_experiment(arms=ARMS, decision=RULE).decision
    found = {one.name: one.inference.mean for one in contrasts(Table(cells), rule)}
    assert found == {
        "longer - traditional": pytest.approx(0.06),
        "traditional+gan - longer": pytest.approx(0.04),
    }
