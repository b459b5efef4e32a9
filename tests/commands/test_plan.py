"""`harness plan`: the cheapest design here, its hours, whose spread it goes by, what is said."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.cli import Answer, run_cli
from factories.decide import vector, write
from factories.openkbp import write_experiment, write_openkbp

from harness.base.console import Console
from harness.base.errors import ConfigError, DataError
from harness.commands import steps
from harness.commands.costs.forecast import plan_ahead, seconds_left
from harness.commands.plan.command import plan_comparison
from harness.commands.plan.cost import cost_of
from harness.commands.plan.text import lines
from harness.commands.session import Session
from harness.config.load import load_experiment
from harness.inference.crossed_t import VarianceComponents
from harness.inference.power import smallest_detectable_effect

TRAIN, TEST = 6, 10
DESIGN = ("replicates.count=5",)
SPREAD = "decision.assumed={patient: 0.01, replicate: 0.03, residual: 0.01}"
NARROW = "decision.assumed={patient: 0.005, replicate: 0.008, residual: 0.01}"
SECONDS = {"mask-stage": 30.0, "image-stage": 40.0, "image-decay": 40.0, "segmenter": 20.0}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the experiment and a work folder that has its pairs."""
    patients = write_openkbp(
        tmp_path_factory.mktemp("openkbp"), {"train": TRAIN, "validation": 1, "test": TEST}
    )
    folder = tmp_path_factory.mktemp("prepared")
    experiment = load_experiment(write_experiment(folder / "tiny.yaml", patients))
    quiet = Console(quiet=True)
    with Session(experiment, folder / "harness-work", quiet, engine="inline").open(False) as of:
        steps.prepare(of)
    return folder


@pytest.fixture
def here(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        monkeypatch.chdir(name)
        shutil.copytree(prepared, name, dirs_exist_ok=True)
        yield Path(name)
        monkeypatch.undo()


def session_in(here: Path, *changes: str) -> Session:
    experiment = load_experiment(here / "tiny.yaml", [*DESIGN, *changes])
    return Session(experiment, here / "harness-work", Console(stream=io.StringIO()), 1, "inline")


def rows_of(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["truth"], row["data"]): row for row in found["rates"]}


def pilot(path: Path, table: np.ndarray, first: int = 500) -> Path:
    """Scores of other patients, whose differences are `table`."""
    write(path, {"B": table})
    text = path.read_text().replace("pt_", f"pt_{first}")
    path.write_text(text)
    return path


# --- designs --------------------------------------------------------------------------------


def test_the_cheapest_design_has_its_hours_and_those_of_the_hours_given(here: Path) -> None:
    found = plan_comparison(session_in(here, NARROW), hours=1e-4, repeats=500)
    best, spread = found["cheapest"], VarianceComponents(0.005, 0.008, 0.01)
    assert best["detectable"] <= 0.01 < smallest_detectable_effect(spread, 10, 9)
    assert (best["patients"], best["replicates"]) == (10, 10)
    assert best["hours"] == pytest.approx(
        (found["cost"]["once"] + 10 * found["cost"]["each"]) / 3600
    )
    assert found["affordable"] is None
    assert (
        "plan: the cheapest design that sees the margin of 0.01 Dice in 80 %, of 10 test patients: "
        "10 test patients and 10 replicates, "
    ) in found["verdict"]
    assert (
        "on this machine (a verdict takes 10 patients and 5 replicates or more)."
        in (found["verdict"])
    )
    assert "In 0.0001 h no design has a verdict: a verdict takes 10 patients" in found["verdict"]

    enough = found["cost"]["once"] + 40 * found["cost"]["each"]
    again = plan_comparison(session_in(here, NARROW), hours=enough / 3600, repeats=500)
    within = again["affordable"]
    assert within["patients"] == 10
    assert 5 <= within["replicates"] <= 500  # timed anew: a busy machine is slower
    assert within["hours"] <= enough / 3600
    assert within["detectable"] == smallest_detectable_effect(spread, 10, within["replicates"])


