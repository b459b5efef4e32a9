"""Planning on what is there: what is wanted, what is missing, what can start now."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories.jobs import count, request, rewrite, text

from harness.jobs.folder import WorkFolder
from harness.jobs.graph import JobGraph
from harness.jobs.runner import run_request
from harness.jobs.spec import Spec

FIRST = text("a")
SECOND = text("b", left=FIRST.done())
THIRD = text("c", left=SECOND.done(), store=FIRST.done())


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    return WorkFolder(tmp_path)


def plan(work: WorkFolder) -> JobGraph:
    graph = JobGraph(work, {"root": "/somewhere"}, pictures=3)
    for spec in (FIRST, SECOND, THIRD):
        graph.need(spec, label=spec.config["text"])
    return graph


def names(requests: list[object]) -> list[str]:
    return [str(r.label) for r in requests]  # type: ignore[attr-defined]


def test_only_what_has_its_inputs_is_ready(work: WorkFolder) -> None:
    for made in range(3):
        graph = plan(work)
        assert names(graph.wanted()) == ["a", "b", "c"]  # type: ignore[arg-type]
        assert names(graph.pending()) == ["a", "b", "c"][made:]  # type: ignore[arg-type]
        assert names(graph.ready()) == ["abc"[made]]  # type: ignore[arg-type]
        run_request(graph.ready()[0], work)
    assert plan(work).pending() == plan(work).ready() == []


def test_need_gives_what_is_there(work: WorkFolder) -> None:
    assert JobGraph(work).need(FIRST) is None
    run_request(request(FIRST), work)
    found = JobGraph(work).need(FIRST)
    assert found is not None
    assert found["values"] == {"length": 1}


def test_what_is_to_be_made_again_is_not_read_meanwhile(work: WorkFolder) -> None:
    """As a score reads its training while both read the store: made one after the other."""
    for spec in (FIRST, SECOND, THIRD):
        run_request(request(spec), work)
    rewrite(work, FIRST, "A")
    order = []
    while plan(work).ready():
        ready = plan(work).ready()
        assert len(ready) == 1
        order += names(ready)  # type: ignore[arg-type]
        run_request(ready[0], work)
    assert order == ["b", "c"]
    assert (work.job(THIRD).path / "text").read_text() == "AbAc"


def test_what_was_lost_and_nobody_asks_for_is_planned_with_what_it_needs(work: WorkFolder) -> None:
    for spec in (FIRST, SECOND, THIRD):
        run_request(request(spec), work)
    for spec in (FIRST, SECOND, THIRD):
        work.job(spec).disown(None)
    last, order = text("d", left=THIRD.done()), []
    while True:
        graph = JobGraph(work)
        graph.need(last, label="last")
        if not graph.pending():
            break
        (only,) = graph.ready()
        order.append(only.spec.digest)
        run_request(only, work)
    assert order == [spec.digest for spec in (FIRST, SECOND, THIRD, last)]
    assert (work.job(last).path / "text").read_text() == "abacd"


def test_an_early_checkpoint_is_read_while_the_training_goes_on(work: WorkFolder) -> None:
    training = count()
    early, late = text("e", left=training.done(2)), text("l", left=training.done(9))
    run_request(request(training, 2), work)
    graph = JobGraph(work)
    for epoch in (2, 9):
        graph.need(training, epoch, "training")
    graph.need(early, label="early")
    graph.need(late, label="late")
    assert names(graph.ready()) == ["training", "early"]  # type: ignore[arg-type]


def test_wishes_for_one_lineage_become_one_request(work: WorkFolder) -> None:
    graph = JobGraph(work, {"root": "/x"}, pictures=5)
    for epoch in (9, 3, 9):
        graph.need(count("n"), epoch, "n")
    (wanted,) = graph.wanted()
    assert wanted.epochs == (3, 9)
    assert wanted.pictures == 5
    assert wanted.runtime == {"root": "/x"}


def test_neither_runtime_nor_label_nor_pictures_are_part_of_a_job(work: WorkFolder) -> None:
    digests = set()
    for number in range(3):
        graph = JobGraph(work, {"root": str(number)}, pictures=number + 1)
        graph.need(FIRST, label=str(number))
        digests.add(graph.wanted()[0].spec.digest)
    assert len(digests) == 1


def test_inputs_of_a_foreign_epoch_do_not_count(work: WorkFolder) -> None:
    training: Spec = count()
    run_request(request(training, 2), work)
    graph = JobGraph(work)
    graph.need(text("l", left=training.done(3)), label="late")
    assert graph.ready() == []
