"""Commands as a new user types them: answers, mistakes, what to type next."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from factories.fake_executor import StandIn, verdict
from factories.openkbp import write_experiment, write_openkbp

from harness.base.console import Console
from harness.cli import main
from harness.commands import audit
from harness.commands.chosen_settings import choice, stage_sweep
from harness.commands.session import Session
from harness.commands.steps import comparison_of, prepare
from harness.config.experiment import Experiment
from harness.config.load import load_experiment, parse_experiment
from harness.jobs.lease import lease
from harness.jobs.spec import Spec

HEAVY = ("torch", "mlflow", "optuna", "monai", "matplotlib", "pandas", "scipy", "sklearn")
COMMANDS = (
    "run", "prepare", "sweep", "compare", "collapse", "calibrate", "report", "ui", "config", "init",
    "inspect", "score", "export", "decide",
)  # fmt: skip
QUICKSTART = Path(__file__).parent.parent / "experiments" / "quickstart.yaml"


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout; raises if there is anything else."""
        return json.loads(self.out)

    @property
    def then(self) -> list[str]:
        """The words of the line that says what to type next; [] without one."""
        lines = [line for line in self.err.splitlines() if line.startswith("next: ")]
        assert len(lines) <= 1
        return shlex.split(lines[0])[1:] if lines else []


Typed = Callable[..., Answer]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Types a command line in this process."""

    def run(*words: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["harness", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Answer(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to type commands in; in memory, for hundreds of files wait for the disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        monkeypatch.chdir(name)
        yield Path(name)
        monkeypatch.undo()


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_openkbp(tmp_path_factory.mktemp("openkbp"))


@pytest.fixture
def experiment(here: Path, patients: Path) -> str:
    return write_experiment(here / "tiny.yaml", patients).name


@pytest.fixture(scope="module")
def prepared(patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder with the tiny experiment's pairs, for tests to copy."""
    folder = tmp_path_factory.mktemp("prepared")
    experiment = load_experiment(write_experiment(folder / "tiny.yaml", patients))
    work = folder / "harness-work"
    with Session(experiment, work, Console(quiet=True), engine="inline").open() as session:
        prepare(session)
    return work


# --- the door -------------------------------------------------------------------------------


