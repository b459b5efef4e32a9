"""Where MLflow keeps its runs, and the one careful first use of a database.

Without a tracking URI the store is `<workdir>/mlflow/mlflow.db` with files below
`<workdir>/mlflow/artifacts`. MLflow's own first use is not safe against a second process or a kill
(it migrates an empty database in place), so a SQLite database is made under a temporary name, in
the same folder and under a lock, and renamed when it is whole.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from harness.base.errors import ConfigError, EnvironmentFault
from harness.base.files import locked, read_json, write_json
from harness.base.sqlite_url import sqlite_url

if TYPE_CHECKING:
    from mlflow import MlflowClient

_OURS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
# A vanished server is met by waiting between whole syncs, not inside one request.
_WAITS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
_OF_MLFLOW = re.compile(r"MLFLOW_")
_OF_SERVERS = re.compile(r"_?MLFLOW_|UVICORN_|GUNICORN_|FLASK_|WEB_CONCURRENCY|FORWARDED_ALLOW_IPS")
_PASSED = re.compile(r"MLFLOW_(TRACKING|HTTP|KERBEROS|S3|GCS|BOTO|MYSQL_SSL)_")
"""Variables of the shell by which a client reaches a server: its address, who one is, TLS, how long
to wait, where artifacts lie. MLflow's others are meant for a server, a run or a workspace of
somebody's, and would change ours."""
_ARTIFACT_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
)


@dataclass(frozen=True)
class MlflowStore:
    """One tracking store.

    Attributes:
        address: URI of a server or of another database than SQLite; "" for a SQLite file.
        artifacts: root for files of new experiments; None where the server decides.
        database: the SQLite file, None for a server or another database.
    """

    address: str
    artifacts: Path | None
    database: Path | None

    @property
    def uri(self) -> str:
        """The tracking URI."""
        return self.address if self.database is None else _file_uri(self.database)

    @property
    def is_server(self) -> bool:
        """Whether an MLflow server has it."""
        return self.address.startswith("http")


def _file_uri(database: Path) -> str:
    """With the driver's name: of `sqlite:///...` MLflow makes the folder, escapes and all, beside
    the real one."""
    return sqlite_url(database, "sqlite+pysqlite")


def masked(text: str) -> str:
    """`text` without the credentials of any URI in it; use it on whatever is shown or stored."""
    text = re.sub(r"://\S*@", "://***@", text)
    return re.sub(r"(?i)\b(\w*(?:password|token|secret)\w*=)[^&\s]+", r"\1***", text)


def resolve(workdir: Path, uri: str | None) -> MlflowStore:
    """The store that `tracking.uri` names, or the work folder's own.

    Raises:
        ConfigError: a folder or file URI, for MLflow no longer supports file stores; or a SQLite
            file with a query behind it.
    """
    home = workdir.resolve() / "mlflow"
    if uri is None:
        return MlflowStore("", home / "artifacts", home / "mlflow.db")
    scheme = re.match(r"([a-z][a-z0-9]*)(\+[a-z0-9]+)?:", uri)
    database = uri.partition(":///")[2]
    if scheme is None or scheme[1] == "file" or (scheme[1] == "sqlite" and not database):
        raise ConfigError(
            "tracking.uri must name a server (http, https) or a database (sqlite, postgresql, "
            f"mysql), but got '{masked(uri)}'; leave it out to keep runs in the work folder"
        )
    if scheme[1] == "sqlite":
        if "?" in database:
            raise ConfigError(
                "tracking.uri must name a sqlite file and no more, but got "
                f"'{masked(uri)}'; where '?' belongs to its path, write %3F"
            )
        path = Path(unquote(database)).resolve()
        return MlflowStore("", path.parent / "artifacts", path)
    return MlflowStore(uri, None if scheme[1] in ("http", "https") else home / "artifacts", None)


def quiet_environment() -> None:
    """Set MLflow's switches (no telemetry, no hints, short waits) and leave those of the shell
    alone that would change it; before its first import."""
    for name in _foreign(_OF_MLFLOW):
        del os.environ[name]
    for name, value in _WAITS.items():
        os.environ.setdefault(name, value)
    os.environ.update(_OURS)
    # A failing database is said once, by who waits for it, and not in a traceback at every try.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def server_environment(store: MlflowStore) -> dict[str, str]:
    """Variables of a server of our own, which no setting of another server reaches.

    The URI goes by them: a command line is anyone's to read.
    """
    quiet_environment()
    passed = {n: v for n, v in os.environ.items() if n not in _foreign(_OF_SERVERS)}
    return {**passed, **_OURS, "MLFLOW_BACKEND_STORE_URI": store.uri}


def _foreign(family: re.Pattern[str]) -> list[str]:
    return [name for name in os.environ if family.match(name) and not _PASSED.match(name)]


def open_client(store: MlflowStore) -> MlflowClient:
    """A client of the store, its database made first where there is none.

    Raises:
        EnvironmentFault: the database belongs to another version of MLflow.
    """
    quiet_environment()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    prepare(store)
    try:
        return MlflowClient(tracking_uri=store.uri)
    except MlflowException as error:
        if "schema" not in str(error):
            raise
        raise EnvironmentFault(
            "the tracking database must have the schema of the installed MLflow, but got another "
            "one; back it up and run `mlflow db upgrade` on it"
        ) from error


def prepare(store: MlflowStore) -> None:
    """Make the SQLite database if it is missing, or follow a work folder that was moved."""
    if store.database is None:
        return
    home = store.database.parent
    with locked(home / ".first-use"):
        if not store.database.exists():
            _make(store, store.database)
        elif not os.access(store.database, os.R_OK):  # MLflow would try again for minutes
            denied = os.strerror(errno.EACCES)
            raise PermissionError(errno.EACCES, denied, str(store.database))
        elif store.artifacts is not None:
            _follow_move(store.database, store.artifacts)
        write_json(home / "artifacts.json", {"root": str(store.artifacts)})


def _make(store: MlflowStore, database: Path) -> None:
    quiet_environment()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    part = database.with_name(f".{database.name}.part")
    for left in database.parent.glob(f"{part.name}*"):  # of a first use that was killed
        left.unlink()
    migrated = SqlAlchemyStore(_file_uri(part), str(store.artifacts))
    migrated.engine.dispose()
    part.rename(database)


def _follow_move(database: Path, artifacts: Path) -> None:
    """MLflow stores absolute paths; after a move they must point to where the files are now."""
    note = database.parent / "artifacts.json"
    old = str(read_json(note)["root"]) if note.exists() else str(artifacts)
    if old == str(artifacts):
        return
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        for table, column in _ARTIFACT_COLUMNS:
            for before, after in ((old, str(artifacts)), (Path(old).as_uri(), artifacts.as_uri())):
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE substr({column}, 1, ?) = ?",
                    (after, len(before) + 1, len(before), before),
                )
