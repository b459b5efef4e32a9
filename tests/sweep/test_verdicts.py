"""Verdicts on a sweep by hand: rates, their intervals, axes, cautions, since when."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from factories.fake_executor import verdict
from scipy.stats import binomtest

from harness.config.stages import DcganConfig
from harness.jobs.folder import WorkFolder
from harness.jobs.spec import Phases, Spec
from harness.sweep.plan import SeedRun, SweepPlan, TrialRun
from harness.sweep.study import Trial
from harness.sweep.verdicts import Rate, Verdicts, sweep_verdicts

GOOD, PART, MODE, LOST, OPEN = (
    "healthy", "partial collapse", "mode collapse", "convergence failure", "undecided",
)  # fmt: skip


class Sweep:
    """A sweep whose scores hold the verdicts that a test wants."""

    def __init__(self, root: Path) -> None:
        self.work = WorkFolder(root)
        self.plan = SweepPlan("mask", "study", "quality/kid", "minimize")

    def trial(self, epochs: int, *seeds: Mapping[int, Any] | str | None, **params: Any) -> None:
        """Each seed: its verdict at the last epoch, or by epoch; None is not scored yet."""
        number = len(self.plan.trials)
        runs = []
        for seed, words in enumerate(seeds):
            by_epoch = words if isinstance(words, Mapping) else {epochs: words}
            training = Spec("mask-stage", params, seed)
            scores = {e: self._score(training, e, word) for e, word in by_epoch.items()}
            result = self.work.job(scores[epochs]).result()
            runs.append(SeedRun(seed, Phases(training, epochs, epochs), scores, result))
        trial = Trial(number, {**params, "schedule.epochs": epochs}, 0.1, 0)
        settings = DcganConfig.model_validate({"schedule": {"epochs": epochs}})
        self.plan.trials.append(TrialRun(trial, settings, epochs, tuple(runs)))

    def _score(self, training: Spec, epoch: int, word: Any) -> Spec:
        spec = Spec("mask-score", {}, inputs={"training": training.done(epoch)})
        job = self.work.job(spec)
        if word is not None and job.result() is None:
            found = verdict(word, onset=3 if word == LOST else None)
            values = {"epoch": epoch, "collapse": {**found, **({} if word != OPEN else NOTHING)}}
            job.open(spec)
            job.finish([], values, {}, {"seconds": 1.0}, {})
        return spec

    def verdicts(self, sampler: str = "random") -> Verdicts:
        found = sweep_verdicts(self.work, self.plan, sampler)
        assert found is not None
        return found


NOTHING = {"signs": [], "p": None, "precision": None, "real_precision": None}


@pytest.fixture
def sweep(folder: Path) -> Sweep:
    return Sweep(folder)


def ends(k: int, n: int) -> Any:
    found = binomtest(k, n).proportion_ci(method="wilson")
    return pytest.approx((found.low, found.high))


def rates_of(found: Verdicts, axis: str) -> dict[Any, Rate]:
    return {rate.value: rate for rate in found.axes if rate.axis == axis}


def test_a_setting_has_its_counts_its_share_and_wilsons_interval(sweep: Sweep) -> None:
    sweep.trial(8, GOOD, PART, LOST, MODE, batch_size=6)
    sweep.trial(8, GOOD, GOOD, GOOD, GOOD, batch_size=12)
    first, second = sweep.verdicts().settings
    assert (first.axis, first.value, first.collapsed, first.of) == ("trial", 0, 3, 4)
    assert first.words == {GOOD: 1, PART: 1, LOST: 1, MODE: 1}
    assert first.interval == ends(3, 4)
    assert (second.collapsed, second.of, second.interval) == (0, 4, ends(0, 4))
    # None of 4, by hand: 0 to z^2 / (4 + z^2) = 3.8415 / 7.8415.
    assert second.interval is not None
    assert second.interval == pytest.approx((0.0, 0.48989), abs=1e-5)


def test_an_axis_that_does_not_apply_to_a_trial_leaves_its_seeds_out(sweep: Sweep) -> None:
    sweep.trial(8, GOOD, GOOD, noise="normal")
    for label, word in ((0.9, MODE), (1.0, GOOD)):
        sweep.trial(8, word, word, noise="uniform", real_label=label)
    found = sweep.verdicts()
    counts = {
        value: (rate.collapsed, rate.of) for value, rate in rates_of(found, "real_label").items()
    }
    assert counts == {0.9: (2, 2), 1.0: (0, 2)}

    def counts(axis: str) -> dict[Any, tuple[int, int]]:
        return {value: (r.collapsed, r.of) for value, r in rates_of(found, axis).items()}

    assert counts("real_label") == {0.9: (2, 2), 1.0: (0, 2)}
    assert counts("noise") == {"normal": (0, 2), "uniform": (2, 4)}


def test_the_sentence_counts_and_says_where_seeds_agree(sweep: Sweep) -> None:
    sweep.trial(8, GOOD, PART, batch_size=6)
    sweep.trial(8, MODE, MODE, batch_size=12)
    sweep.trial(8, LOST, LOST, batch_size=16)
    found = sweep.verdicts()
    assert found.agreeing == (2, 3)
    assert found.sentence == (
        "mask stage: 5 of 6 trainings collapsed (2 convergence failure, 2 mode collapse, "
        "1 partial collapse, 1 healthy); all seeds agree in 2 of 3 settings."
    )


def test_one_seed_a_setting_cannot_agree(sweep: Sweep) -> None:
    sweep.trial(8, GOOD, batch_size=6)
    found = sweep.verdicts()
    assert found.agreeing == (0, 0)
    assert found.sentence == "mask stage: 0 of 1 trainings collapsed (1 healthy)."


def test_what_is_undecided_is_in_no_share(sweep: Sweep) -> None:
    sweep.trial(8, OPEN, PART, GOOD, batch_size=6)
    sweep.trial(8, OPEN, OPEN, batch_size=12)
    first, second = sweep.verdicts().settings
    assert (first.collapsed, first.of, first.interval) == (1, 2, ends(1, 2))
    assert first.words[OPEN] == 1
    assert (second.of, second.interval) == (0, None)


def test_a_lineage_counts_once_under_other_axes_than_its_length(sweep: Sweep) -> None:
    """Each training is read out at 4 and at 8 epochs: collapsed at 4, recovered at 8 but one."""
    for batch, lasts in ((6, (GOOD, GOOD)), (12, (GOOD, MODE))):
        sweep.trial(4, PART, PART, batch_size=batch)
        sweep.trial(8, *lasts, batch_size=batch)
    found = sweep.verdicts()
    assert len(found.seeds) == 8
    assert len({row.job for row in found.seeds}) == 4
    by_batch = rates_of(found, "batch_size")
    assert {value: (r.collapsed, r.of) for value, r in by_batch.items()} == {6: (0, 2), 12: (1, 2)}
    assert by_batch[12].interval == ends(1, 2)
    by_length = rates_of(found, "schedule.epochs")
    assert {value: (r.collapsed, r.of) for value, r in by_length.items()} == {4: (4, 4), 8: (1, 4)}


def test_an_axis_without_a_value_twice_or_with_one_value_has_no_rates(sweep: Sweep) -> None:
    for number in range(4):
        sweep.trial(8, GOOD, batch_size=6 + 6 * (number % 2), rate=0.1 * number, width=4)
    assert {rate.axis for rate in sweep.verdicts().axes} == {"batch_size"}


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_trials_chosen_by_outcome_have_counts_and_no_rates(sweep: Sweep, sampler: str) -> None:
    sweep.trial(8, PART, GOOD, batch_size=6)
    sweep.trial(8, PART, GOOD, batch_size=12)
    found = sweep.verdicts(sampler)
    assert f"'{sampler}'" in found.caution
    assert "not rates" in found.caution
    for rate in (*found.settings, *found.axes):
        assert rate.interval is None
        assert (rate.collapsed, rate.of) == (1, 2)
    assert sweep.verdicts("grid").caution == ""


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ({1: MODE, 4: GOOD, 8: PART, 16: MODE}, 8),
        ({1: MODE, 4: MODE, 8: PART, 16: LOST}, 1),
        ({1: GOOD, 4: GOOD, 8: GOOD, 16: PART}, 16),
        ({1: MODE, 4: PART, 8: MODE, 16: GOOD}, None),
        ({1: MODE, 4: OPEN, 8: PART, 16: PART}, 8),
        ({1: MODE, 4: PART, 8: None, 16: PART}, 1),
    ],
)
def test_since_when_it_was_seen_without_a_break(
    sweep: Sweep, words: dict[int, str | None], seen: int | None
) -> None:
    sweep.trial(16, words, batch_size=6)
    (row,) = sweep.verdicts().seeds
    assert row.seen == seen
    assert row.by_epoch == {epoch: word for epoch, word in words.items() if word}
    assert row.collapsed == (words[16] != GOOD)


def test_a_seed_carries_its_evidence(sweep: Sweep) -> None:
    sweep.trial(8, LOST, OPEN, batch_size=6)
    lost, unclear = sweep.verdicts().seeds
    assert (lost.word, lost.onset, lost.p) == (LOST, 3, 0.5)
    assert lost.sentence.startswith("Convergence failure")
    assert lost.ratios == dict.fromkeys(
        ("mean_distance", "vendi_score", "non_duplicates", "coverage"), 1.0
    )
    assert lost.precision is not None
    assert math.isclose(lost.precision, 0.8 / 0.9)
    assert lost.params == {"batch_size": 6, "schedule.epochs": 8}
    assert (unclear.ratios, unclear.p, unclear.precision) == ({}, None, None)


def test_what_is_not_scored_to_its_end_is_not_judged(sweep: Sweep) -> None:
    sweep.trial(8, {4: MODE, 8: None}, GOOD, batch_size=6)
    found = sweep.verdicts()
    assert [row.seed for row in found.seeds] == [1]
    result = sweep.plan.trials[0].seeds[1].result
    assert result is not None
    assert found.finished == int(result["finished"] * 1000)


def test_nothing_scored_has_no_verdicts(sweep: Sweep) -> None:
    assert sweep_verdicts(sweep.work, sweep.plan, "grid") is None
    sweep.trial(8, None, None, batch_size=6)
    assert sweep_verdicts(sweep.work, sweep.plan, "grid") is None
