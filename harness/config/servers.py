"""URLs of servers in the experiment file: which are meant, and that none carries a secret."""

from __future__ import annotations

import re
from typing import Any

_FORM = re.compile(r"([a-z][a-z0-9]*)(?:\+[a-z0-9_]+)?://(.*)", re.DOTALL)
_DATABASES = ("postgresql", "mysql")
_OF_DATABASES = "PGPASSWORD, ~/.pgpass or, for MySQL, an option file"
_OF_MLFLOW = (
    "the environment variables MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or in "
    "MLFLOW_TRACKING_TOKEN"
)
_SECRET = re.compile(r"(?i)(^|[&;])[^=&;]*(pass(word|wd)?|pwd|secret|token|api_?key)=")


def storage_problem(value: Any) -> str:
    """What is wrong with a `sweep.storage`, as a sentence that never shows a part of its value
    which could be a password; empty if nothing is."""
    if value is None:
        return ""
    form = _FORM.fullmatch(value) if isinstance(value, str) else None
    if form is None or form[1] not in _DATABASES:
        got = f"'{form[1]}'" if form else "no such URL"
        own = " (sqlite is what null keeps in the work folder)" if got == "'sqlite'" else ""
        return (
            "sweep.storage must be null or the URL of a server's database, "
            f"postgresql://HOST/DATABASE or mysql://HOST/DATABASE, but got {got}{own}"
        )
    return _secret_problem("sweep.storage", form[2], _OF_DATABASES)


def tracking_problem(value: Any) -> str:
    """As `storage_problem`, of `tracking.uri`; whether it can keep runs is said elsewhere."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return "tracking.uri must be text or null, but got something else (not shown)"
    scheme, there, rest = value.partition("://")
    if scheme.lower().startswith("sqlite"):  # a file has no password; its path may hold an @
        return ""
    of_a_database = scheme.lower().startswith(_DATABASES)
    elsewhere = _OF_DATABASES if of_a_database else _OF_MLFLOW
    return _secret_problem("tracking.uri", rest if there else value, elsewhere)


def _secret_problem(setting: str, rest: str, elsewhere: str) -> str:
    """`rest` is what stands behind the `://`."""
    if ":" in rest.rpartition("@")[0] or _SECRET.search(rest.partition("?")[2]):
        return (
            f"{setting} must hold no password, but got a URL with one (not shown); take it out of "
            f"the URL and give it in {elsewhere}"
        )
    return ""
