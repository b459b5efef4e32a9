"""Everything that a file holds, archives, databases and pictures unpacked: what to search where
something must not be."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import re
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

SQLITE = b"SQLite format 3\0"
GZIP = b"\x1f\x8b"
PNG = b"\x89PNG"
_DATA = re.compile(rb"data:[\w/+.-]+;base64,([A-Za-z0-9+/=]+)")


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Where in the file, and what: its bytes, and those of whatever is packed in them."""
    yield from _parts(str(path), path.read_bytes())
    if path.read_bytes()[:16] == SQLITE:
        yield from _rows(path)


def _parts(where: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    yield where, content
    if zipfile.is_zipfile(io.BytesIO(content)):  # .npz, torch's states, and archives
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield f"{where}!", name.encode()
                yield from _parts(f"{where}!{name}", archive.read(name))
    if content[:2] == GZIP:
        with contextlib.suppress(OSError, EOFError):  # two bytes of something else
            yield from _parts(f"{where}!gz", gzip.decompress(content))
    if content[:4] == PNG:
        with Image.open(io.BytesIO(content)) as image:
            yield f"{where}!text", repr(image.info).encode()
    for number, found in enumerate(_DATA.findall(content)):
        yield from _parts(f"{where}!picture {number}", base64.b64decode(found))


def _rows(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every cell of every table, whole where pages cut it."""
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as opened:
        opened.text_factory = bytes
        tables = opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for table in (name.decode() for (name,) in tables):
            rows = opened.execute(f'SELECT * FROM "{table}"')
            columns = [column[0] for column in rows.description]
            for row in rows:
                for column, cell in zip(columns, row, strict=True):
                    if isinstance(cell, bytes):
                        yield from _parts(f"{path}!{table}.{column}", cell)