def test_help_needs_no_heavy_library() -> None:
    code = f"import sys, harness.cli; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_help_is_quick() -> None:
    """Half a second on an idle machine; the bound leaves room for a busy one."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "harness", "--help"], capture_output=True)
        seconds.append(time.perf_counter() - started)
        assert done.returncode == 0
    assert statistics.median(seconds) < 2.5


def test_help_lists_every_command_in_a_whole_sentence(typed: Typed) -> None:
    answer = typed("--help")
    assert answer.code == 0
    lines = {line.split()[0]: line for line in answer.out.splitlines() if line.startswith("  ")}
    for command in COMMANDS:
        assert lines[command].endswith(".")
        assert "..." not in lines[command]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_speaks_json(typed: Typed, command: str) -> None:
    answer = typed(command, "--help")
    assert answer.code == 0
    assert "--json" in answer.out


def test_nothing_typed_shows_the_help(typed: Typed) -> None:
    answer = typed()
    assert "Commands:" in answer.out + answer.err
    assert answer.code == 2


# --- mistakes -------------------------------------------------------------------------------

MISTAKES: list[tuple[list[str], str]] = [
    (
        ["run", "tinny.yaml"],
        "the experiment must be an existing YAML file, but got 'tinny.yaml'; did you mean "
        "'tiny.yaml'?",
    ),
    (["run", "e.json"], "the experiment must be an existing YAML file, but got 'e.json'"),
    (
        ["prepare", "tiny.yaml", "-s", "mask.widht=8"],
        "keys of `mask` must be one of: network, learns, width, latent, noise, batch_size, "
        "real_label, optimiser, schedule, augmentation; but got 'mask.widht'; did you mean "
        "'mask.width'?",
    ),
    (
        ["sweep", "tiny.yaml", "-s", "mask.learning_rate=1"],
        "did you mean 'mask.optimiser.learning_rate'?",
    ),
    (
        ["compare", "tiny.yaml", "-s", "segmentation.updates=many"],
        "-s segmentation.updates: segmentation.updates must be a whole number >= 1, but got 'many'",
    ),
    (["compare", "tiny.yaml", "-s", "arms"], "an override must read a.b.c=VALUE, but got 'arms'"),
    (
        ["compare", "tiny.yaml", "-s", "decision.candidate=gan"],
        "decision must name arms that are trained, but got gan; add them to `arms`",
    ),
    (
        ["prepare", "tiny.yaml", "-s", "data.root=nowhere"],
        "data.root must be a clone of the OpenKBP repository (with provided-data/train-pats ...), "
        "but got no folder of that name; check data.root",
    ),
    (
        ["prepare", "tiny.yaml", "-s", "data.source=openkpb"],
        "but got 'openkpb'; did you mean 'openkbp'?",
    ),
    (
        ["sweep", "tiny.yaml", "--stage", "msk"],
        "--stage must be mask, image, segmentation or all, but got 'msk'; did you mean 'mask'?",
    ),
    (
        ["sweep", "tiny.yaml", "--stage", "image", "-s", "sweep.image=null"],
        "a sweep needs sweep.image, but got null; give it a space of settings",
    ),
    (
        [
            *("sweep", "tiny.yaml", "-s", "sweep.image=null", "-s", "sweep.mask=null"),
            *("-s", "sweep.segmentation=null"),
        ],
        "a sweep needs sweep.mask or sweep.image or sweep.segmentation, but got null; give it a "
        "space of settings",
    ),
    (
        [
            "sweep",
            "tiny.yaml",
            "--stage",
            "segmentation",
            "-s",
            "decision.candidate=none",
            "-s",
            "decision.secondary=[]",
            "-s",
            "arms=[none, traditional]",
        ],
        "augmentation magnitude and synthetic fraction cannot be chosen here: the extra slots of "
        "'none' hold no made pairs",
    ),
    (
        ["collapse", "tiny.yaml"],
        "collapse judges trainings of a sweep, but this experiment has none in this work folder; "
        "run harness sweep first",
    ),
    (
        ["collapse", "tiny.yaml", "--fail-on", "failure"],
        "--fail-on must be collapse, but got 'failure'",
    ),
    (
        ["run", "tiny.yaml", "--engine", "proceses"],
        "executor must be one of: inline, processes, ray; but got 'proceses'; did you mean "
        "'processes'?",
    ),
    (
        ["collapse", "tiny.yaml", "--address", "auto"],
        "--address is that of a Ray cluster and needs --engine ray, but got --engine processes; "
        "add --engine ray, or leave --address out",
    ),
    (
        ["calibrate", "collapse", "tiny.yaml", "--engine", "dask"],
        "executor must be one of: inline, processes, ray; but got 'dask'",
    ),
    (
        ["report", "tiny.yaml", "--workdir", "tiny.yaml"],
        "--workdir must be a folder that can be made and written, but got 'tiny.yaml' "
        "(File exists); name another one",
    ),
    (
        ["ui", "tiny.yaml"],
        "MLflow's pages need tracked runs of 'tiny', but got none; run a command of the experiment "
        "first",
    ),
    (
        ["ui", "tiny.yaml", "-s", "tracking.uri=/var/mlruns"],
        "tracking.uri must name a server (http, https) or a database (sqlite, postgresql, mysql), "
        "but got '/var/mlruns'; leave it out to keep runs in the work folder",
    ),
    (["config", "tiny.yaml", "-s", "seed=-1"], "seed must be a whole number >= 0, but got -1"),
    (
        ["init", "nowhere"],
        "harness init needs an existing DICOM folder, but got 'nowhere'",
    ),
    (
        ["init", ".", "-o", "tiny.yaml"],
        "'tiny.yaml' exists already; name another file with --output",
    ),
    (["init", ".", "--name", "a/b"], "but got 'a/b'"),
]


@pytest.mark.parametrize(("words", "sentence"), MISTAKES, ids=[" ".join(w) for w, _ in MISTAKES])
def test_a_mistake_is_one_sentence_and_exit_code_2(
    typed: Typed, experiment: str, words: list[str], sentence: str
) -> None:
    answer = typed(*words)
    assert answer.code == 2
    assert answer.out == ""
    *progress, last = answer.err.splitlines()
    assert last.startswith("error: ")
    assert sentence in last
    assert not any(line.startswith(("Traceback", "error", "next")) for line in progress)


@pytest.mark.parametrize(("words", "sentence"), MISTAKES[::4])
def test_a_mistake_is_one_object_for_machines(
    typed: Typed, experiment: str, words: list[str], sentence: str
) -> None:
    answer = typed(*words, "--json")
    assert answer.code == 2
    assert list(answer.json) == ["error"]
    assert sentence in answer.json["error"]["message"]
    assert answer.json["error"]["exit_code"] == 2


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["rum", "tiny.yaml"],
        ["run", "tiny.yaml", "--worker", "2"],
        ["run", "tiny.yaml", "--workers", "0"],
        ["ui", "tiny.yaml", "--port", "70000"],
        ["sweep", "tiny.yaml", "--trials", "none"],
    ],
)
def test_what_the_parser_refuses(typed: Typed, experiment: str, words: list[str]) -> None:
    answer = typed(*words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.splitlines()[-1].startswith("Error: ")
    machine = typed(*words, "--json")
    assert machine.code == 2
    assert machine.json["error"]["kind"] == "UsageError"


def test_a_second_driver_of_a_work_folder_is_told_who_holds_it(
    typed: Typed, here: Path, experiment: str
) -> None:
    with lease(here / "harness-work" / "driver.lease.json", "the work folder"):
        answer = typed("prepare", experiment)
        assert answer.code == 3
        assert "the work folder 'harness-work' has one owner at a time, but process" in answer.err
        # What only reads works beside it.
        assert typed("report", experiment).code == 0


# --- config and init ------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [[], ["-s", "mask.width=8", "-s", "arms=[none, duplicate]",
                                          "-s", "decision={baseline: none, candidate: duplicate, "
                                          "secondary: []}"]])  # fmt: skip
def test_the_printed_config_loads_back_equal(
    typed: Typed, experiment: str, changes: list[str]
) -> None:
    answer = typed("config", experiment, *changes)
    expected = load_experiment(Path(experiment), changes[1::2])
    assert parse_experiment(answer.out, "printed.yaml") == expected
    machine = typed("config", experiment, *changes, "--json")
    assert Experiment.model_validate(machine.json) == expected


def test_the_quickstart_is_valid(typed: Typed) -> None:
    assert typed("config", str(QUICKSTART)).code == 0


def test_init_writes_a_file_that_loads_and_says_what_comes_next(typed: Typed, here: Path) -> None:
    (here / "my scans").mkdir()
    answer = typed("init", "my scans", "-o", "my experiment.yaml", "--name", "clinic")
    assert (answer.code, answer.out) == (0, "")
    assert answer.then == ["harness", "prepare", "my experiment.yaml"]
    loaded = load_experiment(here / "my experiment.yaml")
    assert (loaded.name, loaded.data.source, loaded.data.root) == ("clinic", "dicom", "my scans")
    text = (here / "my experiment.yaml").read_text()
    assert typed("init", "my scans", "-o", "my experiment.yaml").code == 2
    assert (here / "my experiment.yaml").read_text() == text
    machine = typed("init", "my scans", "-o", "other.yaml", "--json")
    assert machine.json == {"experiment": "other.yaml"}


# --- the path -------------------------------------------------------------------------------


def kid(config: Any, seed: int, epoch: int) -> dict[str, Any]:
    return {"quality/kid": float(config["batch_size"])}


def trained(spec: Spec) -> dict[str, Any]:
    """What trainings say; an audit that could tell next to nothing."""
    if spec.kind != "audit":
        return {"converged": True}
    share = {"value": 0.1, "interval": None}
    masks = {"implausible": share, "distances": {}}
    return {"labels": {}, "masks": masks, "paired": {"note": "no pairs"}}


def test_the_path_command_by_command(
    typed: Typed, here: Path, experiment: str, prepared: Path
) -> None:
    """Each command's object, and its last line leads to the next command. A stand-in trains."""
    changes = ["-s", "question=is it so?", "-s", "sweep.image=null", "-s", "replicates.count=1"]
    changes += ["-s", "sweep.segmentation=null"]
    own = repeated = [experiment, *changes, "--workdir", "my work"]

    page = typed("report", *own, "--json")
    assert page.json == {
        "report": "my work/experiments/tiny/report/index.html",
        "published": None,
        "finished": False,
        "verdicts": [],
    }
    assert page.then == ["harness", "run", *repeated]
    assert "No answer yet" in (here / page.json["report"]).read_text()

    shutil.copytree(prepared, here / "my work", dirs_exist_ok=True)
    pairs = typed("prepare", *own, "--engine", "inline", "--json")
    assert pairs.json["values"]["patients"] == {"train": 3, "validation": 1, "test": 1}
    assert (here / pairs.json["store"] / "meta.json").exists()
    assert pairs.then == ["harness", "sweep", *repeated]
    assert pairs.err.count("patients: ") == 1

    dry = typed("sweep", *own, "--stage", "mask", "--dry-run", "--trials", "1", "--json")
    (plan,) = dry.json["plan"]
    assert (plan["trials"], plan["seeds"], plan["epochs"], plan["pairs"]) == (1, 2, 2, 30)
    seconds = 1 * 2 * 2 * 30 / plan["images_per_second"]
    assert plan["training_seconds"] <= seconds * 1.001
    assert plan["scores"] == 2
    ratio = plan["scoring_seconds"] / plan["training_seconds"]
    assert ratio == pytest.approx(2 * plan["seconds_per_score"] * plan["images_per_second"] / 60)
    assert plan["seconds"] == pytest.approx(plan["training_seconds"] + plan["scoring_seconds"])
    # A training of a second is nothing beside two passes through a feature network.
    assert f"scoring takes {100 * ratio:.0f} % of the mask stage's training time" in dry.err
    assert "lower metrics.scored_epochs or metrics.images" in dry.err
    assert "mask sweep: 1 trial x 2 seeds, at most 2 epochs of 30 pairs each, 4 in all" in dry.err
    assert "nothing was trained" in dry.err
    assert dry.then == ["harness", "sweep", experiment, "--stage", "mask", *changes, "-s",
                        "sweep.mask.trials=1", "--workdir", "my work"]  # fmt: skip
    assert not (here / "my work" / "jobs" / "mask-stage").exists()
    assert typed("collapse", *own).code == 2

    experiment_now = load_experiment(here / experiment, changes[1::2])
    session = Session(experiment_now, here / "my work", Console(True))
    hands = StandIn(session.work, kid, trained)
    hands.drive(lambda graph: stage_sweep(session, "mask").plan(graph))
    swept = typed("sweep", *own, "--engine", "inline", "--json")
    (entry,) = swept.json["sweeps"]
    assert (entry["stage"], entry["finished"], len(entry["trials"])) == ("mask", True, 2)
    chosen = yaml.safe_load((here / swept.json["chosen"]).read_text())
    assert chosen["mask"]["trial"] == entry["best"]
    values = {t["params"]["batch_size"]: t["value"] for t in entry["trials"]}
    assert values == {6: 6.0, 12: 12.0}
    assert chosen["mask"]["params"] == {"batch_size": 6}
    assert f" * trial   {entry['best']}: 6  (batch_size 6)" in swept.err
    assert swept.then == ["harness", "compare", *repeated]

    collapsed = typed("collapse", *own, "--json")
    assert collapsed.json["collapsed"] == 0
    assert collapsed.json["verdict"] == (
        "mask stage: 0 of 4 trainings collapsed (4 healthy); all seeds agree in 2 of 2 settings."
    )
    assert len(collapsed.json["stages"]["mask"]["seeds"]) == 4
    evidence, anchor = collapsed.json["report"].split("#")
    assert f'id="{anchor}"' in (here / evidence).read_text()
    assert collapsed.then == []  # nothing is tracked, so there are no pages to open

    plan = hands.drive(comparison_of(session, choice(session)).plan)
    hands.drive(lambda graph: audit.read_audits(session, plan, graph))
    tests = plan.tests
    for (arm, _), spec in tests.items():
        dice = 0.5 if arm == "traditional" else 0.625
        (session.work.job(spec).path / "scores.csv").write_text(
            f"patient,patient_digest,structure,dice\npt_5,aa,mean,{dice}\n"
        )
    compared = typed("compare", *own, "--engine", "inline", "--json")
    assert compared.json["means"] == {"traditional": 0.5, "traditional+gan": 0.625}

    public = typed("report", *own, "--publish", "reports", "--json")
    assert public.json["published"] == "reports/tiny/index.html"
    assert (here / "reports/tiny/scores.csv").exists()
    assert "[tiny](tiny/index.html)" in (here / "reports/README.md").read_text()
    (here / "notes").mkdir()
    (here / "notes/README.md").write_text("my own notes")
    assert "but got another one in 'notes'" in typed("report", *own, "--publish", "notes").err
    assert (here / "notes/README.md").read_text() == "my own notes"
    again = typed("report", *own, "--publish", "reports")
    assert "published: reports/tiny/index.html" in again.err
    asks = typed("report", *own, "--publish", "reports", "-s", "question=Another one?")
    assert (asks.code, "may only replace one of the same question" in asks.err) == (2, True)
    assert "--publish must name a folder, but got ''" in typed("report", *own, "--publish", "").err
    (here / "a file").write_text("")
    refused = typed("report", *own, "--publish", "a file")
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

    page = typed("report", *own, "--json")
    assert page.json["finished"]
    assert page.json["verdicts"] == compared.json["verdicts"]
    assert page.then == []  # nothing is tracked, so there are no pages to open

    again = typed("run", *own, "--json", "-q")
    assert again.json["verdicts"] == compared.json["verdicts"]
    assert again.err == "warning: this experiment shows the path; it is too short to conclude\n"


