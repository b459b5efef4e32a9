"""The templates for Slurm and Kubernetes: well formed, and naming commands that exist."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from harness.cli import app

DEPLOY = Path(__file__).parents[2] / "deploy"


def options_of(command: str) -> set[str]:
    """Long options of a subcommand."""
    found = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]
    return {option for parameter in found for option in parameter.opts}


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    text = (DEPLOY / "kubernetes.yaml").read_text()
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def test_the_script_is_one_that_bash_reads() -> None:
    subprocess.run(["bash", "-n", str(DEPLOY / "slurm.sh")], check=True)
    (call,) = re.findall(r'^harness "\$@" (.*) &$', (DEPLOY / "slurm.sh").read_text(), re.M)
    named = {word for word in shlex.split(call) if word.startswith("--")}
    for command in ("run", "prepare", "sweep", "compare"):
        assert named <= options_of(command)


def test_the_job_runs_a_command_that_exists(documents: dict[str, Any]) -> None:
    program, command, experiment, *rest = shlex.split(documents["RayJob"]["spec"]["entrypoint"])
    assert program == "harness"
    assert experiment.startswith("/work/")
    assert {word for word in rest if word.startswith("--")} <= options_of(command)


def test_every_pod_mounts_the_shared_folder_of_the_claim(documents: dict[str, Any]) -> None:
    cluster = documents["RayJob"]["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert documents["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]
    images = set()
    for group in groups:
        pod = group["template"]["spec"]
        (volume,) = pod["volumes"]
        claim = volume["persistentVolumeClaim"]["claimName"]
        assert claim == documents["PersistentVolumeClaim"]["metadata"]["name"]
        for container in pod["containers"]:
            assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": "/work"}]
            images.add(container["image"])
    assert len(images) == 1, "the same harness and Ray everywhere"
    assert f"ray:{cluster['rayVersion']}-" in (DEPLOY / "Dockerfile").read_text()
