"""URLs of servers in the experiment file: which are meant, and that none carries a secret."""

from __future__ import annotations

import re
from typing import Any

_FORM = re.compile(r"([a-z][a-z0-9]*)(?:\+[a-z0-9_]+)?://(.*)", re.DOTALL)
_DATABASES = ("postgresql", "mysql")
_SECRET = re.compile(r"(?i)(^|&)[^=&]*(pass(word|wd)?|secret|token)=")


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
    if ":" in form[2].rpartition("@")[0] or _SECRET.search(form[2].partition("?")[2]):
        return (
            "sweep.storage must hold no password, but got a URL with one (not shown); take it out "
            "of the URL and give it in PGPASSWORD, ~/.pgpass or, for MySQL, an option file"
        )
    return ""