@pytest.mark.parametrize("changes", [(), ("replicates.cohorts=drawn", "replicates.cohort_size=4")])
def test_hours_are_those_of_the_dry_run_at_any_number_of_replicates(
    here: Path, changes: tuple[str, ...]
) -> None:
    session = session_in(here, "decision.budget_seeds=3", *changes)
    with session.open(False):
        cost = cost_of(session, steps.cohorts_of(session), SECONDS)
    # Jobs that nobody timed go by the mean of others, which the trainings of the budget change.
    for count, loose in ((1, 1e-9), (5, 1e-9), (9, 0.05)):
        other = session_in(here, "decision.budget_seeds=3", *changes, f"replicates.count={count}")
        with other.open(False):
            there = seconds_left(other, plan_ahead(other, ["comparison"]), SECONDS)
        assert 3600 * cost.hours(count) == pytest.approx(there, rel=loose)
    assert cost.replicates_within(cost.hours(7)) == 7
    assert cost.replicates_within(cost.hours(7) - 1e-6) == 6
    assert cost.replicates_within(0.0001) == 0


def test_a_margin_that_no_design_sees_says_what_would(here: Path) -> None:
    wide = "decision.assumed={patient: 0.03, replicate: 0.0, residual: 0.0}"
    found = plan_comparison(session_in(here, wide), repeats=200, timed=False)
    assert found["cheapest"] is None
    assert (
        "no design of at most 10 test patients and 500 replicates sees the margin of 0.01 Dice in "
        "80 %; with 10 patients and 5 replicates a difference of 0.0"
    ) in found["verdict"]
    # By hand: (t[.975] + t[.8]) 0.03 / sqrt(P) <= 0.01 takes 73 patients.
    assert (
        "takes 73 patients with 5 replicates (a verdict takes 10 patients and 5 replicates or "
        "more), and is out of reach by replicates alone." in found["verdict"]
    )


def test_patients_beyond_the_limit_count(here: Path) -> None:
    found = plan_comparison(
        session_in(here, "data.limit={train: 1, test: 1}", NARROW), repeats=200, timed=False
    )
    assert (found["patients"], found["limits"]["patients"]) == (1, 10)
    assert (found["cheapest"]["patients"], found["cheapest"]["replicates"]) == (10, 10)
    assert (found["rates"], found["own"]) == ([], None)
    assert (
        "The experiment's own, 1 test patient and 5 replicates, has no interval and no verdict"
        in found["verdict"]
    )


def test_one_test_patient_plans_no_verdict(here: Path) -> None:
    roles = "data.roles={by: random, validation: 0.01, test: 0.01}"
    few = session_in(here, roles, "data.limit.train=1", NARROW)
    found = plan_comparison(few, hours=5, repeats=200)
    assert (found["limits"]["patients"], found["cheapest"], found["affordable"]) == (1, None, None)
    assert (
        "plan: no design has a verdict of at most 1 test patient and 500 replicates: a "
        "verdict takes 10 patients and 5 replicates or more; with 10 patients and 5 replicates "
    ) in found["verdict"]


def test_cohorts_are_as_many_as_the_pool_has(here: Path) -> None:
    own = ("replicates.cohorts=disjoint", "replicates.cohort_size=1", "replicates.count=6")
    found = plan_comparison(session_in(here, *own), repeats=200, timed=False)
    assert found["limits"]["replicates"] == 6
    assert (
        "no design of at most 10 test patients and 6 replicates (cohorts of 1 of 6 training "
        "patients) sees the margin"
    ) in found["verdict"]
    assert any("decision.assumed.replicate must hold" in line for line in lines(found))

    drawn = ("replicates.cohorts=drawn", "replicates.cohort_size=1")
    margin = ("decision.margin=0.016", NARROW)
    found = plan_comparison(session_in(here, *drawn, *margin), repeats=200, timed=False)
    assert found["cheapest"]["overlap"] == 0  # six of one share nobody
    assert ", each with 1 of 6 training patients, of which two share 0 %" in found["verdict"]


