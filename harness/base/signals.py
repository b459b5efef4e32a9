"""Signals that end a command."""

from __future__ import annotations

import errno
import os
import signal


def ending_signals() -> tuple[signal.Signals, ...]:
    """SIGTERM, and SIGHUP, which whoever sits at a terminal that is closed gets; that one not where
    it is ignored, as `nohup` has it."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return (signal.SIGTERM,)
    return (signal.SIGTERM, signal.SIGHUP)


def leave_closed_terminal() -> None:
    """Let what is still said go nowhere where the terminal is closed, on which a write fails."""
    for descriptor in (0, 1, 2):
        try:
            os.write(descriptor, b"")
        except OSError as error:
            if error.errno == errno.EIO:
                nowhere = os.open(os.devnull, os.O_RDWR)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
