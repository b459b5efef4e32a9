"""What people see on stderr, and the one JSON object that machines read on stdout.

On a terminal a live display shows the jobs under way; elsewhere (logs, CI, `2>file`) plain lines
appear at a modest rate. rich is imported only when a live display starts.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import json
import os
import platform
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from harness import __version__
from harness.base import damage
from harness.base.denied import denied_words, is_denied
from harness.base.disk import fault_words, is_full
from harness.base.errors import HarnessError
from harness.base.progress import JobProgress, PlainProgress, TerminalProgress
from harness.base.usage import usage_sentence

if TYPE_CHECKING:
    from rich.progress import Progress

PLAIN_INTERVAL_S = 30.0
EXIT_BUG = 1
EXIT_FAULT = 3
EXIT_INTERRUPTED = 130
_INTERRUPTED = "stopped; finished work is kept, and the same command goes on from it"
_KEPT = "finished work is kept: once it is, repeat the command"
# What a stream without the letter gets: a number must not lose its sign.
_PLAIN_LETTERS = {"\u2212": "-", "\u2013": "-", "\u2026": "...", "\u00d7": "x", "\u00a0": " "}


class Console:
    """Lines and progress for a person.

    Args:
        quiet: show warnings only.
        stream: where to write; stderr by default.
        interval_s: without a terminal, least seconds between two progress lines of one job.
    """

    def __init__(
        self,
        quiet: bool = False,
        stream: TextIO | None = None,
        interval_s: float = PLAIN_INTERVAL_S,
    ) -> None:
        self.quiet = quiet
        self.interval_s = interval_s
        self._stream = stream
        self._lock = threading.RLock()
        self._display: Progress | None = None

    @property
    def stream(self) -> TextIO:
        return sys.stderr if self._stream is None else self._stream

    @property
    def interactive(self) -> bool:
        """Whether a live display makes sense."""
        return self.stream.isatty() and not self.quiet and os.environ.get("TERM") != "dumb"

    def say(self, text: str = "") -> None:
        """A plain line."""
        if not self.quiet:
            self._write(text)

    def heading(self, text: str) -> None:
        """A line that opens a part of the output."""
        if not self.quiet:
            self._write(f"\n\x1b[1m{text}\x1b[0m" if self.interactive else f"\n{text}")

    def warn(self, text: str) -> None:
        """A line that is shown even when quiet."""
        self._write(f"\x1b[33mwarning:\x1b[0m {text}" if self.interactive else f"warning: {text}")

    @contextlib.contextmanager
    def progress(self, total_jobs: int | None = None) -> Iterator[JobProgress]:
        """Show jobs while the block runs; one block at a time."""
        if not self.interactive:
            yield PlainProgress(self.say, total_jobs, self.interval_s)
            return
        shown = TerminalProgress(self.say, total_jobs, self.stream)
        with shown.progress:
            self._display = shown.progress
            try:
                yield shown
            finally:
                self._display = None

    def _write(self, text: str) -> None:
        with self._lock:
            if self._display is not None:
                from rich.text import Text

                self._display.console.print(Text.from_ansi(text), soft_wrap=True)
                return
            self.stream.write(text + "\n")
            self.stream.flush()


def prepare_streams() -> None:
    """Let stdout and stderr take any text, also in a small encoding and where they are closed."""
    codecs.register_error("harness.plain", _plain)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before the start: go on, unheard, to the end of the process
            unheard = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, unheard)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="harness.plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    """A codec's error handler: the nearest plain letters, else question marks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_PLAIN_LETTERS.get(letter, "?") for letter in letters), error.end


def emit_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object to stdout; what is not a finite number becomes null."""
    from harness.base.files import without_nan  # takes numpy, for which no command's help waits

    text = json.dumps(without_nan(value), indent=1, allow_nan=False, default=str)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run_guarded(main: Callable[[], int | None], json_mode: bool = False) -> int:
    """Run a command; turn what it raises into words and an exit code.

    Returns:
        What `main` returns (0 for None); 2 for a UserError, 3 for an EnvironmentFault, a JobFailed,
        a disk that is full or fails, or what this user may not use, 130 for Ctrl-C or Stopped, 1
        for a bug, which alone shows its traceback. With `json_mode` stdout gets it as an object:
        `{"error": {...}}`.
    """
    code = _guarded(main, json_mode)
    for words in damage.take("the command that made it makes it again"):
        Console().warn(words)
    return code


def _guarded(main: Callable[[], int | None], json_mode: bool) -> int:
    try:
        return main() or 0
    except KeyboardInterrupt:
        return _report("Interrupted", _INTERRUPTED, EXIT_INTERRUPTED, json_mode, "")
    except Exception as error:  # noqa: BLE001 (the last guard: said in full and reported)
        if isinstance(error, HarnessError) and error.exit_code != EXIT_BUG:
            return _report(type(error).__name__, str(error), error.exit_code, json_mode)
        if isinstance(error, OSError) and is_denied(error):
            return _report("EnvironmentFault", denied_words(error), EXIT_FAULT, json_mode)
        if isinstance(error, OSError) and (is_full(error) or error.errno == errno.EIO):
            message = f"{fault_words(error)}; {_KEPT}"
            return _report("EnvironmentFault", message, EXIT_FAULT, json_mode)
        if type(error).__module__.partition(".")[0] in ("click", "typer"):
            return _parser_exit(error, json_mode)
        traceback.print_exc(file=sys.stderr)
        message = (
            f"{type(error).__name__}: {error}\nThis is a fault of harness {__version__} "
            f"(Python {platform.python_version()}, {platform.system()}): "
            "please report it with the lines above"
        )
        return _report(type(error).__name__, message, EXIT_BUG, json_mode, "bug: ")


def _parser_exit(error: Any, json_mode: bool) -> int:
    """What the command line's parser raises: an exit, Ctrl-C, or what it refuses."""
    if not hasattr(error, "exit_code"):
        return _report("Interrupted", _INTERRUPTED, EXIT_INTERRUPTED, json_mode, "")
    code = int(error.exit_code)
    if type(error).__name__ == "NoArgsIsHelpError":  # `harness` alone: its message is the help
        error.show(file=sys.stderr)
    elif hasattr(error, "format_message"):
        return _report("UsageError", usage_sentence(error), code, json_mode)
    return code


def _report(kind: str, message: str, code: int, json_mode: bool, prefix: str = "error: ") -> int:
    Console().stream.write(f"{prefix}{message}\n")
    if json_mode:
        emit_json({"error": {"kind": kind, "message": message, "exit_code": code}})
    return code
