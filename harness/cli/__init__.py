"""The command line: parse, call what a command does, print what to type next.

Heavy libraries are imported inside commands, so that `--help` is quick.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from harness.base.console import prepare_streams, run_guarded
from harness.base.errors import EnvironmentFault
from harness.cli import experiments, folder, standalone  # noqa: F401 - they register, in this order
from harness.cli.options import app

__all__ = ["app", "main"]


def main() -> None:
    """Entry point of the `harness` command."""
    prepare_streams()
    sys.exit(run_guarded(_call, "--json" in sys.argv))


def _call() -> Any:
    if os.name == "nt":
        raise EnvironmentFault(
            "harness locks its files as POSIX systems do, but got Windows; install it in WSL2, "
            "which is Linux"
        )
    return app(prog_name="harness", standalone_mode=False)
