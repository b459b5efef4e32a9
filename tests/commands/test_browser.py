"""A page opens where a browser is; elsewhere it is said how to look at it."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.commands.browser import has_browser, open_page

CODE = (
    "import sys; from pathlib import Path; from harness.commands.browser import open_page; "
    "print(repr(open_page(Path(sys.argv[1]))))"
)


def test_the_page_is_given_to_the_browser(tmp_path: Path) -> None:
    """A browser that writes down what it was asked for; in a new process, which looks for one."""
    page = tmp_path / "my report" / "index.html"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {shlex.quote(str(tmp_path / "asked"))}\n')
    browser.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(page)],
        env={**os.environ, "BROWSER": f"{browser} %s"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "''\n"
    assert (tmp_path / "asked").read_text() == page.as_uri() + "\n"


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="has windows always")
def test_without_a_window_the_ways_to_it_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    assert not has_browser()
    page = tmp_path / "my report" / "index.html"
    said = open_page(page).splitlines()
    assert said[0] == f"no browser opens here; the page is {page}"
    words = [shlex.split(line) for line in said]
    assert ["scp", "-r", f"{socket.gethostname()}:{page.parent}", "."] in words
    served = next(line for line in words if "http.server" in line)
    assert served[-1] == str(page.parent)
    assert "127.0.0.1" in served, "to nobody else: the page may show patients"
    assert said[-1].endswith("/index.html")
