"""`harness collapse`: the verdict first, for people, machines and scripts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from factories.cli import run_cli
from factories.fake_executor import FakeExecutor, verdict

from harness.base.console import Console
from harness.commands.chosen_settings import stage_sweep
from harness.commands.session import Session
from harness.config.load import load_experiment
from harness.jobs.folder import WorkFolder


@pytest.fixture
def swept(here: Path, experiment: str, prepared: Path) -> str:
    """The tiny experiment after its mask sweep, by a stand-in: batch 12 of seed 1 collapsed."""
    shutil.copytree(prepared, here / "harness-work")
    session = Session(load_experiment(here / experiment), here / "harness-work", Console(True))

    def score(config: Any, seed: int, epoch: int) -> dict[str, Any]:
        lost = config["batch_size"] == 12 and seed == 1 and epoch > 1
        word, ratio = ("mode collapse", 0.2) if lost else ("healthy", 1.0)
        return {"quality/kid": 0.1, "collapse": verdict(word, ratio)}

    hands = FakeExecutor(session.work, score)
    hands.drive(lambda graph: stage_sweep(session, "mask").plan(graph))
    return experiment


VERDICT = (
    "mask stage: 1 of 4 trainings collapsed (1 mode collapse, 3 healthy); "
    "all seeds agree in 1 of 2 settings."
)


def test_the_verdict_on_collapse_is_the_first_line(here: Path, swept: str) -> None:
    answer = run_cli("collapse", swept)
    assert answer.code == 0
    assert answer.out.splitlines() == [VERDICT]
    shown = answer.err.strip().partition("\n\nevidence: ")[0]
    heading, head, *rows, summary, advice = shown.splitlines()
    assert heading == "Mask stage"
    assert head.split() == ["trial", "seed", "verdict", "since", "epoch", "setting"]
    assert len({row.index("batch size") for row in rows}) == 1  # columns are aligned
    lost = [row.split() for row in rows if "mode collapse" in row]
    assert lost == [[lost[0][0], "1", "mode", "collapse", "2", "(samples)", "batch", "size", "12"]]
    assert sum("healthy" in row for row in rows) == 3
    assert summary == f"1 of 4 seeds collapsed, in trial {lost[0][0]}."
    assert advice.endswith("narrow sweep.mask.space and sweep again.")
    assert answer.then == ["harness", "report", "tiny.yaml", "--open"]
    assert "evidence: harness-work/experiments/tiny/report/index.html#collapse" in answer.err
    page = (here / "harness-work/experiments/tiny/report/index.html").read_text()
    assert VERDICT in page
    assert not (here / "harness-work" / "jobs" / "image-stage").exists()  # it trains nothing


def test_collapse_answers_machines(here: Path, swept: str) -> None:
    found = run_cli("collapse", swept, "--json").json
    assert (found["verdict"], found["collapsed"]) == (VERDICT, 1)
    assert list(found["stages"]) == ["mask"]
    mask = found["stages"]["mask"]
    (row,) = [row for row in mask["seeds"] if row["word"] == "mode collapse"]
    assert (row["seed"], row["params"], row["seen"]) == (1, {"batch_size": 12}, 2)
    assert row["ratios"]["vendi_score"] == 0.2
    assert sorted((rate["collapsed"], rate["of"]) for rate in mask["settings"]) == [(0, 2), (1, 2)]
    assert mask["caution"] == ""


def test_a_collapse_can_fail_a_script(here: Path, swept: str) -> None:
    answer = run_cli("collapse", swept, "--fail-on", "collapse", "-q")
    assert (answer.code, answer.out) == (4, VERDICT + "\n")
    assert run_cli("collapse", swept, "-q").code == 0


def test_a_sweep_chosen_by_outcome_has_no_rates_of_collapse(
    here: Path, experiment: str, prepared: Path
) -> None:
    shutil.copytree(prepared, here / "harness-work")
    changes = ["-s", "sweep.sampler=tpe"]
    loaded = load_experiment(here / experiment, changes[1:])
    session = Session(loaded, here / "harness-work", Console(True))
    scored = FakeExecutor(session.work, lambda config, seed, epoch: {"quality/kid": 1.0})
    scored.drive(lambda graph: stage_sweep(session, "mask").plan(graph))
    answer = run_cli("collapse", experiment, *changes)
    assert "so counts are not rates" in answer.err


def test_a_summary_says_what_the_collapsed_seeds_share(
    here: Path, experiment: str, prepared: Path
) -> None:
    shutil.copytree(prepared, here / "harness-work")
    rates = "{batch_size: {values: [6, 12]}, optimiser.learning_rate: {values: [0.0002, 0.001]}}"
    changes = ["-s", f"sweep.mask.space={rates}", "-s", "sweep.mask.trials=4"]
    loaded = load_experiment(here / experiment, changes[1::2])
    session = Session(loaded, here / "harness-work", Console(True))

    def score(config: Any, seed: int, epoch: int) -> dict[str, Any]:
        lost = config["optimiser"]["learning_rate"] == 0.001 and (config["batch_size"] > 6 or seed)
        return {"quality/kid": 0.1, "collapse": verdict("mode collapse" if lost else "healthy")}

    FakeExecutor(session.work, score).drive(lambda graph: stage_sweep(session, "mask").plan(graph))
    answer = run_cli("collapse", experiment, *changes)
    assert "\n3 of 8 seeds collapsed, all at learning rate 0.001.\n" in answer.err


def test_where_nothing_was_swept_collapse_reads_nobody(here: Path, experiment: str) -> None:
    WorkFolder(here / "harness-work").begin()
    answer = run_cli("collapse", experiment)
    assert (answer.code, answer.out) == (2, "")
    assert "but this experiment has none in this work folder; run harness sweep" in answer.err
    assert "read patients" not in answer.err
    assert not (here / "harness-work" / "patient-index").exists()
    assert not (here / "harness-work" / "jobs").exists()


def test_a_refused_command_leaves_the_note_of_the_one_before(
    here: Path, experiment: str, prepared: Path
) -> None:
    shutil.copytree(prepared, here / "harness-work")
    assert run_cli("prepare", experiment, "--engine", "inline").code == 0
    assert run_cli("collapse", experiment).code == 2
    told = run_cli("status", experiment)
    assert "finished: harness prepare ended" in told.out + told.err
