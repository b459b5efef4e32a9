"""Atomic files and digests of their content.

A file is written under a temporary name in the same folder, flushed to disk, then renamed, so a
half-written file never has a final name. This holds for local disks; on network file systems it
holds as far as their rename is atomic.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import hashlib
import io
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from harness.base import damage
from harness.base.disk import as_full
from harness.base.errors import Damaged
from harness.base.owned import look_before


@contextlib.contextmanager
def atomic(path: Path, mode: int | None = None) -> Iterator[IO[bytes]]:
    """Open a binary file that appears at `path` whole when the block ends, or not at all.

    Args:
        mode: of the file, which nobody else can read before it has it; None follows the umask.
    """
    with _part(path, f".{path.name}.", ".tmp", mode) as part, open(part, "wb") as file:
        yield file


@contextlib.contextmanager
def _part(path: Path, prefix: str, suffix: str, mode: int | None = None) -> Iterator[Path]:
    """A temporary file beside `path` that takes its name, durably, when the block ends.

    Raises:
        DiskFull: with the path where the disk is full, whatever the block raised for it.
        Lost: the path lies in a folder that this process owned and does not own any more.
    """
    look_before(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
        with open(name, "rb") as file:
            os.fsync(file.fileno())
        # mkstemp makes private files; ordinary results follow the user's umask.
        os.chmod(name, 0o666 & ~_UMASK if mode is None else mode)
        look_before(path)
        os.replace(name, path)
    except BaseException as error:
        full = as_full(error, path, Path(name)) if isinstance(error, Exception) else None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        if full is not None:
            raise full from error
        if isinstance(error, FileNotFoundError):
            look_before(path)  # a new owner sweeps up the parts of the one before
        raise
    sync_folder(path.parent)


_UMASK = os.umask(0)  # there is no other way to read it
os.umask(_UMASK)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, mode: int = 0o666) -> Iterator[None]:
    """Let one process at a time look at `path` and change it, which need not exist.

    Args:
        mode: of the lock file beside it, less the umask.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_suffix(".lock")
    with open(lock, "a", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_bytes(path: Path, content: bytes) -> None:
    with atomic(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def without_nan(value: Any) -> Any:
    """Plain data in which NaN and infinity, which JSON does not know, are None."""
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON; NaN is stored as null, by whoever made the value."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV table; numbers are exact, truth is in lower case, None and numbers that are not finite
    are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_csv_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else ""
    return "" if value is None else value


def read_json(path: Path) -> Any:
    """What `write_json` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it holds no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of JSON and of UTF-8
        raise Damaged(path, f"it cannot be read ({str(error).splitlines()[0]})") from error


def write_record(path: Path, value: Mapping[str, Any]) -> dict[str, Any]:
    """Write a JSON object with its own digest, for `read_record`; returns what that will return."""
    record = with_digest(value)
    write_json(path, record)
    return {name: entry for name, entry in record.items() if name != _DIGEST}


def with_digest(value: Mapping[str, Any]) -> dict[str, Any]:
    """Plain data as JSON will give them back, and their digest."""
    plain: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    return {**plain, _DIGEST: digest_of(plain)}


def read_record(path: Path) -> dict[str, Any]:
    """What `write_record` wrote; one from before records had digests is taken as it is.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it is another text.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise Damaged(path, CHANGED)
    if value.pop(_DIGEST, None) not in (None, digest_of(value)):
        raise Damaged(path, CHANGED)
    return value


def read_note(path: Path) -> dict[str, Any] | None:
    """A record that its writer makes anew where it is missing: None there, and where it is damaged,
    which is noted."""
    try:
        return read_record(path)
    except FileNotFoundError:
        return None
    except Damaged as damaged:
        damage.note(damaged)
        return None


_DIGEST = "record_digest"
CHANGED = "its content changed since"


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write `array` as `.npy`, its shape kept (0-d too); arrays of objects raise ValueError."""
    with atomic(path) as file:
        np.lib.format.write_array(file, np.asarray(array, order="C"), allow_pickle=False)


def write_with(path: Path, writer: Callable[[Path], None]) -> None:
    """Let `writer` fill a temporary file of the same ending, then give it its name."""
    with _part(path, ".part.", path.suffix) as part:
        writer(part)


def sha256_file(path: Path, length: int | None = None) -> str:
    """SHA-256 of a file, or of its first `length` bytes; computed once in a process, unless its
    size, times or place on the disk change."""
    return _sha256(str(path), stamp(path), length)


def stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file is written or replaced.

    Raises:
        FileNotFoundError: there is no such file.
    """
    stat = path.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


_SIZE = 2
"""Where a stamp has the bytes."""


@lru_cache(maxsize=100_000)
def _sha256(path: str, _: tuple[int, ...], length: int | None) -> str:
    with open(path, "rb") as file:
        if length is None:
            return hashlib.file_digest(file, "sha256").hexdigest()
        return hashlib.sha256(file.read(length)).hexdigest()


def check_sum(
    path: Path, recorded: str, length: int | None = None, most: int | None = None
) -> None:
    """Raises Damaged where a file, or its first `length` bytes, is not what was recorded; one of
    more than `most` bytes is not read."""
    try:
        now = stamp(path)
        if most is not None and now[_SIZE] > most:
            return
        if _sha256(str(path), now, length) != recorded:
            raise Damaged(path, CHANGED)
    except FileNotFoundError as error:
        raise Damaged(path, "it is gone") from error
    except IsADirectoryError as error:
        raise Damaged(path, CHANGED) from error


def canonical_json(value: Any) -> str:
    """The one JSON text of a plain value: sorted keys, shortest exact numbers, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest_of(value: Any) -> str:
    """24 hexadecimal digits (96 bits) of the SHA-256 of a plain value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()[:24]


def digest_arrays(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Digest of named arrays: names, dtypes, shapes and values; 24 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:24]
