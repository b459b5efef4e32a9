"""Two owners of one training, each a process of its own: one is stopped past its lease, a successor
trains, the first is continued.

The training is a line of one weight that waits a little at every update; leases lapse in half a
second. Owners are forked from a server that has loaded torch, so a round takes about two seconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from factories.tiny import values_of, weights_at
from factories.tree import changed, tree
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.base.files import read_json
from harness.jobs import lease, runner
from harness.jobs.context import Context
from harness.jobs.folder import JobFolder, WorkFolder
from harness.jobs.kinds import KINDS, Kind
from harness.jobs.runner import Outcome, run_request
from harness.jobs.spec import Request, Spec
from harness.training import fit as loop

LAPSE_S, REFRESH_S = 0.5, 0.1
EPOCHS, UPDATES = 24, 4
UPDATE_S = 0.008
TARGETS = (1, EPOCHS // 2, EPOCHS)
LOADED = ["torch", "torch._dynamo", "harness.training.fit", "harness.work.specs"]
"""What takes long to import; the server finds modules of tests no earlier than its children do."""
NEW_HOST, NEW_PIDS = 0x04000000, 0x20000000  # CLONE_NEWUTS, CLONE_NEWPID

if "test-line" not in list(KINDS):
    KINDS.add("test-line", Kind("factories.split:line_job", 1, training=True))


class Line:
    """One weight, pulled to noise that the loop's seeds decide."""

    def __init__(self, pause: float) -> None:
        self.pause = pause
        self.module = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.module.weight)
        self.networks = {"line": self.module}
        self.optimisers = {"line": torch.optim.Adam(self.module.parameters(), lr=0.1)}

    def step(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        time.sleep(self.pause)
        self.optimisers["line"].zero_grad()
        loss = ((self.module.weight - torch.randn(1) - batch["x"]) ** 2).sum()
        loss.backward()
        self.optimisers["line"].step()
        return {"loss": loss}

    def rate_factor(self, epoch: int, share: float) -> float:
        return 1.0

    def weights(self) -> Mapping[str, Tensor]:
        return self.module.state_dict()

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        level = int(100 * abs(self.module.weight.item())) % 256
        return {"grey": np.full((4, 6), level, np.uint8)}

    def epoch_end(self, epoch: int) -> Mapping[str, float]:
        return {"weight": self.module.weight.item()}

    def updates(self, epoch: int) -> int:
        return UPDATES

    def images(self, epoch: int) -> int:
        return UPDATES

    def batch(self, epoch: int, index: int) -> Mapping[str, Tensor]:
        return {"x": torch.tensor([epoch + index / 10])}


def line_job(context: Context) -> None:
    line = Line(context.spec.config["pause"])

    def finish(epoch: int, length: int) -> None:
        weights = context.folder.at(epoch) / "weights.safetensors"
        context.finish([weights], {"epoch": epoch}, epoch, length)

    loop.fit(
        loop.Training(
            line,
            line,
            context.folder,
            7,
            context.request.epochs,
            finish,
            context.stop,
            picture_epochs=frozenset(range(1, EPOCHS + 1)),
            last_epoch=EPOCHS,
            stopwatch=context.stopwatch,
        )
    )


def line(pause: float = UPDATE_S) -> Request:
    return Request(Spec("test-line", {"pause": pause}), TARGETS, label="the line")


def _apart(place: str) -> None:
    """Enter another place for good: "host", another host name, or "pids", another PID namespace."""
    kind = {"host": NEW_HOST, "pids": NEW_PIDS}[place]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(kind) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if place == "host":
        socket.sethostname("elsewhere")


def can_be(place: str) -> bool:
    """Whether this user may make such a place."""
    if place == "here":
        return True
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(OSError):
            _apart(place)
            os._exit(0)
        os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def _own(root: str, place: str, lapse: float, told: Any) -> None:
    """Be an owner: tells its process id, then the outcome."""
    lease.LAPSE_SECONDS, lease.REFRESH_SECONDS = lapse, REFRESH_S
    runner.LOOK_SECONDS = 0.01
    loop.FIRST_SAVE_SECONDS, loop.LEAST_SAVE_SECONDS, loop.SAVE_RATIO = 0.05, 0.05, 5.0
    torch.set_num_threads(1)
    if place != "here":
        _apart(place)
    inner = os.fork() if place == "pids" else 0  # a namespace begins with the next process
    if inner:
        told.send(inner)
        os.waitpid(inner, 0)
        return
    if place != "pids":
        told.send(os.getpid())
    told.send(vars(run_request(line(), WorkFolder(Path(root)))))
    told.close()
    if place == "pids":
        os._exit(0)


def standing(pid: int) -> bool:
    """Whether all threads of a process stand, or have ended."""
    stats = Path(f"/proc/{pid}/task").glob("*/stat")
    return {_state(stat) for stat in stats} <= {"T", "Z", ""}


def _state(stat: Path) -> str:
    """Of a thread, by its file in /proc; empty where it is gone."""
    with contextlib.suppress(OSError):
        return stat.read_text().rpartition(")")[2].split()[0]
    return ""


@dataclass
class Owner:
    """A process that is to bring the training to its end; `pid` as this process sees it."""

    root: Path
    place: str = "here"
    lapse: float = LAPSE_S
    pid: int = field(init=False)

    def __post_init__(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(LOADED)
        self._heard, told = context.Pipe(duplex=False)
        given = str(self.root), self.place, self.lapse, told
        self._process = context.Process(target=_own, args=given)
        self._process.start()
        told.close()
        self.pid = self._heard.recv()

    def stop(self) -> None:
        """Stop it, and wait until all its threads stand, or have ended."""
        self._signal(signal.SIGSTOP)
        wait(lambda: standing(self.pid))

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def ended(self) -> bool:
        return self._heard.poll()

    def outcome(self) -> Outcome:
        assert self._heard.poll(60), f"the owner {self.place} did not end"
        found = Outcome(**self._heard.recv())
        self._process.join()
        return found

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._process.join()


@contextlib.contextmanager
def owners() -> Iterator[Callable[..., Owner]]:
    """Makes owners, of which none is left."""
    made: list[Owner] = []
    try:
        yield lambda *given: made.append(Owner(*given)) or made[-1]
    finally:
        for owner in made:
            owner.kill()


def token(folder: JobFolder) -> str:
    """Of the lease that lies there; empty without one."""
    with contextlib.suppress(FileNotFoundError):
        return str(read_json(folder.path / "lease.json")["token"])
    return ""


def wait(true: Callable[[], bool], seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.002)


def split(root: Path, place: str, chance: random.Random) -> None:
    """One round in the empty folder `root`: the first owner, in `place`, is stopped at a random
    moment and continued at a random moment of its successor's work, or after it."""
    work = WorkFolder(root)
    folder = work.job(line().spec)
    span = EPOCHS * UPDATES * UPDATE_S
    with owners() as make:
        first = make(root, place)
        wait(lambda: token(folder) != "")
        before = token(folder)
        time.sleep(chance.uniform(0.0, 0.8 * span))
        first.stop()
        assert not first.ended(), "it is to be stopped in its work"
        second = make(root)
        wait(lambda: token(folder) not in ("", before))
        time.sleep(chance.uniform(0.0, 1.3 * span))
        second.stop()  # so that whatever changes now was done by the first
        seen = tree(root, folders=False)
        first.go_on()
        lost = first.outcome()
        assert changed(seen, tree(root, folders=False)) == [], "a deposed owner writes nothing"
        assert lost.state == "lost", lost
        assert "the line has one owner at a time, but while this process was silent" in lost.reason
        second.go_on()
        assert second.outcome() == Outcome("done")
    assert token(folder) == ""


def assert_undisturbed(root: Path, reference: Path) -> None:
    """The training in `root` is that of `reference`, bit by bit; no line stands twice."""
    found, whole = (WorkFolder(path).job(line().spec) for path in (root, reference))
    assert found.checkpoints() == whole.checkpoints() == list(TARGETS)
    for epoch in TARGETS:
        results = [folder.result(epoch) for folder in (found, whole)]
        assert results[0]["content"] == results[1]["content"]  # type: ignore[index]
        assert weights_at(found, epoch) == weights_at(whole, epoch)
    assert values_of(found) == values_of(whole)
    pictures = [
        {path.name: path.read_bytes() for path in folder.samples.glob("*.png")}
        for folder in (found, whole)
    ]
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == EPOCHS
