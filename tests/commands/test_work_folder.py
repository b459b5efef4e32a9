"""Who may look into a work folder, by whose patients it holds."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.base.console import Console
from harness.commands.session import Session
from harness.config.choices import SOURCES
from harness.config.experiment import Experiment
from harness.work.prepare.sources import has_own_patients


def experiment(source: str, **privacy: bool) -> Experiment:
    data: dict[str, Any] = {"source": source}
    if source != "phantom":
        data["root"] = "somewhere"
    return Experiment.model_validate({"name": "x", "data": data, "privacy": privacy})


def opened(root: Path, asked: Experiment) -> str:
    """What a command says that opens and leaves the folder."""
    said = io.StringIO()
    with Session(asked, root, Console(stream=said), engine="inline").open(track=False):
        pass
    return said.getvalue()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield int(request.param)
    os.umask(before)


@pytest.mark.parametrize("source", ["phantom", "openkbp", "dicom", "images"])
@pytest.mark.parametrize("shared", [False, True])
def test_a_new_folder_of_own_patients_is_ones_own(
    tmp_path: Path, umask: int, source: str, shared: bool
) -> None:
    work = tmp_path / "deep" / "work"
    assert opened(work, experiment(source, shared=shared)) == ""
    own = source in ("dicom", "images") and not shared
    assert mode(work) == (0o700 if own else 0o777 & ~umask)
    assert mode(tmp_path / "deep") == 0o777 & ~umask
    assert mode(work / "private") == 0o700


@pytest.mark.parametrize("there", [0o755, 0o750, 0o711, 0o2770])
def test_a_folder_that_is_too_open_is_said_and_left(tmp_path: Path, there: int) -> None:
    work = tmp_path / "my work"
    work.mkdir()
    work.chmod(there)
    (work / "private").mkdir(mode=0o755)
    assert opened(work, experiment("dicom")) == (
        "warning: the work folder of your own patients should be open to you alone (0700), but got "
        f"mode {there:04o}; type chmod 700 '{work}', or set privacy.shared: true\n"
    )
    assert mode(work) == there
    assert mode(work / "private") == 0o700
    for other in (experiment("dicom", shared=True), experiment("phantom")):
        assert opened(work, other) == ""
    work.chmod(0o700)
    assert opened(work, experiment("dicom")) == ""


def test_a_source_of_another_package_has_own_patients_unless_it_says_so() -> None:
    assert [name for name in SOURCES if not has_own_patients(experiment(name).data)] == [
        "phantom", "openkbp"
    ]  # fmt: skip
