"""How much of a command is left, by hand-worked cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.jobs.folder import WorkFolder
from harness.jobs.forecast import Forecast, UnderWay, Work
from harness.jobs.spec import Input, Request, Spec
from harness.jobs.status import missing


def training(seed: int, *epochs: int, after: int | None = None) -> Request:
    """A training, or a decay that goes on after an epoch of it."""
    if after is None:
        return Request(Spec("image-stage", {}, seed), epochs)
    steady = {"steady": Input("image-stage", f"{seed}", after)}
    return Request(Spec("image-decay", {}, seed, inputs=steady), epochs)


def score(number: int) -> Request:
    return Request(Spec("image-score", {"number": number}))


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    found = WorkFolder(tmp_path / "work")
    found.begin()
    return found


def ask(forecast: Forecast, work: WorkFolder, requests: list[Request]) -> None:
    """As a planning pass does."""
    forecast.ask(work, requests, [r for r in requests if missing(work, r)])


def finish(work: WorkFolder, request: Request) -> None:
    folder = work.job(request.spec)
    folder.open(request.spec)
    for epoch in request.epochs or (None,):
        folder.finish([], {}, {}, {}, {}, epoch)


def test_work_is_counted_in_epochs_and_jobs() -> None:
    counted = Work.of([training(1, 4, 20), training(1, 30, after=20), score(1), score(2)])
    assert counted.jobs == {"image-stage": 1, "image-decay": 1, "image-score": 2}
    assert counted.units == {"image-stage": 20, "image-decay": 10, "image-score": 2}


def test_what_is_expected_becomes_what_is_asked_for_and_then_what_is_left(
    work: WorkFolder,
) -> None:
    both = [training(seed, 20) for seed in (1, 2)]
    scores = [score(n) for n in (1, 2)]
    forecast = Forecast(lambda: Work.of([*both, *scores]), {"image-stage": 3.0, "image-score": 5.0})
    assert forecast.counts() == (0, 4)
    assert forecast.left([]) == pytest.approx(2 * 20 * 3 + 2 * 5)
    ask(forecast, work, both)  # a sweep asks for scores later; nothing is counted twice
    assert forecast.counts() == (0, 4)
    assert forecast.left([]) == pytest.approx(130)
    finish(work, both[0])
    ask(forecast, work, [*both, *scores])
    assert forecast.counts() == (1, 4)
    assert forecast.left([]) == pytest.approx(20 * 3 + 2 * 5)
    ask(forecast, work, [training(seed, 20) for seed in (3, 4)])  # more than was expected
    assert forecast.counts() == (1, 6)
    for request in (*both, *scores, training(3, 20), training(4, 20)):
        finish(work, request)
    ask(forecast, work, [*both, *scores, training(3, 20), training(4, 20)])
    assert forecast.counts() == (6, 6)
    assert forecast.left([]) == 0


def test_a_checkpoint_that_is_there_is_not_left(work: WorkFolder) -> None:
    finish(work, training(1, 15))
    forecast = Forecast(lambda: Work.of([training(1, 15, 20)]), {"image-stage": 2.0})
    ask(forecast, work, [training(1, 15, 20)])
    assert forecast.left([]) == pytest.approx(5 * 2)


def test_the_pace_is_the_measured_one_and_corrects_what_was_only_timed(work: WorkFolder) -> None:
    first, second, decay = training(1, 20), training(2, 20), training(2, 30, after=20)
    forecast = Forecast(
        lambda: Work.of([first, second, decay]), {"image-stage": 1.0, "image-decay": 2.0}, workers=1
    )
    finish(work, first)
    forecast.measure(UnderWay(first, 20, 20, 60.0))  # three times as slow as timed
    ask(forecast, work, [first, second, decay])
    assert forecast.left([]) == pytest.approx(20 * 3 + 10 * 2 * 3)
    # 10 more epochs in 90 s: 150 s for 30 epochs in all.
    assert forecast.left([UnderWay(second, 10, 10, 90.0)]) == pytest.approx(10 * 5 + 10 * 2 * 5)


def test_trainings_of_seconds_tell_nothing_of_those_of_hours(work: WorkFolder) -> None:
    short, long = training(1, 2), training(2, 30, after=20)
    forecast = Forecast(
        lambda: Work.of([short, long]), {"image-stage": 0.1, "image-decay": 60.0}, workers=1
    )
    finish(work, short)
    forecast.measure(UnderWay(short, 2, 2, 6.0))  # loading torch, mostly
    ask(forecast, work, [short, long])
    assert forecast.left([]) == pytest.approx(10 * 60)


def test_workers_share_the_work_but_not_a_training(work: WorkFolder) -> None:
    requests = [training(seed, 10) for seed in range(6)]
    forecast = Forecast(lambda: Work.of(requests), {"image-stage": 1.0}, workers=3)
    ask(forecast, work, requests)
    assert forecast.left([]) == pytest.approx(20)
    for request in requests[1:]:
        finish(work, request)
    ask(forecast, work, requests)
    assert forecast.left([]) == pytest.approx(10), "of the one that is left, two workers do none"


def test_a_kind_that_nobody_timed_takes_a_twelfth_of_a_training(work: WorkFolder) -> None:
    requests = [training(1, 24), training(2, 24), score(1), score(2), score(3)]
    forecast = Forecast(lambda: Work.of(requests), {"image-stage": 1.0})
    assert forecast.left([]) == pytest.approx(48 + 3 * 24 / 12)
    assert Forecast(lambda: Work.of(requests), {}).left([]) is None


def test_what_a_sweep_asked_for_takes_the_place_of_what_was_drawn(work: WorkFolder) -> None:
    drawn = [training(seed, 100) for seed in (8, 9)]
    forecast = Forecast(lambda: Work.of(drawn), {"image-stage": 1.0})
    drawn[0] = training(1, 10)  # the first trial was asked, and is a short one
    ask(forecast, work, [training(1, 10)])
    assert forecast.left([]) == pytest.approx(200)
    forecast.renew()
    assert forecast.left([]) == pytest.approx(110)
