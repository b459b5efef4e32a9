"""What a user may not read or write is one sentence, with the path and whose it is.

Root may do everything: there, the commands run without those powers.
"""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.sweep.storage import make_database

ROOT = os.geteuid() == 0
POWERS = "-dac_override,-dac_read_search,-fowner"
PLAIN = ["setpriv", "--bounding-set", POWERS, "--"] if ROOT else []
ME = f"{pwd.getpwuid(os.geteuid()).pw_name} (uid {os.geteuid()})"

pytestmark = pytest.mark.skipif(
    ROOT and shutil.which("setpriv") is None, reason="setpriv (util-linux) is not there"
)


def typed(*words: str) -> tuple[int, str]:
    """Exit code and what a command says, as a user without root's powers."""
    done = subprocess.run(
        [*PLAIN, sys.executable, "-m", "harness", *words], capture_output=True, text=True
    )
    return done.returncode, done.stderr


@pytest.fixture
def closed() -> Iterator[Callable[[Path], str]]:
    """Takes all permissions from something; gives what the sentence then says of it."""
    touched: list[tuple[Path, int]] = []

    def close(path: Path) -> str:
        touched.append((path, path.stat().st_mode))
        path.chmod(0)
        return f"'{path}' belongs to {ME}, mode 0000"

    yield close
    for path, mode in touched:
        path.chmod(mode)


@pytest.fixture
def work(here: Path, experiment: str, prepared: Path) -> Path:
    return Path(shutil.copytree(prepared, here / "harness-work"))


@pytest.mark.parametrize(
    ("part", "command"),
    [
        ("", ["prepare", "tiny.yaml"]),
        ("", ["status"]),
        ("format.json", ["report", "tiny.yaml"]),
        ("jobs", ["status"]),
        ("jobs/prepare", ["clean"]),
        ("experiments", ["prepare", "tiny.yaml", "--engine", "inline"]),
    ],
)
def test_a_part_of_the_work_folder(
    work: Path, closed: Callable[[Path], str], part: str, command: list[str]
) -> None:
    whose = closed(work / part)
    code, said = typed(*command)
    assert code in (2, 3)
    assert said.startswith(f"error: {ME} must be allowed to use '{work}")
    assert f"but got Permission denied: {whose}; ask its owner to let you in, or name " in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("studies/mask.db", ["sweep", "tiny.yaml", "--stage", "mask", "--engine", "inline"]),
        ("mlflow/mlflow.db", ["ui", "tiny.yaml", "--port", "0"]),
    ],
)
def test_a_database(
    work: Path, closed: Callable[[Path], str], file: str, command: list[str]
) -> None:
    """sqlite's own words for it name no file, and MLflow tries for minutes."""
    path = work / file
    path.parent.mkdir(exist_ok=True)
    if path.parent.name == "studies":
        make_database(path)
    else:
        path.touch()
    whose = closed(path)
    code, said = typed(*command)
    assert code == 3
    assert said.splitlines()[-1].startswith(f"error: {ME} must be allowed to use '{path}', but got")
    assert whose in said
    assert "Traceback" not in said


def test_the_experiment(here: Path, experiment: str, closed: Callable[[Path], str]) -> None:
    whose = closed(here / experiment)
    code, said = typed("config", str(here / experiment))
    assert (code, said) == (
        2,
        f"error: {ME} must be allowed to use '{here / experiment}', but got Permission denied: "
        f"{whose}; ask its owner to let you in, or name another folder\n",
    )


def test_a_table_of_scores(here: Path, closed: Callable[[Path], str]) -> None:
    (here / "folder").mkdir()
    (here / "folder" / "scores.csv").write_text("")
    whose = closed(here / "folder")
    code, said = typed("decide", "folder/scores.csv")
    assert code == 2
    assert whose in said
    assert "Traceback" not in said


def test_a_place_to_write(here: Path, experiment: str, closed: Callable[[Path], str]) -> None:
    (here / "there").mkdir()
    whose = closed(here / "there")
    code, said = typed("prepare", experiment, "--workdir", "there/work")
    assert code == 2
    assert whose in said
    assert "Traceback" not in said


def test_patients_are_not_named(
    here: Path, experiment: str, patients: Path, closed: Callable[[Path], str]
) -> None:
    """Of a folder below the patients' it is said whose it is, not which."""
    home = Path(shutil.copytree(patients, here / "Meier"))
    (home / "sub").mkdir()
    closed(home / "sub")
    data = ["-s", "data.source=images", "-s", f"data.root={home}", "-s", "data.roles.by=random"]
    code, said = typed("prepare", experiment, *data, "--engine", "inline")
    assert code == 2
    assert f"one is not (Permission denied: it belongs to {ME}, mode 0000); check" in said
    assert "Meier" not in said


def test_a_disk_that_is_read_only(here: Path, experiment: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("a disk could not be mounted")
        try:
            code, said = typed("prepare", experiment, "--workdir", folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
    assert code == 2
    assert f"({os.strerror(errno.EROFS)}: '{folder}' belongs to {ME}, mode 1777)" in said