def test_a_pool_too_small_for_cohorts_is_said(here: Path) -> None:
    few = ("replicates.cohorts=disjoint", "replicates.cohort_size=2", "replicates.count=3")
    found = plan_comparison(session_in(here, *few), repeats=200, timed=False)
    assert (found["limits"]["verdict"], found["cheapest"]) == (False, None)
    assert (
        "no design has a verdict of at most 10 test patients and 3 replicates (cohorts of 2 of 6 "
        "training patients): a verdict takes 10 patients and 5 replicates or more; "
    ) in found["verdict"]
    with pytest.raises(ConfigError, match="need 10 or more, but got 6"):
        plan_comparison(session_in(here, *few[:2]), repeats=200, timed=False)


# --- the experiment's own design ------------------------------------------------------------


def test_the_own_design_is_simulated(here: Path) -> None:
    found = plan_comparison(session_in(here, SPREAD), repeats=4_000, timed=False)
    assert found["spread"]["source"] == "decision.assumed"
    rows = rows_of(found)
    for data in ("normal", "bounded Dice"):
        null = rows["none", data]
        assert null["excludes_zero"] <= 0.06 + 2 * null["error"]
        assert null["verdicts"]["helps"] == pytest.approx(null["verdicts"]["harms"], abs=0.012)
    effects = [rows[name, "normal"]["effect"] for name in ("half the margin", "the margin")]
    assert effects == [0.005, 0.01]
    assert 0.74 < rows["the design's smallest effect", "normal"]["excludes_zero"] < 0.84
    assert not found["equivalence_in_reach"]
    for row in found["rates"]:
        assert sum(row["verdicts"].values()) == pytest.approx(1.0)
    assert found["status"] == "verdict"
    assert "It has no verdict" not in found["verdict"]
    again = plan_comparison(session_in(here, SPREAD), repeats=4_000, timed=False)
    assert again["rates"] == found["rates"]


def test_it_trains_nothing_and_leaves_the_test_closed(here: Path) -> None:
    plan_comparison(session_in(here), repeats=100, timed=False)
    kinds = {path.name for path in (here / "harness-work" / "jobs").iterdir()}
    assert kinds == {"prepare"}
    assert not (here / "harness-work" / "openings.jsonl").exists()


@pytest.mark.parametrize(
    ("count", "status", "says"),
    [
        (4, "pilot", "a verdict needs at least 10 patients and 5 replicates"),
        (2, "cells only", "an interval needs at least 5 patients and 3 replicates"),
    ],
)
def test_a_design_too_small_for_a_verdict_says_so(
    here: Path, count: int, status: str, says: str
) -> None:
    found = plan_comparison(
        session_in(here, NARROW, f"replicates.count={count}"), repeats=200, timed=False
    )
    assert found["status"] == status
    assert says in found["verdict"]
    assert all(row["verdicts"]["no verdict"] == 1 for row in found["rates"])
    assert (found["rates"] == []) == (status == "cells only")
    assert found["cheapest"]["replicates"] == 10


# --- whose spread ---------------------------------------------------------------------------


def test_a_table_of_other_patients_gives_its_spread(here: Path) -> None:
    path = pilot(here / "pilot.csv", vector())
    found = plan_comparison(session_in(here), path, repeats=200, timed=False)
    assert found["spread"]["source"] == str(path)
    assert found["spread"]["components"] == pytest.approx(  # published with the vector
        {"patient": 0.00938131, "replicate": 0.00771694, "residual": 0.00328769}, rel=1e-5
    )
    rows = list(csv.DictReader(path.open(newline="")))
    assert found["spread"]["level"] == pytest.approx(np.mean([float(r["value"]) for r in rows]))
    assert f"({path})" in lines(found)[0]


def test_the_arms_of_the_primary_comparison_are_taken_of_many(here: Path) -> None:
    path = here / "pilot.csv"
    write(path, {"traditional": 0 * vector(), "traditional+gan": vector()})
    path.write_text(path.read_text().replace("pt_", "other_"))
    found = plan_comparison(session_in(here), path, repeats=200, timed=False)
    assert found["spread"]["components"]["patient"] == pytest.approx(0.00938131, rel=1e-5)


