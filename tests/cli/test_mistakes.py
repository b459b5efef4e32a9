"""A mistake at the command line is one sentence that says what to do, or one object."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories.cli import run_cli

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
        "keys of `mask` must be one of: network, batch_size, optimiser, schedule, learns, "
        "augmentation, width, latent, noise, real_label; but got 'mask.widht'; did you mean "
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
        ],
        "augmentation magnitude and synthetic fraction cannot be chosen here: the extra places of "
        "'none' hold no synthetic pairs",
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
        "executor must be one of: processes, ray, inline; but got 'proceses'; did you mean "
        "'processes'?",
    ),
    (
        ["collapse", "tiny.yaml", "--address", "auto"],
        "--address is that of a Ray cluster and needs --engine ray, but got --engine processes; "
        "add --engine ray, or leave --address out",
    ),
    (
        ["calibrate", "collapse", "tiny.yaml", "--engine", "dask"],
        "executor must be one of: processes, ray, inline; but got 'dask'",
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
def test_what_the_parser_refuses(experiment: str, words: list[str]) -> None:
    answer = run_cli(*words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.splitlines()[-1].startswith("Error: ")
    machine = run_cli(*words, "--json")
    assert machine.code == 2
    assert machine.json["error"]["kind"] == "UsageError"


def test_a_second_driver_of_a_work_folder_is_told_who_holds_it(here: Path, experiment: str) -> None:
    with lease(here / "harness-work" / "driver.lease.json", "the work folder"):
        answer = run_cli("prepare", experiment)
        assert answer.code == 3
        assert "the work folder 'harness-work' has one owner at a time, but process" in answer.err
        # What only reads works beside it.
        assert run_cli("report", experiment).code == 0
