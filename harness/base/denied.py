"""A file or folder that this user may not use: which one it is, and whose."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


def is_denied(error: BaseException) -> bool:
    """Whether an error says that permissions, or a disk that is read-only, stood in the way."""
    return isinstance(error, OSError) and error.errno in DENIED


def denied_words(error: OSError) -> str:
    """The sentence for a person: what, who asked, what stands in the way and whose it is."""
    path = _named(error)
    place = _barrier(path) if path is not None else None
    # What a writer would have made has a name that tells nobody anything.
    shown = place if path is None or place == path.parent else path
    what = "its files" if shown is None else f"'{shown}'"
    remedy = "ask its owner to let you in, or name another folder"
    if error.errno == errno.EROFS:
        remedy = "have the disk mounted for writing, or name a folder on another one"
    return f"{_user(os.geteuid())} must be allowed to use {what}, but got {why(error)}; {remedy}"


def why(error: OSError, named: bool = True) -> str:
    """What the system said; where something was denied, also whose that is: "Permission denied:
    '/data' belongs to anna (uid 1001), mode 0700".

    Args:
        named: False leaves the path out, which of a patient's file may say who that is.
    """
    said = str(error.strerror or error)
    path = _named(error)
    if path is None or not is_denied(error):
        return said
    place = _barrier(path)
    it = f"'{place}'" if named else "it"
    try:
        state = place.stat()
    except OSError:
        return f"{said}: nothing says whose {it} is"
    mode = stat.S_IMODE(state.st_mode)
    return f"{said}: {it} belongs to {_user(state.st_uid)}, mode {mode:04o}"


def _named(error: OSError) -> Path | None:
    """The path that an error is about; None where it names none."""
    name = error.filename
    return Path(os.fsdecode(name)).absolute() if isinstance(name, str | bytes) else None


def _barrier(path: Path) -> Path:
    """What is denied on the way to `path`: the first folder that may not be entered, else `path`
    itself, else the folder that it lies in or would."""
    for folder in reversed(path.parents):
        if not os.path.lexists(folder):
            return folder.parent
        if not os.access(folder, os.X_OK):
            return folder
    mine = not os.path.lexists(path) or os.access(path, os.R_OK | os.W_OK)
    return path.parent if mine else path


def _user(number: int) -> str:
    import pwd

    try:
        return f"{pwd.getpwuid(number).pw_name} (uid {number})"
    except KeyError:  # of another machine, or of a container
        return f"uid {number}"
