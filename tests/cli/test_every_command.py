"""Every command beside a running one, and in a work folder that its user cannot write: those that
only read take no lease, answer, and change nothing that is not theirs; the others are refused in a
sentence before they change anything."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml
from factories.cli import Answer, run_cli
from factories.decide import vector, write
from factories.finished import finish_all
from factories.openkbp import write_experiment
from factories.patients import write_patients
from factories.tree import changed, tree
from PIL import Image

from harness.base.console import Console
from harness.cli import app
from harness.commands.session import Session
from harness.config.load import load_experiment
from harness.jobs.lease import holder, lease
from harness.tracking.store import prepare, resolve

pytestmark = pytest.mark.timeout(900)
COMMANDS: Any = typer.main.get_command(app)
WORK = Path("harness-work")
LEASE, HOME = WORK / "driver.lease.json", WORK / "experiments" / "tiny"
TYPED = {
    "run": ["tiny.yaml"],
    "prepare": ["tiny.yaml"],
    "sweep": ["tiny.yaml"],
    "compare": ["tiny.yaml"],
    "calibrate": ["collapse", "tiny.yaml"],
    "clean": ["--yes"],
    "status": ["tiny.yaml"],
    "report": ["tiny.yaml"],
    "collapse": ["tiny.yaml"],
    "ui": ["tiny.yaml", "--port", "0", "--json"],
    "plan": ["tiny.yaml", "--repeats", "50"],
    "export": ["nnunet", "tiny.yaml", "-o", "out/nnunet", "--folds", "3"],
    "doctor": [],
    "config": ["tiny.yaml"],
    "init": ["CT", "-o", "out/mine.yaml"],
    "inspect": ["CT"],
    "score": ["REAL", "SYNTHETIC", "-o", "out/score"],
    "decide": ["scores.csv", "--baseline", "A", "--candidate", "B"],
}
"""What is typed behind each command."""

FURTHER = {
    "report --publish": ["report", "tiny.yaml", "--publish", "out/pages"],
    "clean, listed": ["clean"],
    "status, all": ["status"],
}

OWNERS = ("run", "prepare", "sweep", "compare", "calibrate", "clean")
OWN = {
    "report": (HOME / "report",),
    "collapse": (HOME / "report",),
    "plan": (HOME / "plan-rates.csv",),
    "ui": (WORK / "mlflow" / "server.log",),
}
"""What a command that reads may write in the work folder: a file, or those of a folder."""

BOUND = {
    "modes": ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-all"],
    "a mount": [
        "unshare", "--mount", "sh", "-c",
        f"mount --bind {WORK} {WORK} && mount -o remount,bind,ro {WORK} && exec \"$@\"", "sh",
    ],
}  # fmt: skip
"""What is typed before a command, so that the superuser cannot write the work folder either."""
AS_ANOTHER = """
import json, sys
import harness
from factories.cli import run_cli
typed = json.loads(sys.argv[1])
answers = {name: run_cli(*words) for name, words in typed.items()}
rows = len(harness.results("harness-work", "tiny.yaml").scores)
answers["harness.results"] = (0, str(rows), "")
with open("out/answers.json", "w") as file:
    json.dump(answers, file)
"""
ONLY = "--workdir must be a folder that can be made and written, but got 'harness-work' ("


@contextlib.contextmanager
def everyones() -> Iterator[Path]:
    """A folder in memory that other users may read."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        os.chmod(name, 0o755)
        yield Path(name)
        subprocess.run(["chmod", "-R", "u+w", name], check=True)


@pytest.fixture(scope="module")
def finished(patients: Path, prepared: Path) -> Iterator[Path]:
    """A folder with the tiny experiment, its finished work folder, and inputs of other commands."""
    with everyones() as place, contextlib.chdir(place):
        plain = yaml.safe_load(write_experiment(place / "tiny.yaml", patients).read_text())
        plain["sweep"] |= {"image": None, "segmentation": None}
        plain |= {"replicates": {"count": 1}, "tracking": {"sample_grids": 1}}
        Path("tiny.yaml").write_text(yaml.safe_dump(plain))
        shutil.copytree(prepared, WORK)
        finish_all(Session(load_experiment(Path("tiny.yaml")), WORK, Console(quiet=True)))
        answer = run_cli("run", "tiny.yaml", "--engine", "inline", "-q")
        assert answer.code == 0, answer.err
        write_patients(place / "CT", [{}] * 3)
        write(place / "scores.csv", {"B": vector()})
        rng = np.random.default_rng(0)
        for folder in ("REAL", "SYNTHETIC"):
            (place / folder).mkdir()
            for number in range(8):
                grey = rng.integers(0, 256, (32, 32), dtype=np.uint8)
                Image.fromarray(grey).save(place / folder / f"{number}.png")
        yield place


