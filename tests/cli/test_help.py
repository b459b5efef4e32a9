"""What a new user sees first: help, at once and in whole sentences."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import pytest
from factories.cli import run_cli

HEAVY = ("torch", "mlflow", "optuna", "monai", "matplotlib", "pandas", "scipy", "sklearn")

COMMANDS = (
    "run", "prepare", "sweep", "compare", "collapse", "calibrate", "report", "ui", "config", "init",
    "inspect", "score", "export", "decide",
)  # fmt: skip


def test_help_needs_no_heavy_library() -> None:
    code = f"import sys, harness.cli; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_help_is_quick() -> None:
    """Half a second on an idle machine; the bound leaves room for a busy one."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "harness", "--help"], capture_output=True)
        seconds.append(time.perf_counter() - started)
        assert done.returncode == 0
    assert statistics.median(seconds) < 2.5


def test_help_lists_every_command_in_a_whole_sentence() -> None:
    answer = run_cli("--help")
    assert answer.code == 0
    lines = {line.split()[0]: line for line in answer.out.splitlines() if line.startswith("  ")}
    for command in COMMANDS:
        assert lines[command].endswith(".")
        assert "..." not in lines[command]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_speaks_json(command: str) -> None:
    answer = run_cli(command, "--help")
    assert answer.code == 0
    assert "--json" in answer.out


def test_nothing_typed_shows_the_help() -> None:
    answer = run_cli()
    assert "Commands:" in answer.out + answer.err
    assert answer.code == 2
