"""The script for Slurm, under a Slurm of two nodes on this machine.

Wants root and `apt-get install slurm-wlm munge`. Both nodes are this host, so what a network
between them would do is not seen. A requeued job waits two minutes, Slurm's own pause.
"""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories.chaos import assert_same_results, finish, studies, written
from factories.cluster import EXPERIMENT, assert_every_trial_once

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1800)]

SCRIPT = Path(__file__).parents[2] / "deploy" / "slurm.sh"
NODES = {"n1": 17001, "n2": 17002}
CONFIG = """
ClusterName=loop
SlurmctldHost={host}
AuthType=auth/munge
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
SlurmctldPidFile={root}/controller.pid
SlurmdPidFile={root}/%n.pid
SlurmctldLogFile={root}/controller.log
SlurmdLogFile={root}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobRequeue=1
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=2000\n"


class Slurm:
    """A controller and two nodes; `call` runs one of its commands."""

    def __init__(self, root: Path) -> None:
        self.root = root
        host = socket.gethostname().partition(".")[0]
        text = CONFIG.format(host=host, root=root)
        text += "".join(NODE.format(name=n, host=host, port=port) for n, port in NODES.items())
        config = root / "slurm.conf"
        config.write_text(text)
        (root / "state").mkdir()
        self.environment = {**os.environ, "SLURM_CONF": str(config)}
        self.call("slurmctld", "-f", str(config))
        for name in NODES:
            self.call("slurmd", "-N", name, "-f", str(config))

    def call(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def submit(self, *options: str, log: Path) -> str:
        """Queue the script with options of sbatch before "--", of harness after it."""
        cut = options.index("--")
        before, after = options[:cut], options[cut + 1 :]
        said = self.call("sbatch", "--output", str(log), *before, str(SCRIPT), *after)
        return said.split()[-1]

    def job(self, number: str) -> dict[str, str]:
        fields = self.call("scontrol", "show", "job", number).split()
        return dict(field.split("=", 1) for field in fields if "=" in field)

    def until(self, number: str, state: str, seconds: float) -> dict[str, str]:
        limit = time.monotonic() + seconds
        while (job := self.job(number))["JobState"] != state:
            assert time.monotonic() < limit, job
            time.sleep(1)
        return job

    def end(self) -> None:
        for name in ("controller", *NODES):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((self.root / f"{name}.pid").read_text()), signal.SIGTERM)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    missing = [name for name in ("slurmctld", "slurmd", "munged") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not found: apt-get install slurm-wlm munge")
    if os.getuid() != 0:
        pytest.skip("Slurm's daemons want root")
    if subprocess.run(["munge", "-n"], capture_output=True).returncode != 0:
        Path("/run/munge").mkdir(exist_ok=True)
        shutil.chown("/run/munge", "munge", "munge")
        subprocess.run(["su", "-s", "/bin/sh", "munge", "-c", "/usr/sbin/munged"], check=True)
    made = Slurm(tmp_path_factory.mktemp("slurm"))
    yield made
    made.end()


def test_a_sweep_over_two_nodes_that_is_told_to_end_goes_on_by_itself(
    tmp_path: Path, slurm: Slurm
) -> None:
    """Told by the signal that the script asks Slurm for, before the time limit."""
    experiment = copy.deepcopy(EXPERIMENT)
    experiment["sweep"]["mask"]["space"]["schedule.epochs"] = {"values": [120]}
    file = written(tmp_path / "slurm.yaml", experiment)
    workdir, alone, log = tmp_path / "work", tmp_path / "alone", tmp_path / "job.log"
    number = slurm.submit(
        "--nodes=2", "--cpus-per-task=1", "--", "sweep", str(file), "--workdir", str(workdir),
        log=log,
    )  # fmt: skip
    limit = time.monotonic() + 200
    while not list(workdir.glob("jobs/mask-stage/*/journal.jsonl")):
        assert time.monotonic() < limit, log.read_text()
        time.sleep(0.5)
    slurm.call("scancel", "--batch", "--signal=TERM", number)
    job = slurm.until(number, "COMPLETED", 900)
    assert (job["NumNodes"], job["Restarts"]) == ("2", "1")
    assert "running jobs saved their state" in log.read_text()
    finish(file, alone, "--engine", "inline")
    assert_every_trial_once(studies(workdir))
    assert studies(workdir) == studies(alone)
    assert_same_results(workdir, alone)
