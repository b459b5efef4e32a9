"""The order of a comparison: all training, then the opening, then the test; and what extends it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories.protocol import Protocol
from factories.tiny import Tiny, tiny_experiment

from harness.base.errors import DataError
from harness.jobs.graph import JobGraph

ARMS = ("none", "traditional", "gan", "traditional+gan", "duplicate")


def test_every_segmenter_is_trained_before_the_opening_and_scored_after_it(tmp_path: Path) -> None:
    protocol = Protocol(tmp_path)
    plan = protocol.run()
    assert plan.finished
    assert not plan.extended
    kinds = protocol.kinds()
    assert kinds.count("segmenter") == len(ARMS) * 2
    assert kinds.count("test-score") == len(ARMS) * 2
    last_training = max(place for place, kind in enumerate(kinds) if kind == "segmenter")
    first_test = min(place for place, kind in enumerate(kinds) if kind == "test-score")
    assert last_training < first_test
    assert len((tmp_path / "openings.jsonl").read_text().splitlines()) == 1


def test_no_opening_is_planned_while_one_segmenter_lacks(tmp_path: Path) -> None:
    protocol = Protocol(tmp_path)
    while True:
        graph = JobGraph(protocol.tiny.work)
        plan = protocol.planner.plan(graph)
        requests = graph.ready()
        waiting = [request for request in requests if request.spec.kind == "segmenter"]
        if len(requests) == len(waiting) == 1:
            break
        for request in requests if len(waiting) < len(requests) else requests[:-1]:
            protocol.hands.finish(request)
        assert plan.opening is None
    assert (plan.opening, plan.tests) == (None, {})
    protocol.hands.finish(requests[0])
    graph = JobGraph(protocol.tiny.work)
    plan = protocol.planner.plan(graph)
    assert plan.opening is not None
    assert [request.spec.kind for request in graph.ready()] == ["opening"]
    assert not plan.finished


def test_test_scores_name_the_opening_and_their_segmenter(tmp_path: Path) -> None:
    plan = Protocol(tmp_path).run()
    assert plan.opening is not None
    assert set(plan.tests) == {(arm, seed) for arm in ARMS for seed in (1000, 1001)}
    segmenters = {
        (arm, replicate.seed): replicate.done(arm)
        for replicate in plan.replicates
        for arm, spec in replicate.segmenters.items()
    }
    for key, spec in plan.tests.items():
        assert spec.inputs["opening"] == plan.opening.done()
        assert spec.inputs["segmenter"] == segmenters[key]
    assert set(segmenters.values()) <= set(plan.opening.inputs.values())


def test_a_killed_comparison_goes_on_and_opens_once(tmp_path: Path) -> None:
    """After any number of passes, and between the entry of the opening and its result."""
    protocol = Protocol(tmp_path)
    whole = Protocol(tmp_path / "whole").run()
    for passes in range(1, 5):
        protocol.run(passes)
    assert protocol.run().finished
    opening = protocol.run().opening
    assert opening is not None
    assert whole.opening is not None
    assert opening.digest == whole.opening.digest
    (protocol.tiny.work.job(opening).path / "result.json").unlink()
    plan = protocol.run()
    assert plan.finished
    assert not plan.extended
    assert len((tmp_path / "openings.jsonl").read_text().splitlines()) == 1


def test_replicates_have_seeds_of_their_own(tmp_path: Path) -> None:
    plan = Protocol(tmp_path, replicates={"count": 3, "seed": 2000}).run(passes=1)
    assert [replicate.seed for replicate in plan.replicates] == [2000, 2001, 2002]
    with pytest.raises(ValueError, match="1000"):
        tiny_experiment(replicates={"seed": 999})


def test_arms_without_a_generator_need_no_stage(tmp_path: Path) -> None:
    decision = {"baseline": "traditional", "candidate": "none", "secondary": []}
    protocol = Protocol(tmp_path, arms=["traditional", "none"], decision=decision)
    plan = protocol.run()
    assert plan.finished
    assert set(protocol.kinds()) == {"segmenter", "test-score"}
    assert all(
        not replicate.stages and replicate.synthesis is None for replicate in plan.replicates
    )


def test_only_arms_with_synthetic_pairs_read_them(tmp_path: Path) -> None:
    plan = Protocol(tmp_path).run(passes=1)
    for replicate in plan.replicates:
        reading = {arm for arm, spec in replicate.segmenters.items() if "extra" in spec.inputs}
        assert reading == {"gan", "traditional+gan"}
        assert len({spec.seed for spec in replicate.segmenters.values()}) == 1


def test_the_rule_is_no_part_of_any_training(tmp_path: Path) -> None:
    first = Protocol(tmp_path).run()
    other = Protocol(tmp_path).again(decision={"margin": 0.02})
    second = other.run()
    assert second.replicates == first.replicates
    assert set(other.kinds()) == {"test-score"}
    assert second.opening != first.opening


@pytest.mark.parametrize(
    "change",
    [
        {"decision": {"margin": 0.02}},
        {"decision": {"secondary": []}},
        {"replicates": {"count": 3}},
        {"segmentation": {"updates": 16}},
    ],
)
def test_whatever_is_added_after_the_opening_is_marked(tmp_path: Path, change: Any) -> None:
    assert not Protocol(tmp_path).run().extended
    extended = Protocol(tmp_path).again(**change).run()
    assert extended.finished
    assert extended.extended
    assert not Protocol(tmp_path).run().extended  # the first rule keeps its verdict


def test_the_rule_names_the_question_where_it_adds_and_is_as_ever_where_it_replaces(
    tmp_path: Path,
) -> None:
    """Rules of comparisons made before there were two questions stay what they were."""
    assert Protocol(tmp_path).planner.rule()["decision"] == {
        "baseline": "traditional",
        "candidate": "traditional+gan",
        "secondary": [["traditional", "gan"]],
        "margin": 0.01,
    }
    groups = {"small": {"words": "w", "groups": {"small": ["a"], "not small": ["b"]}}}
    asked = Protocol(tmp_path, decision={"subgroups": ["small"], "subgroups_file": "/x/y.csv"})
    declared = replace(asked.planner, subgroups=groups).rule()
    assert declared["decision"]["subgroups"] == ["small"]
    assert "subgroups_file" not in declared["decision"]
    assert declared["subgroups"] == {"small": groups["small"]["groups"]}
    by_distance = Protocol(tmp_path, decision={"measure": "hd95_mm"}).planner.rule()["decision"]
    assert (by_distance["measure"], by_distance["margin"]) == ("hd95_mm", 1.0)
    pair = ("traditional+nothing", "traditional+gan:added")
    more = {"arms": pair, "decision": {"question": "add", "secondary": []}}
    protocol = Protocol(tmp_path / "add", **more, learning_curve={"patients": [2]})
    assert protocol.planner.rule()["decision"]["question"] == "add"
    plan = protocol.run()
    assert plan.finished
    (level,) = plan.levels  # the primary comparison at fewer patients: that of the question
    assert [tuple(replicate.segmenters) for replicate in level.replicates] == [pair]


def test_another_question_about_other_patients_is_no_extension(tmp_path: Path) -> None:
    assert not Protocol(tmp_path).run().extended
    protocol = Protocol(tmp_path, decision={"margin": 0.02})
    other = Tiny(tmp_path, protocol.tiny.experiment, salt="q")
    protocol.tiny = other
    protocol.hands.work = other.work
    assert not protocol.run().extended


def test_a_comparison_without_test_patients_is_refused_before_any_training(tmp_path: Path) -> None:
    protocol = Protocol(tmp_path, roles=("train", "train", "validation"))
    graph = JobGraph(protocol.tiny.work)
    with pytest.raises(DataError) as error:
        protocol.planner.plan(graph)
    assert str(error.value) == (
        "a comparison needs test patients, but no patient has that role; see data.roles"
    )
    assert graph.wanted() == []
