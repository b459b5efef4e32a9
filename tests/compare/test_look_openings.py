"""Looks at some of the replicates: an opening each, one after the other, and where they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from factories.protocol import Protocol

from harness.base.errors import RuleError
from harness.compare.protocol import ComparisonPlan
from harness.jobs.context import Context
from harness.jobs.spec import Request, Spec
from harness.work.evaluate.opening import open_test
from harness.work.specs import EARLIER_LOOK

LOOKS: dict[str, Any] = {
    "arms": ["none", "traditional"],
    "replicates": {"count": 7},
    "decision": {
        "baseline": "none",
        "candidate": "traditional",
        "secondary": [],
        "looks": [5, 6, 7],
    },
}


def entries(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "openings.jsonl").read_text().splitlines()]


def at(protocol: Protocol, replicates: int) -> ComparisonPlan:
    """The comparison where a look at so many replicates finds an effect."""
    protocol.asked["found"] = lambda plan: len(plan.replicates) == replicates
    return protocol.run()


@pytest.mark.parametrize(("found", "openings"), [(5, 1), (6, 2), (7, 3), (0, 3)])
def test_training_ends_where_a_look_finds_an_effect(
    tmp_path: Path, found: int, openings: int
) -> None:
    protocol = Protocol(tmp_path, **LOOKS)
    plan = at(protocol, found)
    trained = found or 7
    assert plan.finished
    assert not plan.extended
    assert len(plan.replicates) == trained
    kinds = protocol.kinds()
    assert (kinds.count("segmenter"), kinds.count("test-score")) == (2 * trained, 2 * trained)
    assert {seed for _, seed in plan.tests} == set(range(1000, 1000 + trained))
    seen = entries(tmp_path)
    assert [entry["extended"] for entry in seen] == [False] * openings
    assert [entry.get("continues", False) for entry in seen] == [False, True, True][:openings]
    assert len({entry["rule"] for entry in seen}) == 1
    again = at(protocol, found)
    assert again == plan, "and nothing is opened twice"
    assert len(entries(tmp_path)) == openings


def test_scores_stay_with_the_look_that_opened_them(tmp_path: Path) -> None:
    plan = at(Protocol(tmp_path, **LOOKS), 6)
    opened = {plan.tests["none", seed].inputs["opening"] for seed in range(1000, 1005)}
    last = plan.tests["none", 1005].inputs["opening"]
    assert plan.opening is not None
    assert last == plan.opening.done()
    assert opened == {plan.opening.inputs[EARLIER_LOOK]}


def test_other_looks_or_a_look_more_are_an_extension(tmp_path: Path) -> None:
    at(Protocol(tmp_path, **LOOKS), 5)
    more: dict[str, Any] = {**LOOKS, "replicates": {"count": 8}}
    more["decision"] = {**LOOKS["decision"], "looks": [5, 6, 7, 8]}
    assert at(Protocol(tmp_path).again(**more), 0).extended
    assert not at(Protocol(tmp_path).again(**LOOKS), 5).extended, "the first look stays"
    assert at(Protocol(tmp_path).again(**LOOKS), 6).extended, "another rule came in between"


def test_a_look_at_other_segmenters_is_refused(tmp_path: Path) -> None:
    protocol = Protocol(tmp_path, **LOOKS)
    opening = at(protocol, 6).opening
    assert opening is not None
    inputs = dict(opening.inputs)
    del inputs["none/1000"]
    wrong = Spec(opening.kind, opening.config, 0, {}, inputs, opening.recipe)
    with pytest.raises(RuleError, match="a look must be at the segmenters of the look before"):
        open_test(Context(Request(wrong, ()), protocol.tiny.work))
    assert len(entries(tmp_path)) == 2


def test_looks_that_a_killed_command_left_go_on(tmp_path: Path) -> None:
    whole = at(Protocol(tmp_path / "whole", **LOOKS), 0)
    protocol = Protocol(tmp_path / "killed", **LOOKS)
    for passes in range(1, 9):
        protocol.run(passes)
    plan = protocol.run()
    assert plan.finished
    assert plan.opening is not None
    assert whole.opening is not None
    assert plan.opening.digest == whole.opening.digest
    assert len(entries(tmp_path / "killed")) == 3


def test_the_arm_that_trains_longer_is_timed_at_the_first_look(tmp_path: Path) -> None:
    asked = {**LOOKS, "arms": ["none", "traditional", "traditional+gan", "longer"]}
    asked["decision"] = {**LOOKS["decision"], "candidate": "traditional+gan"}
    plan = at(Protocol(tmp_path, **asked), 0)
    assert plan.finished
    specs = [replicate.segmenters["longer"] for replicate in plan.replicates]
    assert len({spec.config["updates"] for spec in specs}) == 1
    assert len(list((tmp_path / "jobs" / "matched-updates").glob("*"))) == 1


def test_what_was_looked_at_before_is_kept_in_the_opening(tmp_path: Path) -> None:
    protocol = Protocol(tmp_path, **LOOKS)
    counts: list[str] = []

    def before(opening: Spec) -> int:
        counts.append(opening.digest)
        return 2

    protocol.asked["looked_at"] = before
    plan = at(protocol, 6)
    assert plan.opening is not None
    assert (plan.looked_at, plan.opening.config["looked_at"]) == (2, 2)
    assert len(set(counts)) == 1, "asked about the first look alone"
    assert {entry["rule"] for entry in entries(tmp_path)} == {
        entry["rule"] for entry in entries_without(tmp_path / "plain")
    }, "it is no part of the rule"


def entries_without(root: Path) -> list[dict[str, Any]]:
    """Of the same comparison where nobody looked before."""
    at(Protocol(root, **LOOKS), 6)
    return entries(root)
