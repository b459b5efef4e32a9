"""Command by command from pairs to a page: each says what to type next."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import yaml
from factories.cli import run_cli
from factories.finished import SHORT, compare_arms, sweep_masks

from harness.base.console import Console
from harness.commands.session import Session
from harness.config.load import load_experiment
from harness.jobs.forecast import TRAINING_IN_JOBS


def test_the_path_command_by_command(here: Path, experiment: str, prepared: Path) -> None:
    """Each command's object, and its last line leads to the next command. A stand-in trains."""
    changes = [word for change in SHORT for word in ("-s", change)]
    own = repeated = [experiment, *changes, "--workdir", "my work"]

    shutil.copytree(prepared, here / "my work")
    page = run_cli("report", *own, "--json")
    assert page.json == {
        "report": "my work/experiments/tiny/report/index.html",
        "published": None,
        "finished": False,
        "verdicts": [],
    }
    assert page.then == ["harness", "run", *repeated]
    assert "No answer yet" in (here / page.json["report"]).read_text()

    pairs = run_cli("prepare", *own, "--engine", "inline", "--json")
    assert pairs.json["values"]["patients"] == {"train": 3, "validation": 1, "test": 1}
    assert (here / pairs.json["store"] / "meta.json").exists()
    assert pairs.then == ["harness", "run", experiment, "--dry-run", *repeated[1:]]
    assert pairs.err.count("patients: ") == 1

    dry = run_cli("sweep", *own, "--stage", "mask", "--dry-run", "--trials", "1", "--json")
    plan, (part,) = dry.json["plan"], dry.json["plan"]["parts"]
    # 2 seeds of 2 epochs, scored at both, and what real images are like.
    assert (part["part"], part["trainings"], part["jobs"]) == ("mask sweep", 2, 2 + 4 + 1)
    each = plan["seconds_per_unit"]
    training, scoring = 2 * 2 * each["mask-stage"], 4 * each["mask-score"]
    diversity = 2 * each["mask-stage"] / TRAINING_IN_JOBS
    assert part["seconds"] == pytest.approx((training + scoring + diversity) / plan["workers"])
    assert plan["memory"]["worker"] > 100_000_000
    assert plan["problems"] == []
    # A training of a second is nothing beside two passes through a feature network.
    share = f"scoring takes {100 * scoring / training:.0f} % of the mask stage's training time"
    assert share in dry.err
    assert "lower metrics.scored_epochs or metrics.images" in dry.err
    assert "this machine has it" in dry.err
    assert "nothing was trained" in dry.err
    assert dry.then == ["harness", "sweep", experiment, "--stage", "mask", *changes, "-s",
                        "sweep.mask.trials=1", "--workdir", "my work"]  # fmt: skip
    assert not (here / "my work" / "jobs" / "mask-stage").exists()
    assert run_cli("collapse", *own).code == 2

    experiment_now = load_experiment(here / experiment, changes[1::2])
    session = Session(experiment_now, here / "my work", Console(True))
    hands = sweep_masks(session)
    swept = run_cli("sweep", *own, "--engine", "inline", "--json")
    (entry,) = swept.json["sweeps"]
    assert (entry["stage"], entry["finished"], len(entry["trials"])) == ("mask", True, 2)
    chosen = yaml.safe_load((here / swept.json["chosen"]).read_text())
    assert chosen["mask"]["trial"] == entry["best"]
    values = {t["params"]["batch_size"]: t["value"] for t in entry["trials"]}
    assert values == {6: 6.0, 12: 12.0}
    assert chosen["mask"]["params"] == {"batch_size": 6}
    assert f" * trial   {entry['best']}: 6  (batch size 6)" in swept.err
    assert swept.then == ["harness", "compare", *repeated]

    collapsed = run_cli("collapse", *own, "--json")
    assert collapsed.json["collapsed"] == 0
    assert collapsed.json["verdict"] == (
        "mask stage: 0 of 4 trainings collapsed (4 healthy); all seeds agree in 2 of 2 settings."
    )
    assert len(collapsed.json["stages"]["mask"]["seeds"]) == 4
    evidence, anchor = collapsed.json["report"].split("#")
    assert f'id="{anchor}"' in (here / evidence).read_text()
    assert collapsed.then == ["harness", "compare", *repeated]

    compare_arms(session, hands)
    compared = run_cli("compare", *own, "--engine", "inline", "--json")
    assert compared.json["means"] == {"traditional": 0.5, "traditional+gan": 0.625}

    public = run_cli("report", *own, "--publish", "reports", "--json")
    assert public.json["published"] == "reports/tiny/index.html"
    assert (here / "reports/tiny/scores.csv").exists()
    assert "[tiny](tiny/index.html)" in (here / "reports/README.md").read_text()
    (here / "notes").mkdir()
    (here / "notes/README.md").write_text("my own notes")
    assert "but got another one in 'notes'" in run_cli("report", *own, "--publish", "notes").err
    assert (here / "notes/README.md").read_text() == "my own notes"
    again = run_cli("report", *own, "--publish", "reports")
    assert "published: reports/tiny/index.html" in again.err
    asks = run_cli("report", *own, "--publish", "reports", "-s", "question=Another one?")
    assert (asks.code, "may only replace one of the same question" in asks.err) == (2, True)
    (here / "a file").write_text("")
    refused = run_cli("report", *own, "--publish", "a file")
    assert refused.code == 2
    assert "--publish must be a folder that can be written, but got 'a file'" in refused.err
    assert compared.json["chosen"]["mask"].startswith(f"trial {chosen['mask']['trial']} of study")
    assert "mask stage: trial" in compared.err
    assert "image stage: the experiment's own settings" in compared.err
    (effect,) = compared.json["effects"]
    assert effect["status"] == "cells only"
    with open(here / compared.json["scores"], newline="") as file:
        cells = list(csv.DictReader(file))
    assert len(cells) == 2 * 1 * 1  # arms, replicates, test patients
    assert compared.then == ["harness", "report", *repeated]

    page = run_cli("report", *own, "--json")
    assert page.json["finished"]
    assert page.json["verdicts"] == compared.json["verdicts"]
    assert page.then == []  # nothing is tracked, so there are no pages to open

    again = run_cli("run", *own, "--json", "-q")
    assert again.json["verdicts"] == compared.json["verdicts"]
    assert again.err == "warning: this experiment shows the path; it is too short to conclude\n"


def test_an_experiment_that_makes_no_masks_goes_on_to_its_sweep(
    here: Path, experiment: str, prepared: Path
) -> None:
    shutil.copytree(prepared, here / "harness-work")
    changes = ["-s", "mask.learns=ct"]
    answer = run_cli("prepare", experiment, *changes, "--engine", "inline")
    assert answer.then == ["harness", "sweep", experiment, "--dry-run", *changes]
