"""Damage that a command met and goes on from: said once, never passed over.

A file that can be made again is taken for missing. Whoever takes it so notes it here; whoever talks
to the user takes what was noted: the driver after each pass over its plan, a worker with the end of
its job, every other command when it ends.
"""

from __future__ import annotations

from harness.base.errors import Damaged

_KNOWN: set[str] = set()
_UNSAID: list[Damaged] = []


def note(damage: Damaged) -> None:
    """Remember damage that is worked around; a file's is told once in a process."""
    if str(damage) not in _KNOWN:
        _KNOWN.add(str(damage))
        _UNSAID.append(damage)


def take(then: str) -> list[str]:
    """What was noted since the last call, in sentences; `then` ends those that do not say what
    comes of it."""
    taken = [f"{damage}" if damage.then else f"{damage}; {then}" for damage in _UNSAID]
    _UNSAID.clear()
    return taken
