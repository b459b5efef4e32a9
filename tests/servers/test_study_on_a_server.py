"""A study on PostgreSQL: what enters it when connections break, and what a first look says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from factories.servers import Team

from harness.base.errors import EnvironmentFault, Outage
from harness.config.search import StageSweepConfig, SweepConfig
from harness.sweep.storage import Server, is_begun
from harness.sweep.study import Study

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

SPACE = {
    "optimiser.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
    "schedule.epochs": {"values": [10, 30]},
}


class Cutter:
    """Passes bytes on to the server, and cuts the connection after a commit that it passed on.

    Attributes:
        armed: commits from now to the one after which to cut; 0 never cuts.
    """

    def __init__(self, port: int) -> None:
        self.armed = 0
        self._server = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server))
            cut = threading.Event()
            for one, other, watched in ((client, server, True), (server, client, False)):
                given = (one, other, watched, cut)
                threading.Thread(target=self._pass, args=given, daemon=True).start()

    def _pass(
        self, one: socket.socket, other: socket.socket, watched: bool, cut: threading.Event
    ) -> None:
        try:
            while block := one.recv(1 << 16):
                if watched and b"COMMIT" in block and self.armed:
                    self.armed -= 1
                    if not self.armed:
                        cut.set()
                        other.sendall(block)
                        other.shutdown(socket.SHUT_WR)  # the server commits; nobody hears of it
                        one.close()
                        return
                if not cut.is_set():
                    other.sendall(block)
        except OSError:
            pass

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def cutter(team: Team) -> Iterator[Cutter]:
    made = Cutter(team.port)
    yield made
    made.close()


def study(path: Path, server: Server | None = None) -> Study:
    sweep = SweepConfig.model_validate({"trials_per_batch": 2, "sampler": "tpe"})
    settings = StageSweepConfig.model_validate({"trials": 4, "space": SPACE})
    return Study(path, "mask", sweep, settings, "base", server)


def go_on(opened: Study) -> None:
    """A planner's pass, which begins by reading."""
    while True:
        known = [trial.params for trial in opened.trials()]
        for trial in opened.asked():
            shorter = {**trial.params, "schedule.epochs": 10}
            if trial.value is not None and shorter not in known:
                opened.enter_checkpoint(trial.number, shorter, [0.5], 0)
                known.append(shorter)
        opened.ask_wave()
        waiting = [trial for trial in opened.asked() if trial.value is None]
        if not waiting:
            return
        for trial in waiting:
            opened.tell(trial.number, [trial.params["optimiser.learning_rate"]], 0)


def passes(opened: Study, cutter: Cutter, after: int) -> bool:
    """A pass with a cut after so many commits; whether it came to its end before."""
    cutter.armed = after
    try:
        go_on(opened)
    except Outage:
        return False
    cutter.armed = 0
    return True


def test_a_connection_cut_after_any_commit_enters_nothing_twice(
    team: Team, cutter: Cutter, tmp_path: Path
) -> None:
    whole = study(tmp_path / "mask.db")
    go_on(whole)
    url = f"postgresql://harness@127.0.0.1:{cutter.port}/studies"
    opened = study(tmp_path / "unused.db", Server(url, "cut"))
    cuts = 0
    while not passes(opened, cutter, after=cuts + 1):
        cuts += 1
    print(f"{cuts} connections cut")
    assert cuts > 10
    assert opened.trials() == whole.trials()


def test_folders_are_kept_apart(team: Team, tmp_path: Path) -> None:
    path = tmp_path / "unused.db"
    mine, other = Server(team.storage, "mine"), Server(team.storage, "other")
    assert not is_begun(path, "mask", mine)
    study(path, mine).ask_wave()
    assert is_begun(path, "mask", mine)
    assert not is_begun(path, "image", mine)
    assert not is_begun(path, "mask", other)
    assert study(path, other).trials() == []
    assert study(path, mine).name == study(path, other).name == study(tmp_path / "mask.db").name


def wrong_password(team: Team, patch: pytest.MonkeyPatch) -> str:
    patch.setenv("PGPASSWORD", "Falsch-1234")
    return team.storage.replace("127.0.0.1", "localhost")


def no_such_database(team: Team, patch: pytest.MonkeyPatch) -> str:
    return team.storage.replace("/studies", "/nowhere")


def nobody_there(team: Team, patch: pytest.MonkeyPatch) -> str:
    return "postgresql://harness@127.0.0.1:9/studies"


@pytest.mark.parametrize("wrong", [wrong_password, no_such_database, nobody_there])
def test_what_waiting_cannot_mend_is_said_at_once(
    team: Team,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: Callable[[Team, Any], str],
) -> None:
    with pytest.raises(EnvironmentFault) as found:
        study(tmp_path / "unused.db", Server(wrong(team, monkeypatch), "mine"))
    said = str(found.value)
    assert not isinstance(found.value, Outage)
    assert said.startswith("sweep.storage must name a database that lets this user in, but got '")
    assert "\n" not in said
    assert "Falsch" not in said
    assert team.password not in said