def own_scores(here: Path) -> Path:
    home = here / "harness-work" / "experiments" / "tiny"
    home.mkdir(parents=True, exist_ok=True)
    return pilot(home / "scores.csv", vector())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (own_scores, r"but got its own scores in '.*scores.csv'; name another table, or leave"),
        (
            lambda here: write(here / "copy.csv", {"B": vector(20)}),
            r"whose differences would choose the design that they then judge, but got test "
            r"patients of it \(pt_10, pt_11, pt_12 and 7 more\) in '.*copy.csv'",
        ),
        (
            lambda here: pilot(here / "one.csv", vector(12, 1)),
            r"--spread must be a table that gives a spread, but got '.*one.csv': an interval "
            r"needs at least 5 patients and 3 replicates, but got 12 patients and 1 replicate",
        ),
        (
            lambda here: pilot(here / "equal.csv", np.full((10, 5), 0.01)),
            r"a plan needs some spread, but got 0 for patients, replicates and residual from "
            r".*equal.csv; set decision.assumed",
        ),
        (
            lambda here: pilot(here / "mm.csv", 50 + vector()),
            r"--spread must hold Dice \(0 to 1\), but got 0\.692 to 50\.\d+",
        ),
        (
            lambda here: write(here / "three.csv", {"B": vector(7), "C": vector(7)}),
            "with the arms traditional and traditional.gan, or of two arms, but got A, B, C",
        ),
        (
            lambda here: here / "nowhere.csv",
            r"--spread must be a CSV file that can be read, but got '.*nowhere.csv'",
        ),
    ],
)
def test_what_gives_no_spread(here: Path, given: Any, says: str) -> None:
    with pytest.raises((ConfigError, DataError), match=says):
        plan_comparison(session_in(here), given(here), repeats=100, timed=False)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (
            "decision.assumed={patient: 0, replicate: 0, residual: 0}",
            DataError,
            r"needs some spread, but got 0 .* from decision\.assumed; set decision\.assumed",
        ),
        ("data.roles={by: random, validation: 0.2, test: 0}", DataError, "needs test patients"),
        ("mask.learns=ct", ConfigError, "a comparison needs masks from the mask stage"),
    ],
)
def test_what_cannot_be_planned(here: Path, change: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        plan_comparison(session_in(here, change), repeats=100, timed=False)


# --- the command ----------------------------------------------------------------------------


def run(*words: Any) -> Answer:
    changes = ("-s", DESIGN[0], "-s", NARROW)
    return run_cli("plan", "tiny.yaml", *changes, "--engine", "inline", *words)


def test_the_command_answers_people_and_machines(here: Path) -> None:
    code, out, err = run("--repeats", "300")
    assert code == 0
    assert out.startswith("plan: the cheapest design that sees the margin of 0.01 Dice in 80 %")
    assert out.count("\n") == 1
    assert "patient 0.0050, replicate 0.0080, residual 0.0100 (decision.assumed)" in err
    assert "300 simulated comparisons a line" in err
    assert "+0.0200 twice the margin" in err
    assert "the design's smallest effect" in err
    assert err.splitlines()[-1].startswith("next: harness compare tiny.yaml --dry-run")

    machine = run("--repeats", "300", "--hours", "100", "--json").json
    assert machine["rates"][0]["repeats"] == 300
    assert machine["affordable"]["detectable"] < machine["cheapest"]["detectable"]
    assert Path(machine["table"]).name == "plan-rates.csv"
    with open(machine["table"], newline="", encoding="utf-8") as file:
        stored = list(csv.DictReader(file))
    assert [row["truth"] for row in stored] == [row["truth"] for row in machine["rates"]]
    shares = [float(row["excludes_zero"]) for row in stored]
    assert shares == pytest.approx([row["excludes_zero"] for row in machine["rates"]], abs=1e-5)


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf"])
def test_hours_are_a_number_above_0(here: Path, hours: str) -> None:
    answer = run("--hours", hours)
    assert (answer.code, answer.out) == (2, "")
    assert f"--hours must be a number above 0, but got {hours}; leave it out" in answer.err


def test_where_nothing_can_be_timed_it_plans_without_hours(here: Path) -> None:
    """A batch whose step no machine has the memory for."""
    answer = run("--repeats", "100", "--hours", "2", "-s", "mask.batch_size=1000000000", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["cost"] is None
    assert answer.json["cheapest"]["hours"] is None
    assert "planned without hours: a step of the mask network must fit in" in answer.err
    assert "on this machine" not in answer.json["verdict"]
