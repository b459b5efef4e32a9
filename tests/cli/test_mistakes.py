"""A mistake at the command line is one sentence that says what to do, or one object."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import pytest
from factories.cli import run_cli

from harness.base.usage import SETTINGS
from harness.config.experiment import Experiment
from harness.jobs.lease import lease

MISTAKES: list[tuple[list[str], str]] = [
    (
        ["run", "tinny.yaml"],
        "the experiment must be an existing YAML file, but got 'tinny.yaml'; did you mean "
        "'tiny.yaml'?",
    ),
    (["run", "e.json"], "the experiment must be an existing YAML file, but got 'e.json'"),
    (
        ["prepare", "tiny.yaml", "-s", "mask.widht=8"],
        "keys of `mask` must be one of: network, batch_size, optimiser, schedule, patients, "
        "learns, augmentation, width, latent, noise, real_label; but got 'mask.widht'; did you "
        "mean 'mask.width'?",
    ),
    (
        ["sweep", "tiny.yaml", "-s", "mask.learning_rate=1"],
        "did you mean 'mask.optimiser.learning_rate'?",
    ),
    (
        ["compare", "tiny.yaml", "-s", "segmentation.updates=many"],
        "-s segmentation.updates: segmentation.updates must be a whole number >= 1, but got 'many'",
    ),
    (["compare", "tiny.yaml", "-s", "arms"], "such as mask.width=32, but got 'arms'"),
    (
        ["compare", "tiny.yaml", "-s", "decision.candidate=gan"],
        "decision must name arms that are trained, but got gan; add them to `arms`",
    ),
    (
        ["prepare", "tiny.yaml", "-s", "data.root=nowhere"],
        "/nowhere' is not there; correct data.root, which is seen from the folder of the "
        "experiment file, or give -s data.root=FOLDER",
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
            "-s",
            "sweep.segmentation={space: {synthetic_fraction: {values: [0.25]}}}",
        ],
        "the segmenters' settings cannot be chosen here: sweep.segmentation.space has no setting "
        "of the arm 'traditional' with another value",
    ),
    (
        ["collapse", "tiny.yaml"],
        "/harness-work', where there is no folder; name yours with --workdir, or begin with",
    ),
    (
        ["collapse", "tiny.yaml", "--fail-on", "failure"],
        "--fail-on must be collapse, but got 'failure'",
    ),
    (
        ["run", "tiny.yaml", "--engine", "proceses"],
        "--engine must be one of: processes, ray, inline; but got 'proceses'; did you mean "
        "'processes'?",
    ),
    (
        ["sweep", "tiny.yaml", "--address", "auto"],
        "--address is that of a Ray cluster and needs --engine ray, but got --engine processes; "
        "add --engine ray, or leave --address out",
    ),
    (
        ["calibrate", "collapse", "tiny.yaml", "--engine", "dask"],
        "--engine must be one of: processes, ray, inline; but got 'dask'",
    ),
    (
        ["prepare", "tiny.yaml", "--workdir", "tiny.yaml"],
        "--workdir must be a folder that can be made and written, but got 'tiny.yaml' "
        "(File exists); name another one",
    ),
    (
        ["ui", "tiny.yaml"],
        "a work folder must be what a command of harness made",
    ),
    (
        ["ui", "tiny.yaml", "-s", "tracking.uri=/var/mlruns"],
        "tracking.uri must name a server (http, https) or a database (sqlite, postgresql, mysql), "
        "but got '/var/mlruns'; leave it out to keep runs in the work folder",
    ),
    (["config", "tiny.yaml", "-s", "seed=-1"], "seed must be a whole number >= 0, but got -1"),
    (
        ["prepare", "tiny.yaml", "-s", "data.root=tiny.yaml"],
        "/tiny.yaml' is a file; correct data.root",
    ),
    (["config"], "config needs an experiment file, but got none; name one, or --schema"),
    (
        ["init", "nowhere"],
        "/nowhere': there is none of that name",
    ),
    (
        ["init", ".", "-o", "tiny.yaml"],
        "'tiny.yaml' exists already; name another file with --output",
    ),
    (["init", ".", "--name", "a/b"], "but got 'a/b'"),
]


@pytest.mark.parametrize(("words", "sentence"), MISTAKES, ids=[" ".join(w) for w, _ in MISTAKES])
def test_a_mistake_is_one_sentence_and_exit_code_2(
    experiment: str, words: list[str], sentence: str
) -> None:
    answer = run_cli(*words)
    assert answer.code == 2
    assert answer.out == ""
    *progress, last = answer.err.splitlines()
    assert last.startswith("error: ")
    assert sentence in last
    assert not any(line.startswith(("Traceback", "error", "next")) for line in progress)


@pytest.mark.parametrize(("words", "sentence"), MISTAKES[::4])
def test_a_mistake_is_one_object_for_machines(
    experiment: str, words: list[str], sentence: str
) -> None:
    answer = run_cli(*words, "--json")
    assert answer.code == 2
    assert list(answer.json) == ["error"]
    assert sentence in answer.json["error"]["message"]
    assert answer.json["error"]["exit_code"] == 2


COMMANDS = (
    "a command must be one of: run, prepare, sweep, compare, collapse, plan, calibrate, report, "
    "ui, status, doctor, clean, config, init, inspect, score, export, decide; but got "
)
EMPTY = "give one, or leave it out (is a variable of the shell not set?)"
REFUSED: dict[str, str] = {
    "rum tiny.yaml": COMMANDS + "'rum'; did you mean 'run'?",
    "colapse tiny.yaml": COMMANDS + "'colapse'; did you mean 'collapse'?",
    "train tiny.yaml": COMMANDS + "'train'; type harness --help",
    "--verison": "an option of harness must be one it has, but got '--verison'; did you mean "
    "'--version'?",
    "run": "harness run needs EXPERIMENT, but got none; type harness run --help",
    "calibrate collapse": "harness calibrate needs EXPERIMENT, but got none; type harness "
    "calibrate --help",
    "score real": "harness score needs SYNTHETIC, but got none; type harness score --help",
    "export nnunet tiny.yaml": "harness export needs --output, but got none; type harness export "
    "--help",
    "run tiny.yaml --worker 2": "an option of harness run must be one it has, but got '--worker'; "
    "did you mean '--workers'?",
    "sweep tiny.yaml --stgae mask": "an option of harness sweep must be one it has, but got "
    "'--stgae'; did you mean '--stage'?",
    "run tiny.yaml -x": "an option of harness run must be one it has, but got '-x'; type harness "
    "run --help",
    "clean --ye": "an option of harness clean must be one it has, but got '--ye'; did you mean "
    "'--yes'?",
    "run tiny.yaml --workers 0": "--workers must be >= 1, but got '0'",
    "run tiny.yaml --workers many": "--workers must be a whole number, but got 'many'",
    "ui tiny.yaml --port 99999999": "--port must be <= 65535, but got '99999999'",
    "sweep tiny.yaml --trials none": "--trials must be a whole number, but got 'none'",
    "calibrate collapse tiny.yaml --images 5": "--images must be >= 20, but got '5'",
    "score real fake --window a b": "--window must be a number, but got 'a'",
    "decide scores.csv --margin x": "--margin must be a number, but got 'x'",
    "run tiny.yaml -s": "-s needs a value, but got none; add it",
    "score real fake --window 1": "--window needs 2 values, but got fewer; add it",
    "clean --yes=3": "--yes takes no value, but got one; leave it out",
    "status a b": "harness status must get no further argument, but got 'b'; leave it out, or "
    "quote a value that has blanks in it",
    "run tiny.yaml --arms gan": "an option of harness run must be one it has, but got '--arms'; a "
    "setting of the experiment is given by -s arms=...",
    "run tiny.yaml mask.width=8": "harness run must get no further argument, but got "
    "'mask.width=8'; did you mean '-s mask.width=8'?",
    "run ''": f"a value must not be empty, but got '' for run; {EMPTY}",
    "run tiny.yaml --workdir ''": f"a value must not be empty, but got '' for --workdir; {EMPTY}",
    "report tiny.yaml --publish=": f"a value must not be empty, but got '' for --publish; {EMPTY}",
    "run empty.yaml": "empty.yaml: the file must be a mapping (`name: ...`), but got nothing",
    "run list.yaml": 'list.yaml: the file must be a mapping (`name: ...`), but got ["a", "b"]',
    "run folder": "the experiment must be a readable YAML file, but got 'folder' (Is a directory); "
    "harness init FOLDER writes one",
    "run open.yaml": "open.yaml, line 2: the text must be YAML, but reading stopped: while parsing "
    "a flow node expected the node content, but found '<stream end>'",
    "run brace.yaml": "brace.yaml, line 2: the text must be YAML, but reading stopped: while "
    "parsing a flow mapping expected ',' or '}', but got '<scalar>'; is the bracket or brace of "
    "line 1 closed?",
    "config tiny.yaml -s seed=": "-s seed: seed must be a whole number >= 0, but got null",
    "status --workdir foreign": "'foreign/format.json' must hold the format of a work folder, but "
    "holds something else; give --workdir another folder",
    "status --workdir nowhere": "a work folder must be what a command of harness made, but got "
    "'HERE/nowhere', where there is no folder; name yours with --workdir, or begin with "
    "harness prepare",
    "status --workdir folder": "a work folder must be what a command of harness made, but got "
    "'HERE/folder', which has no format.json; name yours with --workdir, or begin with "
    "harness prepare",
    "clean --workdir folder": "a work folder must be what a command of harness made, but got "
    "'HERE/folder', which has no format.json; name yours with --workdir, or begin with "
    "harness prepare",
    "inspect nowhere": "inspect needs an existing folder of DICOM files, but got 'nowhere': there "
    "is none of that name; check the path",
    "inspect folder --format nift": "--format must be nifti or nrrd, but got 'nift'; did you mean "
    "'nifti'?",
    "calibrate colapse tiny.yaml": "calibrate needs one of: collapse, memorisation; but got "
    "'colapse'; did you mean 'collapse'?",
    "calibrate comparison tiny.yaml": "calibrate needs one of: collapse, memorisation; but got "
    "'comparison'; harness plan says what a comparison can see",
    "plan tiny.yaml --hours many": "--hours must be a number, but got 'many'",
    "score nowhere folder": "the real images must be in an existing folder, but got 'nowhere'; "
    "check the path",
    "decide nowhere.csv": "SCORES must be a CSV file that can be read, but got 'nowhere.csv' (No "
    "such file or directory); name another one",
    "export nnunte tiny.yaml -o x": "export knows the format nnunet, but got 'nnunte'; type nnunet",
    "report tiny.yaml": "a work folder must be what a command of harness made, but got "
    "'HERE/harness-work', where there is no folder; name yours with --workdir, or begin with "
    "harness prepare",
}


@pytest.fixture
def odd_files(here: Path, experiment: str) -> None:
    """What commands may be pointed at by mistake, beside the experiment."""
    (here / "empty.yaml").touch()
    (here / "list.yaml").write_text("- a\n- b\n")
    (here / "open.yaml").write_text("name: [\n")
    (here / "brace.yaml").write_text("data: {limit: {train: 2}\nimage: 3\nmask: {}\n")
    (here / "folder").mkdir()
    (here / "foreign").mkdir()
    (here / "foreign" / "format.json").write_text("[1]")


@pytest.mark.parametrize("line", REFUSED)
@pytest.mark.usefixtures("odd_files")
def test_every_refusal_is_one_sentence_in_words_and_as_an_object(line: str) -> None:
    words, sentence = shlex.split(line), REFUSED[line].replace("HERE", os.getcwd())
    answer = run_cli(*words)
    assert (answer.code, answer.out, answer.err) == (2, "", f"error: {sentence}\n")
    machine = run_cli(*words, "--json")
    assert machine.code == 2
    assert list(machine.json) == ["error"]
    if not sentence.endswith("; add it"):  # where --json is taken for the value
        assert machine.json["error"]["message"] == sentence


def test_settings_that_look_like_options_are_those_of_an_experiment() -> None:
    assert sorted(SETTINGS) == sorted(Experiment.model_fields)


def test_a_second_driver_of_a_work_folder_is_told_who_holds_it(
    here: Path, experiment: str, prepared: Path
) -> None:
    shutil.copytree(prepared, here / "harness-work")
    with lease(here / "harness-work" / "driver.lease.json", "the work folder"):
        answer = run_cli("prepare", experiment)
        assert answer.code == 3
        assert "the work folder 'harness-work' has one owner at a time, but process" in answer.err
        # What only reads works beside it.
        assert run_cli("report", experiment).code == 0
