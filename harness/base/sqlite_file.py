"""A SQLite file: its URL, whatever its path holds, and whether it is whole."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from pathlib import Path

from harness.base.errors import Damaged, EnvironmentFault, Outage

LOCKED_S = 5.0
"""How long a file that another program holds is waited for at once."""


def sqlite_url(path: Path, driver: str = "sqlite") -> str:
    """The URL by which SQLAlchemy opens this very file; `?`, `%` and their like are escaped.

    Args:
        driver: SQLAlchemy's name of the dialect.

    Raises:
        EnvironmentFault: its name is no Unicode, or the installed SQLAlchemy reads no escapes.
    """
    from sqlalchemy import URL, make_url

    try:
        url = URL.create(driver, database=str(path)).render_as_string(hide_password=False)
        read = make_url(url).database
    except UnicodeEncodeError:
        read = None
    if read != str(path):
        shown = str(path).encode(errors="backslashreplace").decode()
        raise EnvironmentFault(
            f"the path of a database must be one that its URL can hold, but got '{shown}'; rename "
            "the folder to letters, digits, '-' and '_'"
        )
    return url


def check_database(path: Path, then: str) -> None:
    """Ask a SQLite file whether it is whole; it must exist.

    Args:
        then: what to do where it is not.

    Raises:
        Damaged: it is empty, no database, or its pages contradict each other.
        Outage: another program holds it.
        PermissionError: this user may not read it.
    """
    if not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    if not path.stat().st_size:
        raise Damaged(path, "it is empty", then)
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=LOCKED_S)) as connection:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        if is_locked(error):
            raise Outage(f"'{path}' must be free, but another program holds it") from error
        if is_malformed(error):
            raise Damaged(path, str(error), then) from error
        raise
    if found != "ok":
        raise Damaged(path, "its pages contradict each other", then)


def is_locked(error: BaseException) -> bool:
    """Whether a database's error says that another program holds it."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def is_malformed(error: BaseException) -> bool:
    """Whether a database's error says that the file is none, or damaged."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
