"""A package of somebody else's: what it adds runs as built-ins do, and is refused without it."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from factories.cli import run_cli

TESTS = Path(__file__).parents[1]
CLINIC = TESTS / "clinic_package"
EXPERIMENT = CLINIC / "clinic.yaml"
NAMES = ("blurred", "grey_gap", "blobs", "painter", "pixels")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has the package."""
    copy, target = tmp_path_factory.mktemp("source") / "clinic", tmp_path_factory.mktemp("site")
    shutil.copytree(CLINIC, copy)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "--no-build-isolation", "--target", target, copy], check=True, capture_output=True
    )
    path = os.pathsep.join([str(target), str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def test_the_suites_run_over_what_it_adds(installed: dict[str, str]) -> None:
    suites = ["test_arms.py", "test_scores.py", "test_networks.py", "test_segmenters.py"]
    command = [sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider", "-k"]
    done = subprocess.run(
        [
            *command,
            " or ".join(NAMES),
            *(TESTS / "contracts" / name for name in suites),
        ],
        cwd=TESTS.parent,
        env={key: value for key, value in installed.items() if "PYTEST" not in key},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("blurred", "grey_gap", "mask-blobs", "image-painter", "segmentation-pixels"):
        assert f"[{name}] PASSED" in done.stdout


def test_an_experiment_of_its_things_runs(installed: dict[str, str], tmp_path: Path) -> None:
    words = [sys.executable, "-m", "harness", "run", EXPERIMENT, "--workdir", tmp_path]
    done = subprocess.run(
        [*words, "--engine", "inline", "-q"], env=installed, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    report = tmp_path / "experiments" / "clinic" / "report"
    rows = list(csv.DictReader((report / "scores.csv").open()))
    arms = {"traditional", "traditional+blurred", "blurred:only", "traditional+gan"}
    assert {row["arm"] for row in rows} == arms
    trials = list(csv.DictReader((report / "sweep-mask.csv").open()))
    assert len(trials) == 2
    assert all(0 <= float(row["quality/grey_gap"]) <= 1 for row in trials)
    page = (report / "index.html").read_text(encoding="utf-8")
    assert "grey gap (lower is better" in page
    assert "part of each batch: real pairs, blurred; augmentation" in page


def test_without_it_every_name_is_refused_with_what_is_near() -> None:
    answer = run_cli("config", EXPERIMENT)
    assert answer.code == 2
    for name, near in (
        ("discs", "data.source must be one of: phantom, openkbp, dicom, images"),
        ("histogram", "metrics.extractor must be one of: auto, inception-v3"),
        ("traditional+blurred", "did you mean 'traditional+real'?"),
        ("blobs", "mask.network must be one of: dcgan"),
        ("painter", "image.network must be one of: pix2pix"),
        ("pixels", "segmentation.network must be one of: unet"),
    ):
        assert f"but got '{name}'" in answer.err
        assert near in answer.err
