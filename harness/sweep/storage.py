"""Where studies are kept: a sqlite file of the work folder, or a server's database.

A server may be shared by work folders: a study there is called `<folder>/<name>`, where `folder` is
the work folder's identity, so that two folders never write into one study and a folder that is
moved finds its own again.

A server's first answer decides. Before it, whatever goes wrong (wrong password, no such database,
nobody there) is said at once; afterwards a lost connection is an `Outage`, which a driver waits
out. It is raised out of Optuna from SQLAlchemy's error event, because Optuna itself tries to create
a trial again after an error, without a look at whether the first try was committed: that would be
two trials where a connection broke just after the commit. Whoever goes on after an outage reads the
trials first. Every write of a study is one transaction or an overwrite with equal values, so a
write that was cut is found whole, or done again.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import sqlite3
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.base.errors import Damaged, EnvironmentFault, Outage
from harness.base.files import locked
from harness.base.sqlite_file import check_database, is_locked, is_malformed, sqlite_url

if TYPE_CHECKING:
    import optuna
    from sqlalchemy.engine import ExceptionContext

BEGIN_ANEW = (
    "move it away and repeat the command: the search asks for its trials anew, and trainings that "
    "are there are found again"
)
FIRST_USES = 5
"""Tries to make the tables, which several first users of a database can spoil for each other."""
_LOOKED_AT: set[Path] = set()
"""Files whose tables this process knows: Optuna's look takes ten times as long as the rest."""
_LOST_STATES = ("08", "53", "57P")  # connection, resources (a full disk), shutdown
# A host that vanished without a word is given up in half a minute.
_POSTGRESQL = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "harness",
}


@dataclass(frozen=True)
class Server:
    """A database that several work folders may share.

    Attributes:
        url: `sweep.storage`; holds no password.
        folder: identity of the work folder.
    """

    url: str
    folder: str

    def called(self, study: str) -> str:
        """A study's name there."""
        return f"{self.folder}/{study}"


def open_study(
    path: Path,
    name: str,
    directions: Sequence[Literal["minimize", "maximize"]],
    titles: Sequence[str],
    server: Server | None = None,
) -> optuna.Study:
    """A study with its storage, made by the first user.

    Args:
        path: sqlite file, where there is no server.
        titles: what dashboards call the objectives.

    Raises:
        EnvironmentFault: the server does not let us in, or a library to reach it is missing.
        PermissionError: the file is somebody's who does not let us in.
        Outage: the server answered before, and does not now; or the file's disk is full.
    """
    import optuna

    storage = _file(path) if server is None else _answering(server.url)
    called = name if server is None else server.called(name)
    try:  # creating one that is there writes, too
        study = optuna.load_study(study_name=called, storage=storage)
    except KeyError:
        study = optuna.create_study(
            storage=storage, study_name=called, directions=list(directions), load_if_exists=True
        )
    if study.metric_names != list(titles):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(titles))
    return study


def is_begun(path: Path, stage: str, server: Server | None = None) -> bool:
    """Whether some study of a stage was begun; raises as `open_study`."""
    if server is None:
        return path.exists()
    names = _answering(server.url).get_all_studies()
    return any(study.study_name.startswith(server.called(f"{stage}-")) for study in names)


def is_there(path: Path, name: str, server: Server | None = None) -> bool:
    """Whether there is a study of that name; makes nothing; raises as `open_study`."""
    if server is None and not path.exists():
        return False
    storage = _file(path) if server is None else _answering(server.url)
    called = name if server is None else server.called(name)
    return any(study.study_name == called for study in storage.get_all_studies())


def make_database(path: Path) -> None:
    """Create Optuna's schema in a new sqlite file, whole or not at all."""
    import optuna

    if path.exists():
        return
    with locked(path):
        if path.exists():
            return
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        storage = optuna.storages.RDBStorage(sqlite_url(part.resolve()))
        storage.engine.dispose()
        os.replace(part, path)


def _file(path: Path) -> optuna.storages.RDBStorage:
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    file = path.resolve()
    known = file in _LOOKED_AT
    try:
        make_database(file)
        if not known:
            check_database(file, BEGIN_ANEW)
        storage = optuna.storages.RDBStorage(
            sqlite_url(file), skip_compatibility_check=known, skip_table_creation=known
        )
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise (_fault(path, error) or error) from error
    except RuntimeError as error:
        raise EnvironmentFault(
            f"'{path}' must have the tables of the installed Optuna, but has those of another "
            f"version; copy it and run `optuna storage upgrade --storage {sqlite_url(file)}`"
        ) from error
    _LOOKED_AT.add(file)
    _raise_outages(storage.engine)
    return storage


