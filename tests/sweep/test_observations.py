"""Observations: what holds over the seeds of a sweep, told from values written down here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories.fake_executor import FakeExecutor, verdict
from factories.sweep import COMPUTE, EXTRACTOR, Sweep

from harness.base.files import write_json
from harness.base.text import interval
from harness.commands.sweep_text import observation_lines
from harness.config.experiment import Experiment
from harness.jobs.spec import Request
from harness.report.index import publish_index
from harness.report.sweeps import make_trials
from harness.sweep.observations import Observation, _digits, observe, observed_sentence
from harness.work.specs import Specs

KID = {6: (0.5, 0.6, 0.7), 12: (0.9, 1.0, 1.1)}
FAR = {6: (0.5, 0.6, 0.7), 12: (0.9, 0.3, 2.1)}
WORDS = {6: ("healthy",) * 3, 12: ("healthy", "mode collapse", "convergence failure")}


def observed(
    root: Path,
    claims: list[dict[str, Any]],
    table: Mapping[int, tuple[float | None, ...]] = KID,
    **more: Any,
) -> list[Observation]:
    """What claims about a mask sweep come to whose seeds score as in a table by batch size."""

    def score(config: Mapping[str, Any], seed: int, epoch: int) -> dict[str, Any]:
        size, n = config["batch_size"], seed % 10
        value = table[size][n]
        word = WORDS[size][n]
        return {
            "quality/kid": None if value is None else value + 8 / epoch - 1,
            "converged": word != "convergence failure",
            "collapse": verdict(word, onset=None if word == "healthy" else 5 + n),
        }

    sweep = Sweep(root, score, seeds=3, **more)
    plain = sweep.experiment.model_dump(mode="json")
    plain["metrics"]["scored_epochs"] = [2, 8]
    plain["observations"] = [{"stage": "mask", **claim} for claim in claims]
    sweep.experiment = Experiment.model_validate(plain)
    sweep.specs = Specs(sweep.experiment, COMPUTE, EXTRACTOR)
    return observe(sweep.work, sweep.experiment.observations, [sweep.run()])


def batches(first: int, second: int, **more: Any) -> dict[str, Any]:
    return {
        "says": f"Batch {first} is better than {second}.",
        "score": "quality/kid",
        "of": {"params": {"batch_size": first, "schedule.epochs": 8}},
        "than": {"params": {"batch_size": second, "schedule.epochs": 8}},
        **more,
    }


def test_a_difference_holds_fails_or_cannot_be_told_by_its_interval_over_seeds(
    tmp_path: Path,
) -> None:
    claims = [batches(6, 12), batches(12, 6), batches(12, 6, expects="higher")]
    better, worse, higher = observed(tmp_path / "near", claims)
    assert (better.word, worse.word, higher.word) == ("holds", "does not hold", "holds")
    assert better.values == pytest.approx((-0.4, -0.4, -0.4))
    open_, _, _ = observed(tmp_path / "far", claims, FAR)
    assert open_.word == "cannot be told"
    # -0.4, 0.3, -1.4: mean -0.5, sd 0.8544, t(2) 4.3027, so -0.5 +- 2.1224
    assert open_.interval_95 == pytest.approx((-2.6224, 1.6224), abs=1e-4)
    assert open_.evidence == (
        "KID, batch size 6, epochs 8: 0.5, 0.6, 0.7; batch size 12, epochs 8: 0.9, 0.3, 2.1; "
        "difference: \u22120.5 (\u22122.6 to +1.6)"
    )


def test_trials_that_a_claim_does_not_tell_apart_are_averaged_by_seed(tmp_path: Path) -> None:
    whole = {"of": {"params": {"batch_size": 6}}, "than": {"params": {"batch_size": 12}}}
    (both,) = observed(tmp_path / "lengths", [batches(6, 12, **whole)])
    assert both.values == pytest.approx((-0.4, -0.4, -0.4))
    epochs = {"of": {"epoch": 2}, "than": {}, "expects": "higher"}
    space = {"batch_size": {"values": [6, 12]}}
    (early,) = observed(tmp_path / "one", [batches(6, 12, **epochs)], space=space, trials=2)
    # 8 / epoch - 1 is 3 at epoch 2 and -0.9733 at epoch 300, the same in both trials
    assert early.values == pytest.approx((3.9733,) * 3, abs=1e-4)
    assert early.word == "holds"
    assert "epoch 2" in early.evidence
    assert "all trials" in early.evidence


def test_a_claim_may_compare_with_a_number(tmp_path: Path) -> None:
    claim = batches(6, 12, than=None, than_value=0.9, expects="lower")
    (told,) = observed(tmp_path, [claim])
    assert told.word == "holds"
    assert told.values == pytest.approx((-0.4, -0.3, -0.2))
    assert "difference from 0.9: \u22120.30 (\u22120.55 to \u22120.05)" in told.evidence


def test_a_seed_without_a_value_is_said_and_nothing_told(tmp_path: Path) -> None:
    (told,) = observed(tmp_path, [batches(6, 12)], {6: (0.5, None, 0.7), 12: (0.9, 1.0, 1.1)})
    assert told.word == "cannot be told"
    assert told.evidence.endswith("1 seed without a value, and each must have one")
    assert "0.5, \u2013, 0.7" in told.evidence


def test_a_verdict_must_be_that_of_every_training_which_counts_once(tmp_path: Path) -> None:
    asked = [(6, "healthy"), (6, "collapsed"), (12, "collapsed"), (12, "mode collapse")]
    claims = [
        {"says": "x", "verdict": word, "of": {"params": {"batch_size": size}}}
        for size, word in asked
    ]
    told = observed(tmp_path, claims)
    assert [one.word for one in told] == [
        "holds",
        "does not hold",
        "cannot be told",
        "cannot be told",
    ]
    assert told[2].evidence == (
        "batch size 12: collapsed in 2 of 3 trainings (convergence failure: seed 2 (samples since "
        "epoch 2); healthy: seed 0; mode collapse: seed 1 (samples since epoch 2))"
    )


def test_nothing_is_told_before_the_sweep_has_ended(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, seeds=3)
    asked = Experiment.model_validate({
        **sweep.experiment.model_dump(mode="json"),
        "observations": [{"stage": "mask", **batches(6, 12)}],
    }).observations  # fmt: skip
    for plans, state in (([], "begun"), ([sweep.run(passes=1)], "ended")):
        (told,) = observe(sweep.work, asked, plans)
        assert (told.word, told.evidence) == ("cannot be told", f"the mask sweep has not {state}")


def test_a_grid_that_was_not_gone_through_compares_nothing(tmp_path: Path) -> None:
    rates = {"values": [2e-4, 2e-3]}
    space = {"batch_size": {"values": [6, 12]}, "optimiser.learning_rate": rates}
    sides = {side: {"params": {"batch_size": size}} for side, size in (("of", 6), ("than", 12))}
    claim = batches(6, 12, **sides)
    words = {
        observed(tmp_path / str(trials), [claim], space=space, trials=trials)[0].word: trials
        for trials in (3, 4)
    }
    assert words == {"cannot be told": 3, "holds": 4}


def test_fewer_seeds_or_some_left_out_give_no_firmer_verdict(tmp_path: Path) -> None:
    claim = {"says": "x", "verdict": "healthy", "of": {"params": {"batch_size": 6}}}
    sweep = Sweep(tmp_path, seeds=3)
    asked = Experiment.model_validate({
        **sweep.experiment.model_dump(mode="json"),
        "observations": [{"stage": "mask", **claim}],
    }).observations  # fmt: skip
    plan = sweep.run()
    assert observe(sweep.work, asked, [plan])[0].word == "holds"
    fewer = [replace(run, seeds=run.seeds[:2]) for run in plan.trials]
    (told,) = observe(sweep.work, asked, [replace(plan, trials=fewer)])
    assert told.word == "cannot be told"
    assert told.evidence.endswith("; 3 seeds are needed")
    pruned = [replace(run, seeds=run.seeds[:2], pruned_seeds=1) for run in plan.trials[:1]]
    rest = [run for run in plan.trials if run.trial.params != pruned[0].trial.params]
    (told,) = observe(sweep.work, asked, [replace(plan, trials=[*pruned, *rest])])
    six = pruned[0].trial.params["batch_size"] == 6
    assert told.word == ("cannot be told" if six else "holds")


def test_no_trial_at_all_is_said(tmp_path: Path) -> None:
    when = {"values": [0.9, 1.0], "when": {"noise": ["normal"]}}
    space = {"noise": {"values": ["normal", "uniform"]}, "real_label": when}
    claim = {
        "says": "x",
        "score": "quality/kid",
        "of": {"params": {"real_label": 0.9}},
        "than_value": 1,
    }
    sweep = Sweep(tmp_path, seeds=3, space=space, trials=3)
    asked = Experiment.model_validate({
        **sweep.experiment.model_dump(mode="json"),
        "observations": [{"stage": "mask", **claim}],
    }).observations  # fmt: skip
    plan = sweep.run()
    gone = [run for run in plan.trials if "real_label" not in run.trial.params]
    (told,) = observe(sweep.work, asked, [replace(plan, trials=gone)])
    assert told.evidence == "no trial of the sweep has real label 0.9"


def test_an_interval_close_to_zero_shows_its_side() -> None:
    assert interval((-1.0, -0.0012), _digits((-1.0, -0.0012))) == "\u22121.000 to \u22120.001"
    assert _digits((2.0, 2.0)) == 1


def test_two_seeds_tell_nothing(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, seeds=2)
    asked = Experiment.model_validate({
        **sweep.experiment.model_dump(mode="json"),
        "observations": [{"stage": "mask", **batches(6, 12)}],
    }).observations  # fmt: skip
    (told,) = observe(sweep.work, asked, [sweep.run()])
    assert told.word == "cannot be told"
    assert told.evidence.endswith("3 seeds are needed")


class Hands(FakeExecutor):
    """Tests of Stage II whose bands are the epoch, 10 more at twice the size, 1 a seed."""

    def values(self, request: Request, epoch: int | None) -> dict[str, Any]:
        if request.spec.kind != "image-test":
            return super().values(request, epoch)
        config, seed = request.spec.config, request.spec.seed % 10
        at = request.spec.inputs["training"].epoch or 0
        bands = float(at + 10 * (config["scale"] == 2) + seed)
        return {"masks": {name: {"quality/bands_db": bands} for name in ("validation", "train")}}


def test_tests_of_stage_two_are_told_by_masks_way_and_epoch(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, stage="image", space={"batch_size": {"values": [6]}}, seeds=3)
    plain = sweep.experiment.model_dump(mode="json")
    plain |= {"legacy": {"stage_two": [{"scale": 2}]}}
    plain["metrics"]["scored_epochs"] = [3, 6]
    plain["image"]["schedule"]["epochs"] = 6
    usual = {"masks": "train"}
    plain["observations"] = [
        {"says": says, "stage": "image", "score": "quality/bands_db", "expects": "higher", **sides}
        for says, sides in {
            "size": {"of": {**usual, "test": {"scale": 2}}, "than": usual},
            "epoch": {"of": usual, "than": {**usual, "epoch": 3}},
            "seen": {"of": usual, "than": {"masks": "validation"}},
        }.items()
    ]
    sweep.experiment = Experiment.model_validate(plain)
    sweep.specs = Specs(sweep.experiment, COMPUTE, EXTRACTOR)
    sweep.hands = Hands(sweep.work, sweep.hands.score)
    told = observe(sweep.work, sweep.experiment.observations, [sweep.run()])
    assert [one.values for one in told] == [(10.0,) * 3, (3.0,) * 3, (0.0,) * 3]
    assert [one.word for one in told] == ["holds", "holds", "cannot be told"]
    assert told[0].evidence == (
        "repeated bands, masks seen in training, tested size x 2: 16, 17, 18; masks seen in "
        "training, tested as trained: 6, 7, 8; difference: +10 (+10 to +10)"
    )


@pytest.mark.parametrize(("seeds", "words"), [(3, "\u22120.0115 to 0.0382"), (2, "")])
def test_the_table_of_trials_has_the_interval_over_seeds(
    tmp_path: Path, seeds: int, words: str
) -> None:
    sweep = Sweep(tmp_path, seeds=seeds, trials=1, space={"batch_size": {"values": [12]}})
    plan = sweep.run()
    (line,) = make_trials(plan).lines
    # 1 / 300 after 300 epochs, 0.01 more each seed: 0.01333 +- 4.3027 * 0.01 / 3 ** 0.5
    assert line.interval == words


FOUND = [
    Observation("Shapes begin at 30 epochs.", "holds", "a"),
    Observation("Batch 6 is best", "holds", "b"),
    Observation("It collapses.", "does not hold", "c"),
]


def test_console_and_page_say_how_many_hold() -> None:
    assert observed_sentence([]) == ""
    assert observed_sentence(FOUND) == "Of 3 observations 2 hold, 1 does not hold."
    assert observation_lines(FOUND)[1:3] == [
        "Batch 6 is best. Holds: b.",
        "It collapses. Does not hold: c.",
    ]


def test_the_list_of_reports_has_every_claim_with_its_word(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    summary = {"question": "q", "date": "2026-01-01", "headline": "h", "verdict": None}
    observations = [{"says": one.says, "word": one.word} for one in FOUND]
    more = {"status": "no comparison", "conclusive": True, "observations": observations}
    write_json(tmp_path / "mine" / "report.json", summary | more)
    assert (
        "Holds: Shapes begin at 30 epochs; Batch 6 is best. Does not hold: It collapses."
        in publish_index(tmp_path).read_text()
    )
