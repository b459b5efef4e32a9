"""Command lines as a user types them, run in this process."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import sys
from typing import Any, NamedTuple

import pytest

from harness.cli import main


class Answer(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout; raises if there is anything else."""
        return json.loads(self.out)

    @property
    def then(self) -> list[str]:
        """The words of the line that says what to type next; [] without one."""
        lines = [line for line in self.err.splitlines() if line.startswith("next: ")]
        assert len(lines) <= 1
        return shlex.split(lines[0])[1:] if lines else []


def run_cli(*words: Any) -> Answer:
    """`harness WORDS`, in the present folder."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["harness", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
    return Answer(int(ended.value.code or 0), text_of(out), text_of(err))


def text_of(stream: io.TextIOWrapper[io.BytesIO]) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()
