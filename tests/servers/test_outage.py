"""Servers that vanish in the middle of a sweep and come back.

HARNESS_OUTAGE_SECONDS (8) says how long they are away.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from chaos_material import Command, amount, started, tail, wait_for, written
from conftest import Team, on_servers
from test_sharing import assert_same_sweep

from harness.base.errors import Stopped

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

SECONDS = float(os.environ.get("HARNESS_OUTAGE_SECONDS", "8"))
AWAY = "the database of the studies must answer, but got"
BACK = "what was away is back; going on"


def in_the_middle(command: Command, workdir: Path) -> None:
    """Until a training has begun."""
    assert wait_for(command, lambda: any(workdir.glob("jobs/mask-stage/*/journal.jsonl")))


def test_trainings_go_on_while_both_servers_are_away(
    team: Team, reference: Path, tmp_path: Path
) -> None:
    file, workdir = written(tmp_path / "team.yaml", on_servers(team)), tmp_path / "work"
    with started(file, workdir, "--workers", "2") as command:
        in_the_middle(command, workdir)
        team.stop("immediate")
        gone, before = time.monotonic(), amount(workdir)
        assert wait_for(command, lambda: AWAY in tail(workdir)), tail(workdir)
        assert wait_for(command, lambda: time.monotonic() > gone + SECONDS)
        print(f"{amount(workdir) - before} bytes written in {time.monotonic() - gone:.0f} s")
        assert amount(workdir) > before
        team.start()
        command.process.wait()
    said = tail(workdir)
    assert command.process.returncode == 0, said
    assert said.count(AWAY) == said.count(BACK) == 1, said
    assert_same_sweep(team, workdir, reference)


def test_who_waits_for_a_server_can_be_stopped(team: Team, reference: Path, tmp_path: Path) -> None:
    file, workdir = written(tmp_path / "team.yaml", on_servers(team)), tmp_path / "work"
    with started(file, workdir, "--workers", "2") as command:
        in_the_middle(command, workdir)
        team.stop()
        try:
            assert wait_for(command, lambda: AWAY in tail(workdir)), tail(workdir)
            command.process.send_signal(signal.SIGINT)
            command.process.wait(90)
        finally:
            team.start()
    assert command.process.returncode == Stopped.exit_code, tail(workdir)
    with started(file, workdir, "--workers", "2") as command:
        command.process.wait()
    assert command.process.returncode == 0, tail(workdir)
    assert_same_sweep(team, workdir, reference)
