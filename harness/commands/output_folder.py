"""Where a command writes for somebody: a folder appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.base.denied import why
from harness.base.errors import ConfigError


@contextlib.contextmanager
def appearing(place: Path, option: str, typed: Path, mode: int = 0o777) -> Iterator[Path]:
    """A folder that appears at `place`, new or empty, whole when the block ends, or not at all.

    Args:
        option, typed: what messages call it.
        mode: of the folder, less the umask.

    Raises:
        ConfigError: nothing can be written there.
    """
    part = place.with_name(f".{place.name}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(part, ignore_errors=True)  # of a command that was killed
        part.mkdir(mode)
    except OSError as error:
        raise unwritable(option, "a folder that can be made and written", typed, error) from error
    try:
        yield part
        os.replace(part, place)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def unwritable(option: str, what: str, typed: Path, error: OSError) -> ConfigError:
    """The sentence where `option` must be `what`, e.g. "a file that can be written"."""
    return ConfigError(
        f"{option} must be {what}, but got '{typed}' ({why(error)}); name another one"
    )
