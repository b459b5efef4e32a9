"""Open a page in the browser, or say how to look at it from where there is one."""

from __future__ import annotations

import os
import shlex
import socket
import sys
import webbrowser
from pathlib import Path

PORT = 8000


def open_page(page: Path) -> str:
    """Open a page; returns "", or the sentences for a person whose browser is elsewhere."""
    if has_browser() and webbrowser.open(page.resolve().as_uri()):
        return ""
    return elsewhere(page)


def has_browser() -> bool:
    """Whether a window can open: a text browser would take the terminal instead."""
    shown = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    return shown or sys.platform in ("darwin", "win32")


def elsewhere(page: Path) -> str:
    """How to look at a page of this machine from another one."""
    folder, host = page.resolve().parent, socket.gethostname()
    serve = f"python -m http.server {PORT} --bind 127.0.0.1 --directory {shlex.quote(str(folder))}"
    return (
        f"no browser opens here; the page is {page.resolve()}\n"
        f"look at it from your own machine, by a copy:\n"
        f"  scp -r {shlex.quote(f'{host}:{folder}')} .\n"
        f"or, served from here to you alone:\n"
        f"  here: {serve}\n"
        f"  there: ssh -L {PORT}:127.0.0.1:{PORT} {host}, then open "
        f"http://127.0.0.1:{PORT}/{page.name}"
    )
