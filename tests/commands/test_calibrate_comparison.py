"""`harness calibrate comparison`: the user's own design, its spread, what is said, what is left."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.cli import Answer, run_cli
from factories.fake_executor import FakeExecutor
from factories.openkbp import write_experiment, write_openkbp

from harness.base.console import Console
from harness.base.errors import ConfigError, DataError
from harness.base.files import write_json
from harness.commands import steps
from harness.commands.calibrate.comparison import Design, calibrate_comparison, design_of, needed
from harness.commands.calibrate.comparison_text import lines
from harness.commands.chosen_settings import choice
from harness.commands.session import Session
from harness.config.load import load_experiment
from harness.inference.power import smallest_detectable_effect
from harness.metrics.segmentation.structure_scores import MEASURES

TEST_PATIENTS = 10
DESIGN = ("replicates.count=5",)
SPREAD = "decision.assumed={patient: 0.01, replicate: 0.03, residual: 0.01}"


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    counts = {"train": 1, "validation": 1, "test": TEST_PATIENTS}
    return write_openkbp(tmp_path_factory.mktemp("openkbp"), counts)


@pytest.fixture(scope="module")
def patient_index(patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("looked")
    experiment = load_experiment(write_experiment(folder / "tiny.yaml", patients))
    assert len(Session(experiment, folder, Console(quiet=True)).patient_index.usable) == 12
    return folder / "patient-index"


@pytest.fixture
def here(patients: Path, patient_index: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the experiment and a work folder that has looked; in memory where it can."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        monkeypatch.chdir(name)
        write_experiment(Path(name) / "tiny.yaml", patients)
        shutil.copytree(patient_index, Path(name) / "harness-work" / "patient-index")
        yield Path(name)
        monkeypatch.undo()


def session_in(here: Path, *changes: str) -> Session:
    experiment = load_experiment(here / "tiny.yaml", [*DESIGN, *changes])
    return Session(experiment, here / "harness-work", Console(stream=io.StringIO()))


def compare(session: Session, table: np.ndarray) -> None:
    """A finished comparison whose primary differences are `table`; a stand-in trains."""
    store = session.work.job(session.store)
    store.open(session.store)
    store.finish([], {"patients": {}, "pairs": {}, "lost": {}}, {}, {"seconds": 0.0}, {})
    people = [{"digest": digest, "role": role} for digest, role in session.roles.items()]
    meta = {"version": 1, "patients": people, "channels": ["parotid"]}
    write_json(store.path / "store" / "meta.json", meta)
    hands = FakeExecutor(session.work, lambda config, seed, epoch: {"quality/kid": 1.0})
    plan = hands.drive(steps.comparison_of(session, choice(session)).plan)
    for (arm, seed), spec in plan.tests.items():
        gains = table[:, seed - 1000] if arm == "traditional+gan" else np.zeros(TEST_PATIENTS)
        rest = "," * (len(MEASURES) - 1)
        cells = [f"pt_{p:02},aa,mean,{0.7 + gain!r}{rest}" for p, gain in enumerate(gains.tolist())]
        text = "\n".join([f"patient,patient_digest,structure,{','.join(MEASURES)}", *cells])
        (session.work.job(spec).path / "scores.csv").write_text(text + "\n")


def rows_of(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["truth"], row["data"]): row for row in found["rates"]}


def test_an_assumed_spread_is_simulated_in_the_experiments_own_size(here: Path) -> None:
    found = calibrate_comparison(session_in(here, SPREAD), 4_000)
    design = found["design"]
    assert (design["patients"], design["replicates"]) == (TEST_PATIENTS, 5)
    assert (design["origin"], design["components"]["replicate"]) == ("assumed", 0.03)
    rows = rows_of(found)
    for data in ("normal", "bounded Dice"):
        null = rows["none", data]
        assert null["excludes_zero"] <= 0.06 + 2 * null["error"]
        assert null["verdicts"]["helps"] == pytest.approx(null["verdicts"]["harms"], abs=0.012)
    margin = [rows[name, "normal"] for name in ("half the margin", "the margin")]
    assert [row["effect"] for row in margin] == [0.005, 0.01]
    assert 0.74 < rows["smallest detectable", "normal"]["excludes_zero"] < 0.84
    # Replicates rule here, and one replicate alone looks like an effect.
    assert found["wilcoxon_on_one_replicate"]["rejected"] > 0.6
    assert not found["equivalence_in_reach"]
    assert found["needed"] == {"patients": None, "replicates": None}
    for row in found["rates"]:
        assert sum(row["verdicts"].values()) == pytest.approx(1.0)
    assert found["status"] == "verdict"
    assert "No verdict" not in found["verdict"]
    assert calibrate_comparison(session_in(here, SPREAD), 4_000) == found


def test_it_trains_nothing_and_leaves_the_test_closed(here: Path) -> None:
    calibrate_comparison(session_in(here), 100)
    made = sorted(
        p.name for p in (here / "harness-work").rglob("*") if p.parent.name != "patient-index"
    )
    (record,) = (name for name in made if name.startswith("patients-"))
    made.remove(record)
    assert made == [
        "calibration-comparison.csv",
        "experiments",
        "patient-index",
        "resolved.json",
        "tiny",
    ]


def test_a_finished_comparison_gives_its_own_spread(here: Path) -> None:
    rng = np.random.default_rng(1)
    table = 0.02 * rng.normal(size=(TEST_PATIENTS, 1)) + 0.005 * rng.normal(size=(1, 5))
    table = table + 0.01 * rng.normal(size=(TEST_PATIENTS, 5))
    session = session_in(here)
    compare(session, table)
    effect = steps.read_comparison(session, steps.begun_comparison(session)).effects[0]  # type: ignore[arg-type]
    design = design_of(session_in(here))
    assert design.origin == "observed"
    assert design.components == effect.inference.components
    assert design.level == pytest.approx(0.7 + table.mean() / 2)
    found = calibrate_comparison(session_in(here), 500)
    assert found["smallest_detectable"] == pytest.approx(effect.design.detectable)
    assert found["smallest_detectable"] == smallest_detectable_effect(design.components, 10, 5)


def test_a_comparison_under_way_does_not_count_as_observed(here: Path) -> None:
    session = session_in(here)
    compare(session, np.full((TEST_PATIENTS, 5), 0.01) + np.eye(TEST_PATIENTS, 5))
    assert design_of(session_in(here)).origin == "observed"
    assert design_of(session_in(here, "replicates.count=6")).origin == "assumed"


@pytest.mark.parametrize(
    ("count", "status", "says"),
    [
        (4, "pilot", "a verdict needs at least 10 patients and 5 replicates"),
        (2, "cells only", "an interval needs at least 5 patients and 3 replicates"),
        (1, "cells only", "but got 10 patients and 1 replicate"),
    ],
)
def test_a_design_too_small_for_a_verdict_says_so(
    here: Path, count: int, status: str, says: str
) -> None:
    found = calibrate_comparison(session_in(here, f"replicates.count={count}"), 200)
    assert found["status"] == status
    assert says in found["note"]
    assert f"erdict would be given{':' if status == 'pilot' else ';'} " in found["verdict"]
    assert any(line.startswith("no verdict would be given: ") for line in lines(found))
    assert all(row["verdicts"]["no verdict"] == 1 for row in found["rates"])
    assert (found["rates"] == []) == (status == "cells only")
    assert ("patients" in found["needed"]) == (count >= 2)


def test_enough_for_the_margin_is_enough_for_a_verdict(here: Path) -> None:
    design = Design(30, 8, 0.05, design_of(session_in(here, SPREAD)).components, 0.8, "assumed")
    assert needed(design) == {"patients": 10, "replicates": 6}


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (
            "decision.assumed={patient: 0, replicate: 0, residual: 0}",
            DataError,
            r"needs some spread, but got 0 .* \(assumed\); set decision\.assumed",
        ),
        ("data.roles={by: random, validation: 0.2, test: 0}", DataError, "needs test patients"),
        ("mask.learns=ct", ConfigError, "a comparison needs masks from the mask stage"),
    ],
)
def test_what_cannot_be_simulated(
    here: Path, change: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        calibrate_comparison(session_in(here, change), 100)


def run(*words: str) -> Answer:
    return run_cli("calibrate", "comparison", "tiny.yaml", "-s", DESIGN[0], "-s", SPREAD, *words)


def test_the_command_answers_people_and_machines(here: Path) -> None:
    code, out, err = run("--repeats", "300")
    assert code == 0
    assert out.startswith("comparison: where nothing differs, the 95 % interval excludes 0 in ")
    assert out.count("\n") == 1
    assert "10 test patients, 5 replicates" in err
    assert "300 simulated comparisons a line" in err
    assert "smallest detectable" in err
    assert err.splitlines()[-1].startswith("next: harness compare tiny.yaml")

    code, out, _ = run("--repeats", "300", "--json")
    machine = json.loads(out)
    assert (code, machine["of"], machine["rates"][0]["repeats"]) == (0, "comparison", 300)
    with open(machine["table"], newline="", encoding="utf-8") as file:
        stored = list(csv.DictReader(file))
    assert [row["truth"] for row in stored] == [row["truth"] for row in machine["rates"]]
    shares = [float(row["excludes_zero"]) for row in stored]
    assert shares == pytest.approx([row["excludes_zero"] for row in machine["rates"]], abs=1e-5)


def test_images_make_no_sense_here(here: Path) -> None:
    code, out, err = run("--images", "100", "--images", "50")
    assert (code, out) == (2, "")
    assert err.startswith("error: --images must be left out of calibrate comparison")
    assert "but got 100, 50; leave it out" in err