def test_an_experiment_without_sweeps_goes_on_to_compare(
    typed: Typed, here: Path, experiment: str, prepared: Path
) -> None:
    shutil.copytree(prepared, here / "harness-work")
    changes = ["-s", "sweep.mask=null", "-s", "sweep.image=null", "-s", "sweep.segmentation=null"]
    answer = typed("prepare", experiment, *changes, "--engine", "inline")
    assert answer.then == ["harness", "compare", experiment, *changes]


@pytest.fixture
def swept(here: Path, experiment: str, prepared: Path) -> str:
    """The tiny experiment after its mask sweep, by a stand-in: batch 12 of seed 1 collapsed."""
    shutil.copytree(prepared, here / "harness-work")
    session = Session(load_experiment(here / experiment), here / "harness-work", Console(True))

    def score(config: Any, seed: int, epoch: int) -> dict[str, Any]:
        lost = config["batch_size"] == 12 and seed == 1 and epoch > 1
        word, ratio = ("mode collapse", 0.2) if lost else ("healthy", 1.0)
        return {"quality/kid": 0.1, "collapse": verdict(word, ratio)}

    hands = StandIn(session.work, score)
    hands.drive(lambda graph: stage_sweep(session, "mask").plan(graph))
    return experiment


VERDICT = (
    "mask stage: 1 of 4 trainings collapsed (1 mode collapse, 3 healthy); "
    "all seeds agree in 1 of 2 settings."
)


