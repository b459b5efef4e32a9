"""The URL of a sqlite file, whatever its path holds."""

from __future__ import annotations

from pathlib import Path

from harness.base.errors import EnvironmentFault


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
