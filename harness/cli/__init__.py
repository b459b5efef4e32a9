"""The command line: parse, call what a command does, print what to type next.

Heavy libraries are imported inside commands, so that `--help` is quick.
"""

from __future__ import annotations

import sys

from harness.base.console import prepare_streams, run_guarded
from harness.cli import experiments, folder, standalone  # noqa: F401 - they register, in this order
from harness.cli.options import app

__all__ = ["app", "main"]


def main() -> None:
    """Entry point of the `harness` command."""
    prepare_streams()
    sys.exit(
        run_guarded(lambda: app(prog_name="harness", standalone_mode=False), "--json" in sys.argv)
    )
