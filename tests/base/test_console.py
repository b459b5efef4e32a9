"""What people see, what machines read, and the exit codes."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
import typer

from harness import __version__
from harness.base import progress as progress_module
from harness.base.console import Console, emit_json, prepare_streams, run_guarded
from harness.base.errors import ConfigError, EnvironmentFault, JobFailed, Stopped
from harness.base.progress import elapsed


def test_lines_go_to_stderr_and_nothing_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.say("reads [bold]as typed[/bold] /a/b.yaml")
    console.heading("Part")
    console.warn("careful")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "reads [bold]as typed[/bold] /a/b.yaml\n\nPart\nwarning: careful\n"


def test_quiet_shows_warnings_only() -> None:
    stream = io.StringIO()
    console = Console(quiet=True, stream=stream)
    console.say("a")
    console.heading("b")
    console.warn("c")
    with console.progress() as progress:
        progress.start("k", "job", 3)
        progress.finish("k")
    assert stream.getvalue() == "warning: c\n"


def test_plain_progress_has_start_and_end_and_few_lines_between() -> None:
    stream = io.StringIO()
    with Console(stream=stream, interval_s=3600).progress(total_jobs=2) as progress:
        progress.start("a", "mask, seed 0", 300)
        for epoch in range(300):
            progress.update("a", epoch, "D 0.3")
        progress.finish("a", "kid 0.02")
        progress.start("b", "mask, seed 1")
        progress.finish("b", "no room", "failed")
    lines = stream.getvalue().splitlines()
    assert [re.sub(r"\d+ s$", "N s", line) for line in lines] == [
        "start   mask, seed 0",
        "done    [1/2] mask, seed 0  kid 0.02, N s",
        "start   mask, seed 1",
        "failed  [2/2] mask, seed 1  no room, N s",
    ]


def test_plain_progress_says_how_far_when_it_is_time() -> None:
    stream = io.StringIO()
    with Console(stream=stream, interval_s=0).progress() as progress:
        progress.start("a", "mask", 300)
        progress.update("a", 12, "D 0.3")
    assert stream.getvalue().splitlines()[1] == "at      mask 12/300  D 0.3"


def test_plain_progress_of_a_command_is_a_line_for_all_its_jobs() -> None:
    stream = io.StringIO()
    with Console(stream=stream, interval_s=0).progress() as progress:
        progress.start("a", "mask, seed 0", 300)
        progress.start("b", "score of it", minor=True)
        progress.update("a", 12, "D loss 0.3")
        progress.overall(4, 40, 700.0)
        progress.finish("b")
        progress.start("c", "score again", minor=True)
        progress.finish("c", "no room", "failed")
        progress.overall(5, 40, None)
        progress.finish("a")
    lines = [re.sub(r"\d s$", "N s", line) for line in stream.getvalue().splitlines()]
    assert lines[0] == "start   mask, seed 0"
    assert "at      [4/40 jobs] about 12 min left: mask, seed 0 12/300  D loss 0.3" in lines
    assert "failed  [6/40 jobs] score again  no room, N s" in lines
    assert lines[-1] == "done    [6/40 jobs] mask, seed 0  N s"
    assert not any("score of it" in line for line in lines)


def test_a_line_that_is_repeated_becomes_rarer_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now)
    stream = io.StringIO()
    with Console(stream=stream, interval_s=10).progress() as progress:
        progress.start("a", "mask", 300)
        for _ in range(4 * 3600):
            now += 1
            progress.overall(1, 10, 60.0)
    lines = stream.getvalue().count("at ")
    # 100 lines in the first 1,000 s, then one in a hundredth of the time so far.
    assert 100 + 100 * math.log(14.4) - 40 < lines < 100 + 100 * math.log(14.4) + 40


def test_jobs_that_end_unannounced_still_leave_a_line() -> None:
    stream = io.StringIO()
    with Console(stream=stream).progress() as progress:
        progress.finish("mask/ab12", "already done")
    assert stream.getvalue() == "done    mask/ab12  already done, 0 s\n"


def test_many_threads_write_whole_lines() -> None:
    stream = io.StringIO()
    with Console(stream=stream, interval_s=0).progress(total_jobs=8) as progress:

        def work(name: str) -> None:
            progress.start(name, name, 50)
            for step in range(50):
                progress.update(name, step, "x")
            progress.finish(name)

        threads = [threading.Thread(target=work, args=(f"job{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 8 * 52
    assert all(re.match(r"(start|at|done) +(\[\d/8\] )?job\d", line) for line in lines)
    assert sum(line.startswith("done    [8/8]") for line in lines) == 1


def on_terminal(use: Callable[[Console], None]) -> str:
    """What a terminal receives, its control sequences taken out."""
    master, slave = pty.openpty()
    received: list[bytes] = []

    def listen() -> None:
        while True:
            try:
                block = os.read(master, 65536)
            except OSError:
                return
            if not block:
                return
            received.append(block)

    listener = threading.Thread(target=listen)
    listener.start()
    with os.fdopen(slave, "w") as stream:
        use(Console(stream=stream))
    listener.join(10)
    os.close(master)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(received).decode())


def test_a_terminal_shows_bars_and_keeps_the_lines_of_ended_jobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    long_line = "/a/[b]/" + "c" * 200

    def use(console: Console) -> None:
        with console.progress(total_jobs=3) as progress:
            progress.start("k", "mask [seed 0]", 10)
            progress.update("k", 4, "D 0.31")
            console.say(long_line)
            progress.finish("k", "kid 0.02")

    shown = on_terminal(use)
    assert "mask [seed 0]" in shown
    assert "all jobs" in shown
    assert long_line in shown
    assert "done    [1/3] mask [seed 0]  kid 0.02, 0 s" in shown


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert on_terminal(lambda console: console.heading("Part")) == "\r\nPart\r\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text


def test_one_json_object_with_null_for_what_is_no_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    emit_json(
        {
            "nan": float("nan"),
            "inf": np.float32("inf"),
            "array": np.array([[1.5, np.nan]]),
            "count": np.int64(3),
            "flag": True,
            "text": "grösse",
            "nested": {"pair": (1, None)},
        }
    )
    captured = capsys.readouterr()
    assert captured.err == ""
    assert json.loads(captured.out) == {
        "nan": None,
        "inf": None,
        "array": [[1.5, None]],
        "count": 3,
        "flag": True,
        "text": "grösse",
        "nested": {"pair": [1, None]},
    }


def raising(error: BaseException) -> Callable[[], int | None]:
    def main() -> int | None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("a must be b, but got c"), 2, "error: a must be b, but got c\n"),
        (EnvironmentFault("no weights"), 3, "error: no weights\n"),
        (JobFailed("job x failed: y"), 3, "error: job x failed: y\n"),
        (Stopped("state saved"), 130, "error: state saved\n"),
        (
            KeyboardInterrupt(),
            130,
            "stopped; finished work is kept, and the same command goes on from it\n",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            3,
            "error: the disk must be writable and have room, but got 'No space left on device'; "
            "finished work is kept: once it is, repeat the command\n",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded", "/w/a"),
            3,
            "error: your quota on the disk of '/w/a' must be free enough, but got 'Disk quota "
            "exceeded'; delete files of yours, or have it raised; finished work is kept: once it "
            "is, repeat the command\n",
        ),
    ],
)
def test_errors_become_a_line_and_an_exit_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_guarded(raising(error)) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", line)


def test_with_json_the_error_is_an_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(raising(ConfigError("a\nb")), json_mode=True) == 2
    captured = capsys.readouterr()
    assert captured.err == "error: a\nb\n"
    assert json.loads(captured.out) == {
        "error": {"kind": "ConfigError", "message": "a\nb", "exit_code": 2}
    }


def test_a_bug_shows_its_traceback_and_asks_for_a_report(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_guarded(raising(ZeroDivisionError("division by zero"))) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Traceback (most recent call last):\n")
    assert "bug: ZeroDivisionError: division by zero\n" in captured.err
    assert f"This is a fault of harness {__version__} (Python " in captured.err
    assert captured.err.endswith("please report it with the lines above\n")


def test_success_and_exits_pass_through() -> None:
    assert run_guarded(lambda: None) == 0
    assert run_guarded(lambda: 4) == 4
    assert run_guarded(raising(typer.Exit(5))) == 5
    assert run_guarded(raising(typer.Abort())) == 130
    with pytest.raises(SystemExit):
        run_guarded(raising(SystemExit(6)))


def test_wrong_usage_of_a_command_is_shown_without_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app = typer.Typer()

    @app.command()
    def train(epochs: int = 1) -> None:
        raise ConfigError(f"epochs must be few, but got {epochs}")

    def run(*words: str) -> tuple[int, str, str]:
        code = run_guarded(lambda: app(list(words), standalone_mode=False), json_mode=True)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    code, out, err = run("--epochs", "many")
    assert code == 2
    sentence = "--epochs must be a whole number, but got 'many'"
    assert json.loads(out)["error"] == {"kind": "UsageError", "message": sentence, "exit_code": 2}
    assert err == f"error: {sentence}\n"
    code, out, err = run("--epochs", "9")
    assert (code, err) == (2, "error: epochs must be few, but got 9\n")
    assert json.loads(out)["error"]["kind"] == "ConfigError"


def test_importing_the_console_and_the_config_stays_light() -> None:
    heavy = ["rich", "torch", "monai", "mlflow", "optuna", "ray", "pandas", "scipy"]
    code = (
        "import sys, harness.base.console, harness.config.starter, harness.config.render; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_streams_replace_what_they_cannot_encode(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    prepare_streams()
    out.write("\u22120.5 \u2713")
    Console().say("3\u00d74")
    out.flush()
    plain = encoding != "utf-8"
    assert out.buffer.getvalue().decode(encoding) == ("-0.5 ?" if plain else "\u22120.5 \u2713")  # type: ignore[attr-defined]
    times = "x" if encoding == "ascii" else "\u00d7"
    assert err.buffer.getvalue().decode(encoding) == f"3{times}4\n"  # type: ignore[attr-defined]


def test_closed_streams_take_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    prepare_streams()
    with sys.stdout, sys.stderr:
        emit_json({"a": 1})
        assert run_guarded(raising(ConfigError("a")), json_mode=True) == 2
        assert run_guarded(raising(ZeroDivisionError("b"))) == 1
