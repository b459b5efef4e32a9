"""MLflow's pages on this machine: a server while a command runs."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.base.disk import may_write
from harness.base.errors import EnvironmentFault, UserError
from harness.base.signals import ending_signals
from harness.tracking.leaderboards import leaderboard_names
from harness.tracking.links import Pages
from harness.tracking.store import (
    MlflowStore,
    masked,
    open_client,
    prepare,
    resolve,
    server_environment,
    to_be_shown,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

START_SECONDS = 90.0
END_SECONDS = 5.0
HOST = "127.0.0.1"


def ui(
    workdir: Path,
    uri: str | None,
    experiment: str,
    port: int,
    say: Callable[[str], None],
    links: Callable[[dict[str, Any]], None] = lambda addresses: None,
    dashboards: Mapping[str, str] = types.MappingProxyType({}),
) -> None:
    """Show an experiment's runs until Ctrl-C; a store that is a server already is only named.

    Args:
        workdir: the work folder.
        uri: tracking URI; None is the work folder's own database.
        experiment: name of the MLflow experiment.
        port: port on this machine; 0 takes a free one.
        say: takes lines for a person; the first one is the page of all runs.
        links: takes the same addresses by name, once, with `dashboards` under that name.
        dashboards: the command that opens Optuna's dashboard, by stage with a study.

    Raises:
        UserError: nothing was tracked under that name yet.
        EnvironmentFault: the port is taken, or the server does not start.
    """
    store = resolve(workdir, uri)
    if store.database is not None and not store.database.exists():
        raise UserError(_nothing(experiment))
    if store.is_server:
        pages = _links(_without_login(store.address), store, experiment)
        _say(pages, dashboards, say)
        links(pages | {"dashboards": dict(dashboards)})
        return
    with (
        contextlib.suppress(KeyboardInterrupt),
        to_be_shown(store) as shown,
        serving(shown, workdir, port) as (base, server),
    ):
        pages = _links(base, shown, experiment)
        _say(pages, dashboards, say)
        say("Ctrl-C ends it")
        links(pages | {"dashboards": dict(dashboards)})
        server.wait()
        raise EnvironmentFault(
            f"the MLflow server must run until Ctrl-C, but got its end with code "
            f"{server.returncode}; see {_log(workdir)}"
        )


def _links(base: str, store: MlflowStore, experiment: str) -> dict[str, Any]:
    """What there is of: the runs; the comparison; the arms and each stage's trials as tables, best
    first; the seeds of both GAN stages' sweeps as curves and sample grids, best first."""
    client, tracked = _experiment(store, experiment)
    pages, tables = Pages(base, tracked.experiment_id), leaderboard_names(tracked.tags)
    links = {"runs": pages.shared(tables["runs"]) if "runs" in tables else pages.runs()}
    for run in _some(client, tracked, 'tags.kind = "comparison"'):
        links["comparison"] = pages.run(run.info.run_id)
    for name in ("arms", "mask", "image", "segmentation"):
        if name in tables:
            links[f"{name} leaderboard"] = pages.shared(tables[name])
        where = f'tags.kind = "seed" and tags.stage = "{name}"'
        if name in ("mask", "image") and _some(client, tracked, where):
            links[f"{name} sweep"] = pages.charts("quality/kid", where)
    return links


def _some(client: MlflowClient, tracked: Experiment, where: str) -> list[Run]:
    """A run of those meant, if there is one."""
    return list(client.search_runs([tracked.experiment_id], where, max_results=1))


def _say(
    links: Mapping[str, str], dashboards: Mapping[str, str], say: Callable[[str], None]
) -> None:
    for name, address in links.items():
        say(f"{name}: {address}")
    for stage, command in dashboards.items():
        say(f"{stage} study in Optuna's dashboard: {command}")
    if dashboards and importlib.util.find_spec("optuna_dashboard") is None:
        say("optuna-dashboard is not installed; pip install optuna-dashboard")


@contextlib.contextmanager
def serving(
    store: MlflowStore, workdir: Path, port: int = 0
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server on this machine while the block runs; gives its address and process.

    SIGTERM and SIGHUP end the block as Ctrl-C does, so that no server stays behind.
    """
    prepare(store)
    port = _checked_port(port)
    server = _start(store, workdir, port)
    try:
        with _ending_as_interrupt():
            base = f"http://{HOST}:{port}"
            _await_answer(base, server, workdir)
            yield base, server
    finally:
        _end(server)


def _start(store: MlflowStore, workdir: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port)]
    command += ["--workers", "1"]
    if store.artifacts is not None:
        command += ["--artifacts-destination", store.artifacts.as_uri()]
    log = _log(workdir)
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as output:
        return subprocess.Popen(
            command,
            env=server_environment(store),
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _log(workdir: Path) -> Path:
    """What the server says; of a work folder that cannot be written, where temporary files lie."""
    home = workdir.resolve() / "mlflow"
    if may_write(home):
        return home / "server.log"
    return Path(tempfile.gettempdir()) / f"harness-ui-{os.getpid()}.log"


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server and the workers it started: they share a process group."""
    for kind in (signal.SIGTERM, signal.SIGKILL):  # the second reaches workers that outlive it
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(END_SECONDS)


def _checked_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise EnvironmentFault(
                f"the port must be free, but got {port}, which is taken; name another one, or 0 "
                "for any"
            ) from error
        return int(probe.getsockname()[1])


def _await_answer(base: str, server: subprocess.Popen[bytes], workdir: Path) -> None:
    limit = time.monotonic() + START_SECONDS
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    state = "no answer"
    while (ended := server.poll()) is None and time.monotonic() < limit:
        try:
            direct.open(f"{base}/", timeout=2).close()  # as the links do; /health lets any host in
            return
        except urllib.error.HTTPError as error:
            state = f"the answer {error.code} ({error.reason})"
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.1)
    state = state if ended is None else f"its end with code {ended}"
    raise EnvironmentFault(
        f"the MLflow server must answer within {START_SECONDS:.0f} s, but got {state}; see "
        f"{_log(workdir)}"
    )


@contextlib.contextmanager
def _ending_as_interrupt() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {n: signal.signal(n, signal.default_int_handler) for n in ending_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _without_login(address: str) -> str:
    return re.sub(r"://[^/]*@", "://", address)


def _experiment(store: MlflowStore, experiment: str) -> tuple[MlflowClient, Experiment]:
    client = open_client(store)
    from mlflow.exceptions import MlflowException

    try:
        tracked = client.get_experiment_by_name(experiment)
    except MlflowException as error:
        if not store.is_server:
            raise
        raise EnvironmentFault(
            f"the tracking server {_without_login(store.address)} must answer, but got "
            f"{masked(str(error)).partition('(Caused')[0].strip()}; start it, or check tracking.uri"
        ) from error
    if tracked is not None and tracked.lifecycle_stage == "deleted":
        raise UserError(
            f"MLflow's experiment '{experiment}' must be there to be shown, but it was deleted in "
            "MLflow; repeat a command of the experiment, which restores it, or type "
            f"`MLFLOW_TRACKING_URI={shlex.quote(masked(store.uri))} mlflow experiments restore "
            f"--experiment-id {tracked.experiment_id}`"
        )
    if tracked is None or not _some(client, tracked, ""):
        raise UserError(_nothing(experiment))
    return client, tracked


def _nothing(experiment: str) -> str:
    return (
        f"MLflow's pages need tracked runs of '{experiment}', but got none; run a command of the "
        "experiment first"
    )