def test_the_verdict_on_collapse_is_the_first_line(typed: Typed, here: Path, swept: str) -> None:
    answer = typed("collapse", swept)
    assert answer.code == 0
    assert answer.out.splitlines() == [VERDICT]
    lost = [line for line in answer.err.splitlines() if "seed 1: Mode collapse" in line]
    assert len(lost) == 1
    assert lost[0].endswith("Seen at every scored epoch from 2 on.")
    assert "1 of 2 seeds collapsed (95 % interval 9 to 91 %)" in answer.err
    assert "evidence: harness-work/experiments/tiny/report/index.html#collapse" in answer.err
    page = (here / "harness-work/experiments/tiny/report/index.html").read_text()
    assert VERDICT in page
    assert not (here / "harness-work" / "jobs" / "image-stage").exists()  # it trains nothing


def test_collapse_answers_machines(typed: Typed, here: Path, swept: str) -> None:
    found = typed("collapse", swept, "--json").json
    assert (found["verdict"], found["collapsed"]) == (VERDICT, 1)
    assert list(found["stages"]) == ["mask"]
    mask = found["stages"]["mask"]
    (row,) = [row for row in mask["seeds"] if row["word"] == "mode collapse"]
    assert (row["seed"], row["params"], row["seen"]) == (1, {"batch_size": 12}, 2)
    assert row["ratios"]["vendi_score"] == 0.2
    assert sorted((rate["collapsed"], rate["of"]) for rate in mask["settings"]) == [(0, 2), (1, 2)]
    assert mask["caution"] == ""


def test_a_collapse_can_fail_a_script(typed: Typed, here: Path, swept: str) -> None:
    answer = typed("collapse", swept, "--fail-on", "collapse", "-q")
    assert (answer.code, answer.out) == (4, VERDICT + "\n")
    assert typed("collapse", swept, "-q").code == 0


def test_a_sweep_chosen_by_outcome_has_no_rates_of_collapse(
    typed: Typed, here: Path, experiment: str, prepared: Path
) -> None:
    shutil.copytree(prepared, here / "harness-work")
    changes = ["-s", "sweep.sampler=tpe"]
    loaded = load_experiment(here / experiment, changes[1:])
    session = Session(loaded, here / "harness-work", Console(True))
    StandIn(session.work, kid).drive(lambda graph: stage_sweep(session, "mask").plan(graph))
    answer = typed("collapse", experiment, *changes)
    assert "so counts are not rates" in answer.err
    assert "95 % interval" not in answer.err
