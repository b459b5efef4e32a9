"""What a new user sees first: help, at once and in whole sentences."""

from __future__ import annotations

import shlex
import statistics
import subprocess
import sys
import time

import pytest
import typer
from factories.cli import run_cli

from harness.cli import app
from harness.cli.groups import GROUPS

HEAVY = ("torch", "rich", "mlflow", "optuna", "monai", "matplotlib", "pandas", "scipy", "sklearn")

COMMANDS = (
    "run", "prepare", "sweep", "compare", "collapse", "plan", "calibrate", "report", "ui", "config",
    "init", "inspect", "score", "export", "decide", "status", "doctor", "clean",
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


def test_every_command_has_its_group_and_an_example_that_is_one() -> None:
    """No command is left out of the help, and each example parses: its options exist."""
    commands = typer.main.get_command(app)
    examples = {name: words for group in GROUPS.values() for name, words in group.items()}
    assert list(examples) == list(dict.fromkeys(examples))
    assert examples.keys() == set(commands.commands) == set(COMMANDS)  # type: ignore[attr-defined]
    shown = run_cli("--help").out
    assert [shown.index(f"\n{title}:") for title in GROUPS] == sorted(
        shown.index(f"\n{title}:") for title in GROUPS
    )
    for name, words in examples.items():
        command = commands.commands[name]  # type: ignore[attr-defined]
        first, *rest = shlex.split(words)
        assert first == name
        command.make_context(name, rest)  # raises what a wrong option is told
        assert f"Example: harness {words}" in run_cli(name, "--help").out


def test_a_shell_completes_commands_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_HARNESS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "harness st")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert run_cli().out.split() == ["status"]
    monkeypatch.setenv("COMP_WORDS", "harness run --wor")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert run_cli().out.split() == ["--workdir", "--workers"]


def test_nothing_typed_shows_the_help() -> None:
    answer = run_cli()
    assert "Run an experiment:" in answer.out + answer.err
    assert answer.code == 2
