"""A disk without room, or that may not be written: how it is known, and how people hear of it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from harness.base.text import size

FULL = (errno.ENOSPC, errno.EDQUOT)
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
    """Bytes that an ordinary user may still write below a folder; 0 where the disk has no inode
    left, so that it takes no further file."""
    return 0 if _no_inodes(folder) else shutil.disk_usage(folder).free


def full_words(folder: Path | str, wanted: int, error: BaseException | None = None) -> str:
    """The sentence for a person: which disk, how much is free, how much to free.

    Args:
        error: what a write said, where one did: a quota may be used up on a disk with room.
    """
    if isinstance(error, OSError) and error.errno == errno.EDQUOT:
        return fault_words(OSError(error.errno, error.strerror, str(folder)))
    if _no_inodes(folder):
        return fault_words(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)))
    usage = shutil.disk_usage(folder)
    return (
        f"the disk of '{folder}' must have room, but {size(usage.free, 1)} of "
        f"{size(usage.total, 1)} are free; make it at least {size(wanted, 1)} "
        "(`harness run EXPERIMENT --dry-run` says what a run takes)"
    )


def fault_words(error: OSError) -> str:
    """The sentence for a person about a write that found a quota, all inodes or all bytes used up,
    or a disk that fails."""
    of = f" of '{error.filename}'" if error.filename else ""
    if error.errno == errno.EDQUOT:
        return (
            f"your quota on the disk{of} must be free enough, but got '{error.strerror}'; delete "
            "files of yours, or have it raised"
        )
    folder = Path(error.filename) if isinstance(error.filename, str) else None
    if folder is not None and not folder.is_dir():
        folder = folder.parent
    if error.errno == errno.ENOSPC and folder is not None and _no_inodes(folder):
        return (
            f"the disk{of} must be free to hold more files, but got '{error.strerror}': "
            f"{size(shutil.disk_usage(folder).free, 1)} are free, but no inode; delete files, "
            "however small"
        )
    return f"the disk{of} must be writable and have room, but got '{error.strerror}'"


def _no_inodes(folder: Path | str) -> bool:
    """Whether the disk counts its files, and can hold no more."""
    try:
        state = os.statvfs(folder)
    except OSError:
        return False
    return state.f_files > 0 and state.f_favail == 0
