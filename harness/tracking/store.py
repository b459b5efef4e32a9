"""Where MLflow keeps its runs, and the one careful first use of a database.

Without a tracking URI the store is `<workdir>/mlflow/mlflow.db` with files below
`<workdir>/mlflow/artifacts`. MLflow's own first use is not safe against a second process or a kill
(it migrates an empty database in place), so a SQLite database is made under a temporary name, in
the same folder and under a lock, and renamed when it is whole.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.base.disk import may_write
from harness.base.errors import ConfigError, EnvironmentFault
from harness.base.files import locked, read_json, write_json

if TYPE_CHECKING:
    from mlflow import MlflowClient

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # A vanished server is met by waiting between whole syncs, not inside one request.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
_ARTIFACT_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
)


@dataclass(frozen=True)
class MlflowStore:
    """One tracking store.

    Attributes:
        uri: tracking URI; may hold credentials, see `masked`.
        artifacts: root for files of new experiments; None where the server decides.
        database: the SQLite file, None for a server or another database.
    """

    uri: str
    artifacts: Path | None
    database: Path | None


def masked(text: str) -> str:
    """`text` without the credentials of any URI in it; use it on whatever is shown or stored."""
    text = re.sub(r"://\S*@", "://***@", text)
    return re.sub(r"(?i)\b(\w*(?:password|token|secret)\w*=)[^&\s]+", r"\1***", text)


def resolve(workdir: Path, uri: str | None) -> MlflowStore:
    """The store that `tracking.uri` names, or the work folder's own.

    Raises:
        ConfigError: a folder or file URI; MLflow no longer supports file stores.
    """
    home = workdir.resolve() / "mlflow"
    if uri is None:
        return MlflowStore(
            f"sqlite:///{home / 'mlflow.db'}", home / "artifacts", home / "mlflow.db"
        )
    scheme = re.match(r"([a-z][a-z0-9]*)(\+[a-z0-9]+)?:", uri)
    database = uri.partition(":///")[2].partition("?")[0]
    if scheme is None or scheme[1] == "file" or (scheme[1] == "sqlite" and not database):
        raise ConfigError(
            "tracking.uri must name a server (http, https) or a database (sqlite, postgresql, "
            f"mysql), but got '{masked(uri)}'; leave it out to keep runs in the work folder"
        )
    if scheme[1] == "sqlite":
        path = Path(database).resolve()
        return MlflowStore(f"sqlite:///{path}", path.parent / "artifacts", path)
    return MlflowStore(uri, None if scheme[1] in ("http", "https") else home / "artifacts", None)


def quiet_environment() -> None:
    """Set MLflow's switches (no telemetry, no hints, short waits); before its first import."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    # A failing database is said once, by who waits for it, and not in a traceback at every try.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


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
    note, where = store.database.with_name("artifacts.json"), {"root": str(store.artifacts)}
    if store.database.exists() and note.exists() and read_json(note) == where:
        return
    with locked(store.database.with_name(".first-use")):
        if not store.database.exists():
            _make(store, store.database)
        elif store.artifacts is not None:
            _follow_move(store.database, store.artifacts)
        write_json(note, where)


@contextlib.contextmanager
def to_be_shown(store: MlflowStore) -> Iterator[MlflowStore]:
    """The store, or, where its database lies in a folder that cannot be written, a copy of the
    database, which knows where the files are; MLflow's server writes beside what it shows."""
    if store.database is None or may_write(store.database.parent):
        yield store
        return
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / store.database.name
        for file in (store.database, store.database.with_name("artifacts.json")):
            if file.exists():
                shutil.copyfile(file, copy.with_name(file.name))
        yield replace(store, uri=f"sqlite:///{copy}", database=copy)


def _make(store: MlflowStore, database: Path) -> None:
    quiet_environment()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    part = database.with_name(f".{database.name}.part")
    for left in database.parent.glob(f"{part.name}*"):  # of a first use that was killed
        left.unlink()
    migrated = SqlAlchemyStore(f"sqlite:///{part}", str(store.artifacts))
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