@cache  # of servers that answered; one that did not is asked again
def _answering(url: str) -> optuna.storages.RDBStorage:
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    given = _dialect(url)
    settings: dict[str, Any] = {"pool_pre_ping": True, "hide_parameters": True}
    if given.startswith("postgresql+psycopg:"):
        settings["connect_args"] = _POSTGRESQL
    for _ in range(FIRST_USES):
        try:
            storage = optuna.storages.RDBStorage(given, engine_kwargs=dict(settings))
        except ImportError as error:
            raise EnvironmentFault(_missing(given, error)) from error
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            fault = EnvironmentFault(
                f"sweep.storage must name a database that lets this user in, but got "
                f"'{_reason(error)}'; check host, database and user, and PGPASSWORD or ~/.pgpass"
            )
            fault.__cause__ = error
            if not _in_statement(error):
                break
            time.sleep(0.2)
        except RuntimeError as error:
            raise EnvironmentFault(
                "sweep.storage must have the tables of the installed Optuna, but got those of "
                "another version; back it up and run `optuna storage upgrade` on it"
            ) from error
        else:
            _raise_outages(storage.engine)
            return storage
    raise fault


def _dialect(url: str) -> str:
    """The URL with the driver that is installed here."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def dashboard(path: Path, server: Server | None = None) -> str:
    """The command that opens Optuna's dashboard of the studies, to paste; it holds no login."""
    if server is None:
        url = sqlite_url(path.resolve())
    else:
        url = re.sub(r"://[^/?]*@", "://", _dialect(server.url))
    return f"optuna-dashboard {shlex.quote(url)}"


def _missing(url: str, error: ImportError) -> str:
    module = getattr(error.__cause__, "name", None) or getattr(error, "name", None) or "a library"
    what = "'harness[distributed]'" if url.startswith("postgresql+psycopg:") else str(module)
    return (
        f"sweep.storage needs a library to reach its database, but '{module}' is not installed; "
        f"pip install {what}"
    )


def _raise_outages(engine: Any) -> None:
    """Have what waiting may mend raised as `Outage`, past all handling of database errors."""
    from sqlalchemy import event

    @event.listens_for(engine, "handle_error")
    def _(context: ExceptionContext) -> None:
        if context.is_pre_ping:
            return  # the pool takes another connection
        error = context.original_exception
        if engine.dialect.name == "sqlite":
            if (fault := _fault(Path(str(engine.url.database)), error)) is not None:
                raise fault from error
        elif context.is_disconnect or context.connection is None or _is_lost(error):
            raise Outage(
                f"the database of the studies must answer, but got '{_reason(error)}'"
            ) from error


def _fault(path: Path, error: BaseException) -> Exception | None:
    """What a SQLite file's error means, where it is not a fault of the program."""
    if _is_denied(error):
        return _denied(path)
    if _is_lost(error):
        return Outage(f"the disk of '{path}' must have room, but got '{_reason(error)}'")
    if is_locked(_deepest(error)):
        return Outage(f"'{path}' must be free, but another program holds it")
    if is_malformed(_deepest(error)):
        return Damaged(path, _reason(error), BEGIN_ANEW)
    return None


def _in_statement(error: BaseException) -> bool:
    """Whether a connection was there before the error."""
    return any(getattr(e, "statement", None) for e in (error, error.__cause__))


def _denied(path: Path | str) -> PermissionError:
    return PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _is_denied(error: BaseException) -> bool:
    """Whether sqlite says that the file, or its folder, may not be read or written."""
    name = getattr(_deepest(error), "sqlite_errorname", "")
    return name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM"))


def _is_lost(error: BaseException) -> bool:
    """Whether a database's error says that it is away or out of room."""
    cause = _deepest(error)
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorname", "").startswith(("SQLITE_FULL", "SQLITE_IOERR"))
    state = getattr(cause, "sqlstate", None)
    return state is not None and state.startswith(_LOST_STATES)


def _deepest(error: BaseException) -> BaseException:
    """The driver's own error below SQLAlchemy's and Optuna's."""
    while (cause := getattr(error, "orig", None) or error.__cause__) is not None:
        error = cause
    return error


def _reason(error: BaseException) -> str:
    """What the database said, in one line, without libpq's questions."""
    text = " ".join(str(_deepest(error)).split()).partition(" Is the server running")[0]
    return text if len(text) <= 200 else f"{text[:200]}..."
