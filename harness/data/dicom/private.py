"""What must stay private: the pseudonym key, and the lists that resolve pseudonyms and numbers."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Any

from harness.base.files import atomic

PRIVATE = 0o600


def private_folder(folder: Path) -> Path:
    """The folder, made with mode 0700, as are those above it that are not there."""
    for above in reversed(folder.parents):
        if not above.exists():
            above.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chmod(folder, 0o700)
    return folder


def write_private(path: Path, content: bytes) -> None:
    """Write atomically; at no moment can another user read the file."""
    private_folder(path.parent)
    with atomic(path, PRIVATE) as file:
        file.write(content)


def write_private_json(path: Path, value: Any) -> None:
    write_private(path, json.dumps(value, indent=0, sort_keys=True).encode())


class Pseudonyms:
    """Names that only the holder of the key can compute: HMAC-SHA256, 8 hexadecimal digits.

    Args:
        folder: private folder; the key is made there on first use.
        key: a fixed key, for patients who are nobody (phantoms).
    """

    def __init__(self, folder: Path, key: bytes | None = None) -> None:
        self._key = key if key is not None else private_key(folder / "key")

    def of(self, identity: str) -> str:
        """The pseudonym of an identity, e.g. "p-1f0c33ab"."""
        return "p-" + hmac.new(self._key, identity.encode(), hashlib.sha256).hexdigest()[:8]


def private_key(path: Path) -> bytes:
    """The random key of 32 bytes at `path`, made there on first use."""
    if not path.exists():
        write_private(path, secrets.token_bytes(32))
    return path.read_bytes()
