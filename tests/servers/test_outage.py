"""A sweep on a team's servers is the sweep that it is without them, whoever dies on the way.

HARNESS_OUTAGE_SECONDS (8) says how long the servers are away, HARNESS_CHAOS_KILLS (2) how often the
sweep is killed, HARNESS_CHAOS_TRIALS (2) how many settings it tries.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from factories.chaos import (
    SEED,
    Command,
    amount,
    killed_at_random,
    started,
    tail,
    wait_for,
    written,
)
from factories.servers import Team, assert_same_sweep, on_servers

from harness.base.errors import Stopped

pytestmark = [pytest.mark.servers, pytest.mark.timeout(5400)]

SECONDS = float(os.environ.get("HARNESS_OUTAGE_SECONDS", "8"))
KILLS = int(os.environ.get("HARNESS_CHAOS_KILLS", "2"))
OPTIONS = ("--workers", "1")
AWAY = "the database of the studies must answer, but got"
BACK = "what was away is back; going on"


def test_two_sweeps_meet_an_outage_of_both_servers(
    team: Team, reference: Path, tmp_path: Path
) -> None:
    """One waits, and ends as if undisturbed; the other is stopped while it waits."""
    file, workdir = written(tmp_path / "team.yaml", on_servers(team)), tmp_path / "work"
    other = tmp_path / "other"
    with started(file, workdir, *OPTIONS) as patient, started(file, other, *OPTIONS) as stopped:
        in_the_middle(patient, workdir)
        in_the_middle(stopped, other)
        team.stop("immediate")
        gone, before = time.monotonic(), amount(workdir)
        assert wait_for(stopped, lambda: AWAY in tail(other)), tail(other)
        stopped.process.send_signal(signal.SIGINT)
        assert wait_for(patient, lambda: AWAY in tail(workdir)), tail(workdir)
        assert wait_for(patient, lambda: time.monotonic() > gone + SECONDS, SECONDS + 60)
        assert amount(workdir) > before, "trainings go on meanwhile"
        assert stopped.process.wait(60) == Stopped.exit_code, tail(other)
        print(f"away for {time.monotonic() - gone:.0f} s, {amount(workdir) - before} bytes written")
        team.start()
        patient.process.wait()
    said = tail(workdir)
    assert patient.process.returncode == 0, said
    assert said.count(AWAY) == said.count(BACK) == 1, said
    assert_same_sweep(team, workdir, reference)
    assert not list(workdir.glob("studies/*.db"))
    secret = team.password.encode()
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and secret in p.read_bytes()]


def in_the_middle(command: Command, workdir: Path) -> None:
    """Until a training has begun."""
    begun = wait_for(command, lambda: any(workdir.glob("jobs/mask-stage/*/journal.jsonl")))
    assert begun, tail(workdir)


@pytest.mark.slow
def test_a_sweep_on_servers_killed_at_random_ends_as_an_undisturbed_one(
    team: Team, reference: Path, tmp_path: Path
) -> None:
    file = written(tmp_path / "team.yaml", on_servers(team))
    assert killed_at_random(file, tmp_path / "killed", KILLS, SEED)
    assert_same_sweep(team, tmp_path / "killed", reference)