def opened_ui(before: Sequence[str] = (), **how: Any) -> Answer:
    """`harness ui` until Ctrl-C, which is typed when it has told its links."""
    code = "from harness.cli import main; main()"
    process = subprocess.Popen(
        [*before, sys.executable, "-c", code, "ui", *TYPED["ui"]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **how,
    )
    assert process.stdout is not None
    links = []
    while not links or links[-1] not in ("", "}\n"):
        links.append(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return Answer(process.returncode, "".join(links) + out, err)


# --- beside a running command ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def beside(finished: Path) -> Iterator[Path]:
    """A copy in which another command is at work."""
    with everyones() as place:
        shutil.copytree(finished, place, dirs_exist_ok=True)
        prepare(resolve(place / WORK, None))  # MLflow's database follows the move
        with contextlib.chdir(place), lease(LEASE, "the work folder"):
            yield place


@pytest.mark.parametrize("name", COMMANDS.commands)
def test_beside_a_running_command(beside: Path, name: str) -> None:
    assert name in TYPED, "say here what is typed, and whether it owns the work folder"
    words = [name, *TYPED[name], *(["--engine", "inline"] if name in OWNERS[:5] else [])]
    owner, before = holder(LEASE), tree(beside / WORK)
    answer = opened_ui() if name == "ui" else run_cli(*words)
    held = f"process {os.getpid()} on "
    if name in OWNERS:
        assert (answer.code, held in answer.err) == (3, True), answer.err
    else:
        assert answer.code == 0, answer.err
    assert holder(LEASE) == owner, "its owner alone refreshes it"
    now = {Path(WORK, path) for path in changed(before, tree(beside / WORK))} - {LEASE}
    own = [place for place in OWN.get(name, ()) for place in (place, *place.parents)]
    foreign = {path for path in now if path not in own and path.parent not in OWN.get(name, ())}
    assert foreign == set(), f"{name} changed what is not its own"


# --- in a folder that cannot be written -----------------------------------------------------------


def _bound(how: Mapping[str, Any]) -> Sequence[str]:
    """What to type before a command that is not to write the work folder."""
    if os.geteuid() != 0:
        return ()
    for before in BOUND.values():
        with contextlib.suppress(OSError):
            there = subprocess.run([*before, "touch", WORK / "x"], stderr=subprocess.PIPE, **how)
            if there.returncode != 0 and b"touch" in there.stderr:
                return before
    pytest.skip("this superuser cannot be kept from writing, neither by modes nor by a mount")


@pytest.fixture(scope="module")
def archive(finished: Path) -> Iterator[tuple[Path, dict[str, Answer], list[str]]]:
    """A copy that nobody may write, what each command answered there, and what changed."""
    with everyones() as place:
        shutil.copytree(finished, place, dirs_exist_ok=True)
        subprocess.run(["chmod", "-R", "a-w", place / WORK], check=True)
        out = place / "out"
        out.mkdir()
        homes = dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR", "XDG_STATE_HOME"), str(out))
        path = os.pathsep.join(entry for entry in sys.path if entry)
        how = {"cwd": place, "env": {**os.environ, **homes, "PYTHONPATH": path}}
        bound = _bound(how)
        before = tree(place / WORK)
        typed = {name: [name, *words] for name, words in TYPED.items() if name != "ui"}
        typed |= FURTHER
        command = [*bound, sys.executable, "-c", AS_ANOTHER, json.dumps(typed)]
        subprocess.run(command, check=True, timeout=800, **how)
        told = json.loads((out / "answers.json").read_text())
        answers = {name: Answer(*answer) for name, answer in told.items()}
        answers["ui"] = opened_ui(bound, **how)
        yield place, answers, changed(before, tree(place / WORK))


REFUSED = {
    **dict.fromkeys(OWNERS[:5], (2, ONLY)),
    "report": (2, "have it written to another one by harness report --publish FOLDER\n"),
    "clean": (3, "must be in a folder that can be written, but got 'harness-work' ("),
    "doctor": (3, ""),
}
"""What cannot be done there, and how that is said."""


@pytest.mark.parametrize("name", [*COMMANDS.commands, *FURTHER, "harness.results"])
def test_in_a_folder_that_cannot_be_written(
    archive: tuple[Path, dict[str, Answer], list[str]], name: str
) -> None:
    place, answers, now = archive
    answer = answers[name]
    code, said = REFUSED.get(name, (0, ""))
    assert answer.code == code, answer.err
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert now == [], "not one file, and no time of a folder"
    if name == "report --publish":
        assert (place / "out/pages/tiny/index.html").exists()
    if name == "harness.results":
        assert answer.out == "2", "an arm each, one patient, one replicate"
    if name == "ui":
        assert "runs" in answer.json
    if name == "collapse":
        assert answer.out.startswith("mask stage: 0 of 4 trainings collapsed")
        assert "harness report --publish FOLDER" in answer.err
