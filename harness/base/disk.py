"""A disk without room, or that may not be written: how it is known, and how people hear of it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from harness.base.text import size

FULL = (errno.ENOSPC, errno.EDQUOT)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
LEFT = 256 * 1024
"""Bytes that a write which failed for want of room may leave free: libraries write in pieces."""


class DiskFull(OSError):
    """A write found no room.

    Attributes:
        wrote: bytes that it had written before; they are gone again.
    """

    wrote = 0


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk, or the user's share of it, has no room."""
    return isinstance(error, OSError) and error.errno in FULL


def is_refused(error: BaseException) -> bool:
    """Whether an error says that this user may not write there, or nobody."""
    return isinstance(error, OSError) and error.errno in REFUSED


def may_write(folder: Path) -> bool:
    """Whether this user may write into a folder; one that is to be made, into the one above it."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return os.access(there, os.W_OK | os.X_OK)


def as_full(error: Exception, path: Path, part: Path) -> DiskFull | None:
    """The error of a full disk behind a failed write of `path`; None if that was not the reason.

    Call it while `part`, what was written, is still there. torch, numpy and safetensors have errors
    of their own for it.
    """
    code = error.errno if isinstance(error, OSError) else None
    if code is None and free_bytes(path.parent) < LEFT:
        code = errno.ENOSPC
    if code not in FULL:
        return None
    full = DiskFull(code, os.strerror(code), str(path))
    full.wrote = part.stat().st_size if part.exists() else 0
    return full


def free_bytes(folder: Path) -> int:
    """Bytes that an ordinary user may still write below a folder."""
    return shutil.disk_usage(folder).free


def full_words(folder: Path | str, wanted: int) -> str:
    """The sentence for a person: which disk, how much is free, how much to free."""
    usage = shutil.disk_usage(folder)
    return (
        f"the disk of '{folder}' must have room, but {size(usage.free, 1)} of "
        f"{size(usage.total, 1)} are free; make it at least {size(wanted, 1)} "
        "(`harness run EXPERIMENT --dry-run` says what a run takes)"
    )
